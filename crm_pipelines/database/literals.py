"""Values as Postgres writes them, made at once: for lists of thousands, and for rows by COPY.

The driver looks at every element of a list, and at every list of a row, anew. Texts must not contain a NUL, which
Postgres refuses. Pure.
"""

from collections.abc import Iterable
from uuid import UUID


def text_array(values: Iterable[str | None]) -> str:
    """A list of texts, for `CAST(:name AS text[])`; None is NULL."""
    return f"{{{','.join(['NULL' if value is None else _quoted(value) for value in values])}}}"


def bytes_array(values: Iterable[bytes]) -> str:
    """The same for `bytea[]`."""
    quoted = [f'"{copied_bytes(value)}"' for value in values]
    return f"{{{','.join(quoted)}}}"


def uuid_array(values: Iterable[UUID]) -> str:
    """The same for `uuid[]`."""
    return f"{{{','.join([value.hex for value in values])}}}"


def number_array(values: Iterable[int]) -> str:
    """The same for `bigint[]`."""
    return f"{{{','.join(map(str, values))}}}"


def copied(text: str) -> str:
    """A text as COPY reads it in its format of texts."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def copied_bytes(value: bytes) -> str:
    """The same for `bytea`."""
    return f"\\\\x{value.hex()}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
