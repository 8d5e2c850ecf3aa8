"""What every kind of file becomes: a header and rows of cells, each with the line on which it stands."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `line` counts from 1, as editors and spreadsheets do; `problem` says why its cells cannot be read."""

    line: int
    cells: list[object]
    problem: str | None = None


@dataclass(frozen=True)
class Table:
    """A file that is being read. `form` describes it in words, such as `CSV, utf-8, separated by ;`."""

    form: str
    header: list[str]
    rows: Iterator[Row]


def is_blank(cell: object) -> bool:
    return cell is None or cell == "" or (isinstance(cell, str) and not cell.strip())
