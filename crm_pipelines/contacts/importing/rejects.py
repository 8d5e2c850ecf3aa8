"""The rows that were not imported, in a file of their own, so that they can be corrected and imported again."""

import csv
import os
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from crm_pipelines.contacts.importing.errors import ImportRefused
from crm_pipelines.contacts.importing.tables import Row

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


class Rejects:
    """Writes the file `path` from the first reject on. Readable by its owner only, since it holds addresses.

    Where it cannot be written, `unwritable` says why; whoever imports tells of the rejects.
    """

    def __init__(self, path: Path, header: list[str]) -> None:
        self.path = path
        self.unwritable: str | None = None
        self._header = header
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()

    @property
    def written(self) -> bool:
        return self._file is not None

    def add(self, row: Row, reason: str) -> None:
        if self._file is None and self.unwritable is None:
            self._open()
        if self._file is not None:
            csv.writer(self._file).writerow([row.line, reason, *(_harmless(cell) for cell in row.cells)])

    def _open(self) -> None:
        try:
            file = _create(self.path)
        except OSError as error:
            self.unwritable = error.strerror or type(error).__name__
            return
        csv.writer(file).writerow(["rejected_line", "rejected_reason", *(_harmless(text) for text in self._header)])
        self._file = file


def require_writable(path: Path) -> None:
    """Raises ImportRefused where no file `path` can be written; one that is there stays as it is."""
    try:
        if path.exists():
            os.close(os.open(path, os.O_WRONLY | _NOFOLLOW))
        else:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            path.unlink()
    except OSError as error:
        raise ImportRefused(
            f"{path} for rows that cannot be imported cannot be written ({error.strerror}), so nothing was imported: "
            "name another file with --rejects."
        ) from None


def _create(path: Path) -> TextIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _NOFOLLOW, 0o600)
    os.chmod(path, 0o600)  # noqa: PTH101 - one that was there before may be open to others
    return os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="")


def _harmless(cell: object) -> str:
    """A spreadsheet program would run a cell that begins like a formula."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
