"""What a person says of columns, `COLUMN=FIELD`, where their headers do not tell it. Pure."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from crm_pipelines.errors import UsageError
from crm_pipelines.files.headers import NAMEABLE, SEVERAL, key_of

CUSTOM = "custom_fields."
LEFT_OUT = ""
"""The target of a column that is not to be taken."""

Meant = tuple[tuple[str, str], ...]
"""Header and target of each: a field, `custom_fields.NAME`, or LEFT_OUT."""


def read_meant(texts: Iterable[str]) -> Meant:
    """Of each `COLUMN=FIELD`. Raises UsageError, which says what was expected."""
    found: dict[str, str] = {}
    for text in texts:
        column, sign, target = (part.strip() for part in text.rpartition("="))
        if not sign or not column:
            raise UsageError(f"--map {text!r} is not understood: write COLUMN=FIELD, such as Vorname=first_name.")
        is_custom = target.startswith(CUSTOM) and target != CUSTOM
        if not is_custom and target not in {LEFT_OUT, *NAMEABLE}:
            near = get_close_matches(target, NAMEABLE, n=1)
            fields = f"{', '.join(NAMEABLE)}, {CUSTOM}NAME for a custom field, or nothing, which leaves the column out"
            hint = f"did you mean {near[0]}?" if near else f"expected {fields}."
            raise UsageError(f"--map {text!r} names no field: {hint}")
        if column in found:
            raise UsageError(f"--map names the column {column!r} twice: leave one of them.")
        if target in found.values() and target != LEFT_OUT and target not in SEVERAL:
            raise UsageError(f"--map names two columns for {target}: leave one of them.")
        found[column] = target
    return tuple(found.items())


def means_address(title: str, meant: Meant) -> bool:
    """Whether this header is that of a column which a person said to hold addresses."""
    return any(target == "email" and title in (column, *_alike([title], column)) for column, target in meant)


def places_of(meant: Meant, header: Sequence[str], file: str) -> dict[int, str]:
    """The target by position in the header, in the order in which they were said. Raises UsageError."""
    found: dict[int, str] = {}
    for column, target in meant:
        titles = [column] if column in header else sorted({*_alike(header, column)})
        places = [place for place, title in enumerate(header) if title in titles and title]
        if not places:
            near = get_close_matches(column, [title for title in header if title], n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            shown = ", ".join(repr(title) for title in header[:10] if title)
            raise UsageError(f"{file} has no column {column!r}, which --map names.{hint} Its header: {shown}.")
        if len(places) > 1:
            raise UsageError(
                f"{file} has {len(places)} columns {column!r}, and --map cannot tell which: rename them in the file."
            )
        if places[0] in found:
            raise UsageError(f"--map names the column {header[places[0]]!r} twice: leave one of them.")
        found[places[0]] = target
    return found


def _alike(header: Sequence[str], column: str) -> list[str]:
    return [title for title in header if key_of(title) and key_of(title) == key_of(column)]
