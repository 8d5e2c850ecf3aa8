"""The rows that were not imported, in a file of their own, so that they can be corrected and imported again."""

import csv
import filecmp
import itertools
import os
import re
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, TextIO

from crm_pipelines.files.cleaning import cell_text
from crm_pipelines.files.errors import ImportRefused
from crm_pipelines.files.tables import Row

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
OURS = ["rejected_line", "rejected_reason"]
_BLANKS = " \t\r\n\0"


class Rejects(AbstractContextManager["Rejects"]):
    """Writes a file from the first reject on: all rejected rows, each with all of its cells.

    The file is `<source>.rejects.csv` in `folder`. One that is there stays, since its rows may not be corrected yet:
    then a number makes a new name. Only a file that was `named` is written over. It is readable by its owner only,
    since it holds addresses; comma and UTF-8 with a byte order mark, whatever the source has.

    `written` is the file, once the block has ended; where it cannot be written, `unwritable` says why, and whoever
    imports tells of the rejects. `notes` are sentences about files of earlier imports.
    """

    def __init__(self, source: Path, header: list[str], *, folder: Path | None = None, named: Path | None = None):
        self.written: Path | None = None
        self.unwritable: str | None = None
        self.notes: list[str] = []
        self._header = header
        # Importing a file of rejects: the reasons of that time are not taken along.
        self._skipped = len(OURS) if header[: len(OURS)] == OURS else 0
        self._named = named
        self._names = _names(source, folder or source.parent)
        self._earlier = [path for path in _names(source, folder or source.parent, there=True) if path != source]
        self._file: TextIO | None = None
        self._writer: Any = None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except OSError as problem:
                self._give_up(problem)
        if kind is None and self._named is None:
            self._compare()

    def add(self, row: Row, reason: str) -> None:
        try:
            if self.unwritable is None:
                if self._file is None:
                    self._open()
                self._write([str(row.line), reason], row.cells)
        except OSError as problem:
            self._give_up(problem)

    def _open(self) -> None:
        if self._named is not None:
            there = self._named.exists()
            self._file, self.written = _create(self._named), self._named
            if there:
                self.notes.append(f"{self._named.name} was there before and is written over.")
        else:
            self._file, self.written = _create_first(self._names)
        # All in quotation marks, so that a header with semicolons does not pass for one that is separated by them.
        self._writer = csv.writer(self._file, quoting=csv.QUOTE_ALL)
        self._write(OURS, self._header)

    def _write(self, ours: list[str], cells: list[Any]) -> None:
        self._writer.writerow([*ours, *(harmless(cell) for cell in cells[self._skipped :])])

    def _give_up(self, problem: OSError) -> None:
        """Half a file would pass for a whole one."""
        self.unwritable = problem.strerror or type(problem).__name__
        if self._file is not None and self.written is not None:
            with suppress(OSError):
                self._file.close()
            if self.written.is_file():
                self.written.unlink()
        self._file = self.written = None

    def _compare(self) -> None:
        """A file that is the same as an earlier one is not needed; of the others it is told."""
        if self.written is not None:
            for earlier in self._earlier:
                with suppress(OSError):
                    if filecmp.cmp(earlier, self.written, shallow=False):
                        self.written.unlink()
                        self.written = earlier
                        return
        if self._earlier:
            names = ", ".join(path.name for path in self._earlier[-3:])
            nothing = "" if self.written or self.unwritable else "nothing was rejected this time; "
            verb = "is" if len(self._earlier) == 1 else "are"
            self.notes.append(f"{nothing}{names} {verb} of an earlier import, and left as it was.")


def require_writable(path: Path, source: Path) -> None:
    """Raises ImportRefused where no file `path` can be written, or it is the source; an old one stays as it is."""
    try:
        if path.exists():
            if source.exists() and path.samefile(source):
                raise ImportRefused(
                    f"{path} is the file that is to be imported, so nothing was imported: name another file with "
                    "--rejects."
                )
            os.close(os.open(path, os.O_WRONLY | _NOFOLLOW))
        else:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            path.unlink()
    except OSError as error:
        raise ImportRefused(
            f"{path} for rows that cannot be imported cannot be written ({error.strerror}), so nothing was imported: "
            "name another file with --rejects."
        ) from None


def _names(source: Path, folder: Path, *, there: bool = False) -> Iterator[Path]:
    """people.rejects.csv, people.rejects.2.csv and so on, also for people.rejects.csv; with `there`, up to a gap."""
    stem = re.sub(r"\.rejects(\.\d+)?$", "", source.stem)
    for number in itertools.count(1):
        path = folder / f"{stem}.rejects{f'.{number}' if number > 1 else ''}.csv"
        if there and not os.path.lexists(path):
            return
        yield path


def _create_first(names: Iterator[Path]) -> tuple[TextIO, Path]:
    while True:
        path = next(names)
        with suppress(FileExistsError):
            return _create(path, os.O_EXCL), path


def _create(path: Path, flag: int = os.O_TRUNC | _NOFOLLOW) -> TextIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flag, 0o600)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.fchmod(descriptor, 0o600)  # one that was there before may be open to others
    return os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="")


def harmless(cell: object) -> str:
    """The text that an import reads as this cell's value, and that no spreadsheet program runs as a formula."""
    text = "" if cell is None else cell_text(cell)
    return f"'{text.strip()}" if text.lstrip(_BLANKS)[:1] in {"=", "+", "-", "@"} else text
