"""A comparison with others: tables of a report that no single figure tells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from benchmarks.report import Report

Row = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """`tables`: head and rows of each."""

    title: str
    about: str
    tables: Sequence[tuple[Row, Sequence[Row]]]


def markdown(one: Comparison) -> str:
    """A section with its tables."""
    return f"## {one.title}\n\n{one.about}\n\n" + "\n".join(map(_table, one.tables))


def show(report: "Report") -> None:
    """On the terminal: the comparisons as they stand in docs/benchmarks.md, and what is missing."""
    console = Console(soft_wrap=True, markup=False, highlight=False)
    for one in report.comparisons:
        console.print(markdown(one))
    for what, figure, method in report.rows:
        console.print(f"{what}: {figure}; {method}")


def _table(table: tuple[Row, Sequence[Row]]) -> str:
    head, rows = table
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ("---",) * len(head), *rows))
