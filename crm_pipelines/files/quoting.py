"""Cuts lines of CSV into rows, so that a quotation mark that was never meant spoils its own row at most. Pure.

A file that follows the rules is read as the module csv reads it. A quotation mark that opens a cell and is not closed
in its line may be a cell of several lines, or a slip: then everything up to the next mark would be one cell, with the
rows of other people in it. It is taken for a slip where

- no mark closes it up to the end of the file, or within LONGEST characters, or a mark stands where none may,
- a line within it looks like a row of this file: as many cells as the header or the row before, and an address where
  an address belongs. If the first line does not look so itself, its address may follow behind a cell of several
  lines: then the line that closes the cell does not count, and with two columns none does,
- each of its lines has as many cells as the header, and so often that it is no chance.

Then the line with the mark is a problem, and reading goes on with the next one. The line that has the mark's partner
is a problem too. A row that csv refuses, or cuts into a wrong number of cells, is tried in two other ways of writing:
blanks before an opening mark, and a backslash before a mark within a cell.
"""

import csv
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from crm_pipelines.files.delimiters import cut
from crm_pipelines.files.tables import Row, error_or, is_blank

LONGEST = 1 << 20
"""Characters of one row: far above what a cell may hold."""

_NO_CHANCE = 4
"""So many delimiters that fit are not there by chance."""

_ADDRESS = re.compile(r"[^\s@,;<>\"]+@[^\s@,;<>\"]+\.[^\s@,;<>\"]+")

_NOT_CLOSED = "a quotation mark is opened here and not closed within the row"
_NO_PARTNER = "a quotation mark here has no partner; one was opened in a row above"
_NOT_WELL_FORMED = "not well-formed CSV: a quotation mark stands where none may"


@dataclass(frozen=True)
class RowLayout:
    """The width of the header, and where in it addresses are."""

    delimiter: str
    width: int
    addresses: tuple[int, ...]

    def looks_like_row(self, line: str, width_before: int) -> bool:
        if "@" not in line:
            return False
        cells = cut(line, self.delimiter)
        return len(cells) in {self.width, width_before} and any(
            position < len(cells) and _ADDRESS.fullmatch(cells[position].strip(" \t\"'")) for position in self.addresses
        )


class _Broken(Exception):
    """The lines from here on are no row."""


def rows_of(lines: Iterable[str], layout: RowLayout, line: int) -> Iterator[Row]:
    """`line` is the number of the first of them. Rows of blank cells are left out."""
    csv.field_size_limit(sys.maxsize)  # the rows are limited here
    return _Cutter(lines, layout, line).rows()


class _Cutter:
    def __init__(self, lines: Iterable[str], layout: RowLayout, line: int) -> None:
        self._rest = iter(lines)
        self._again: deque[str] = deque()
        self._layout = layout
        self._line = line
        self._width_before = layout.width
        self._unmatched = False
        # A line whose first mark that is not doubled ends a cell, which began in a line above.
        self._ends_cell = re.compile(rf'(?:[^"]|"")*"(?:{re.escape(layout.delimiter)}|\s*$)')
        self._opened_behind_blanks = re.compile(f'{re.escape(layout.delimiter)} +"')

    def rows(self) -> Iterator[Row]:
        delimiter = self._layout.delimiter
        again = self._again
        while True:
            line = again.popleft() if again else next(self._rest, None)
            if line is None:
                return
            if '"' in line:
                row = self._quoted(line)
            else:
                row = Row(self._line, list(line.rstrip("\r\n").split(delimiter)))
                self._line += 1
            if all(is_blank(cell) for cell in row.cells) and row.problem is None:
                continue
            if row.problem is None:
                self._width_before = len(row.cells)
            if "#" in line:
                row = Row(
                    row.line, [error_or(cell) if isinstance(cell, str) else cell for cell in row.cells], row.problem
                )
            yield row

    def _quoted(self, first: str) -> Row:
        number = self._line
        try:
            cells, taken = self._cells(first)
        except _Broken as reason:
            self._line += 1
            return Row(number, list(first.rstrip("\r\n").split(self._layout.delimiter)), str(reason))
        self._line += len(taken)
        if self._unmatched:
            self._unmatched = False
            if first.count('"') % 2 and len(taken) == 1:
                return Row(number, list(cells), _NO_PARTNER)
        return Row(number, list(cells))

    def _cells(self, first: str) -> tuple[list[str], list[str]]:
        """The cells, and the lines that make them. Raises _Broken, with all lines but the first to be read again."""
        dialects: list[dict[str, Any]] = [{}]
        if '\\"' in first:
            dialects.append({"escapechar": "\\", "doublequote": False})
        if self._opened_behind_blanks.search(first):
            # With a mark left over, the usual way would cut a cell of several lines.
            dialects.insert(len(dialects) if first.count('"') % 2 == 0 else 0, {"skipinitialspace": True})
        usual: tuple[list[str], list[str]] | None = None
        reason = _Broken(_NOT_WELL_FORMED)
        for dialect in dialects:
            try:
                cells, taken = self._attempt(first, dialect)
            except _Broken as broken:
                reason = broken if not dialect else reason
                continue
            if len(dialects) == 1 or len(cells) == self._layout.width:
                return cells, taken
            self._put_back(taken[1:])
            usual = usual or ((cells, taken) if not dialect else None)
        if usual is None:
            self._unmatched = str(reason) == _NOT_CLOSED
            raise reason
        for _ in usual[1][1:]:
            self._again.popleft()
        return usual

    def _attempt(self, first: str, dialect: dict[str, Any]) -> tuple[list[str], list[str]]:
        taken = [first]
        looks_like_row = self._layout.looks_like_row

        def feed() -> Iterator[str]:
            yield first
            size = len(first)
            while size < LONGEST:
                line = self._again.popleft() if self._again else next(self._rest, None)
                if line is None:
                    return
                taken.append(line)
                size += len(line)
                if looks_like_row(line, self._width_before):
                    closes = line.count('"') % 2 == 1 or bool(self._ends_cell.match(line))
                    if looks_like_row(first, self._width_before) or (not closes and self._layout.width > 2):
                        return
                yield line

        try:
            cells = next(csv.reader(feed(), delimiter=self._layout.delimiter, strict=True, **dialect))
        except csv.Error as error:
            self._put_back(taken[1:])
            raise _Broken(
                _NOT_CLOSED if len(taken) > 1 or "unexpected end" in str(error) else _NOT_WELL_FORMED
            ) from None
        if len(taken) > 1 and self._are_rows(taken):
            self._put_back(taken[1:])
            raise _Broken(_NOT_CLOSED)
        return cells, taken

    def _are_rows(self, taken: list[str]) -> bool:
        width, delimiter = self._layout.width, self._layout.delimiter
        return (width - 1) * (len(taken) - 1) >= _NO_CHANCE and all(
            len(cut(line, delimiter)) == width for line in taken
        )

    def _put_back(self, lines: list[str]) -> None:
        self._again.extendleft(reversed(lines))
