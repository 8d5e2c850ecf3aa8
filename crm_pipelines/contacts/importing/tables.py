"""What every kind of file becomes: a header and rows of cells, each with the line on which it stands."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class NoValue:
    """A cell that is not empty and holds no value, such as #N/A of a spreadsheet: blank, and told.

    `shown` is what a person sees in the cell, `why` what is wrong with it, without anything that may be personal.
    """

    shown: str
    why: str

    def __str__(self) -> str:
        return self.shown


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `line` counts from 1, as editors and spreadsheets do; `problem` says why its cells cannot be read."""

    line: int
    cells: list[object]
    problem: str | None = None


@dataclass(frozen=True)
class Table:
    """A file that is being read. `form` describes it in words, such as `CSV, utf-8, separated by ;`.

    `notes` are sentences about the file as a whole that its user must know; all are there once `rows` has ended.
    """

    form: str
    header: list[str]
    rows: Iterator[Row]
    notes: list[str] = field(default_factory=list)


def is_blank(cell: object) -> bool:
    return cell is None or cell == "" or isinstance(cell, NoValue) or (isinstance(cell, str) and not cell.strip())
