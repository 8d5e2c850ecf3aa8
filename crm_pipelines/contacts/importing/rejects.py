"""The rows that were not imported, in a file of their own, so that they can be corrected and imported again."""

import csv
import os
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from crm_pipelines.contacts.importing.errors import ImportRefused
from crm_pipelines.contacts.importing.tables import Row


class Rejects:
    """Writes the file `path` from the first reject on. Readable by its owner only, since it holds addresses.

    Raises ImportRefused when the file cannot be written.
    """

    def __init__(self, path: Path, header: list[str]) -> None:
        self.path = path
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
        file = self._file or self._open()
        csv.writer(file).writerow([row.line, reason, *(_harmless(cell) for cell in row.cells)])

    def _open(self) -> TextIO:
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
            descriptor = os.open(self.path, flags, 0o600)
            os.chmod(self.path, 0o600)  # noqa: PTH101 - one that was there before may be open to others
            self._file = os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="")
        except OSError as error:
            raise ImportRefused(
                f"Some rows cannot be imported, and {self.path} for them cannot be written ({error.strerror}). "
                "Copy the source to a folder of your own and import it from there."
            ) from None
        csv.writer(self._file).writerow(["rejected_line", "rejected_reason", *(_harmless(t) for t in self._header)])
        return self._file


def _harmless(cell: object) -> str:
    """A spreadsheet program would run a cell that begins like a formula."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
