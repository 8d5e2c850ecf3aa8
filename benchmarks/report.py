"""What was measured: a table for the terminal, docs/benchmarks.md, and a picture of bulk deliveries by size."""

import datetime
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

_HEAD = """# Benchmarks

Written by `make bench` on {date}: {machine}. Each figure is the median of its runs, lowest to highest in brackets if
there was more than one. Postgres with its default durability, real HTTP to the sandbox on the same machine, so client,
server and CRM share its processors: compare the rows with each other, not with another machine's.

![Bulk deliveries by size: throughput and peak memory](images/benchmarks.png)

| what | figure | how it was measured |
| --- | --- | --- |
"""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One bulk delivery of so many contacts."""

    contacts: int
    per_second: float
    peak_mb: float


class Report:
    """Rows of the table, and points of the picture."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str]] = []
        self.points: list[Point] = []

    def add(self, what: str, values: Sequence[float], unit: str, method: str, digits: int = 1) -> float:
        median = statistics.median(values)
        spread = f" ({min(values):,.{digits}f}–{max(values):,.{digits}f})" if len(values) > 1 else ""
        self.rows.append((what, f"{median:,.{digits}f} {unit}{spread}", method))
        return median

    def missing(self, what: str, why: str) -> None:
        """A figure that there is none of."""
        self.rows.append((what, "missing", why))

    def table(self) -> Table:
        table = Table("what", "figure", "how it was measured")
        for row in self.rows:
            table.add_row(*row)
        return table

    def write(self, docs: Path) -> None:
        """docs/benchmarks.md and its picture."""
        head = _HEAD.format(
            date=datetime.datetime.now(datetime.UTC).date(),
            machine=f"{os.cpu_count()} processors, {platform.machine()}, Python {platform.python_version()}",
        )
        rows = "\n".join(f"| {' | '.join(row)} |" for row in self.rows)
        (docs / "benchmarks.md").write_text(f"{head}{rows}\n", encoding="utf-8")
        if self.points:
            draw(self.points, docs / "images" / "benchmarks.png")


def draw(points: Sequence[Point], file: Path) -> None:
    """Throughput and peak memory against size."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    ordered = sorted(points, key=lambda point: point.contacts)
    sizes = [point.contacts for point in ordered]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for axes, values, title in (
        (left, [point.per_second for point in ordered], "contacts per second, proof included"),
        (right, [point.peak_mb for point in ordered], "peak memory of the run's process, MB"),
    ):
        axes.plot(sizes, values, marker="o", color="#0b7a75")
        for size, value in zip(sizes, values, strict=True):
            axes.annotate(f"{value:,.0f}", (size, value), textcoords="offset points", xytext=(0, 7), ha="center")
        axes.set_xscale("log")
        axes.set_ylim(0, max(values) * 1.25)
        axes.set_xlabel("contacts in the queue")
        axes.set_title(title, fontsize=10)
        axes.grid(visible=True, alpha=0.3)
    figure.savefig(file, dpi=130)
    plt.close(figure)
