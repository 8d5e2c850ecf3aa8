"""What was measured: tables for the terminal and for docs/benchmarks.md, and a picture of bulk deliveries by size."""

import datetime
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from benchmarks.comparison import Comparison, markdown
from benchmarks.targets import TARGETS

_HEAD = """# Benchmarks

Written by `make bench` on {date}: {machine}. Each figure is the median of its runs, lowest to highest in brackets if
there was more than one. Postgres with its default durability, real HTTP to the sandbox on the same machine, so client,
server and CRM share its processors: compare the rows with each other, not with another machine's.

Calibration: {calibration}.

![Bulk deliveries by size: throughput and peak memory](images/benchmarks.png)

"""
_BOUNDS = """## What bounds a delivery in bulk

Processors: the CPU time that each program took, and the share of all processors that this is for as long as the run
lasted. The sandbox stands on the same machine; Brevo does not.

{processors}
Stages of a run with {contacts:,} contacts: the CPU time of its threads, and how long they waited, for Postgres, for the
CRM or for each other. While further imports are put together, a second thread confirms what has arrived; only one of
the two runs Python at a time.

{stages}"""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One bulk delivery of so many contacts."""

    contacts: int
    per_second: float
    peak_mb: float


@dataclass(frozen=True, kw_only=True)
class Spent:
    """CPU seconds by program during one bulk delivery of `seconds`."""

    contacts: int
    seconds: float
    cpu: Mapping[str, float]


class Report:
    """Rows of the table, points of the picture, and what bulk deliveries spent. `figures`: medians by row.

    `stages`: a number of contacts, and the seconds of CPU and of waiting by stage.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str]] = []
        self.figures: dict[str, float] = {}
        self.points: list[Point] = []
        self.spent: list[Spent] = []
        self.stages: tuple[int, Mapping[str, Sequence[float]]] | None = None
        self.calibration = "not measured"
        self.comparisons: list[Comparison] = []

    def add(self, what: str, values: Sequence[float], unit: str, method: str, digits: int = 1) -> float:
        median = statistics.median(values)
        spread = f" ({min(values):,.{digits}f}–{max(values):,.{digits}f})" if len(values) > 1 else ""
        self.rows.append((what, f"{median:,.{digits}f} {unit}{spread}", method))
        self.figures[what] = median
        return median

    def missing(self, what: str, why: str) -> None:
        """A figure that there is none of."""
        self.rows.append((what, "missing", why))

    def tables(self) -> list[tuple[Sequence[str], list[tuple[str, ...]]]]:
        """Head and rows of each: what was measured, the targets, and the CPU time and the stages of bulk deliveries."""
        targets = [(one.what, one.aim, *one.verdict(self.figures)) for one in TARGETS]
        return [
            (("what", "figure", "how it was measured"), list(self.rows)),
            (("target", "aim", "measured", "verdict"), targets),
            (("contacts", *_PROGRAMS, "busy"), [_processors(one) for one in self.spent]),
            (("stage", "CPU, s", "waiting, s"), _stages(self.stages[1] if self.stages else {})),
        ]

    def show(self) -> list[Table]:
        shown = []
        for head, rows in self.tables():
            table = Table(*head)
            for row in rows:
                table.add_row(*row)
            shown.append(table)
        return shown

    def write(self, docs: Path) -> None:
        """docs/benchmarks.md and its picture."""
        head = _HEAD.format(
            date=datetime.datetime.now(datetime.UTC).date(),
            calibration=self.calibration,
            machine=f"{os.cpu_count()} processors, {platform.machine()}, Python {platform.python_version()}",
        )
        figures, targets, processors, stages = (_markdown(*table) for table in self.tables())
        text = f"{head}## Targets\n\n{targets}\n## Figures\n\n{figures}"
        if self.stages:
            text += "\n" + _BOUNDS.format(processors=processors, contacts=self.stages[0], stages=stages)
        text += "".join(f"\n{markdown(one)}" for one in self.comparisons)
        (docs / "benchmarks.md").write_text(text, encoding="utf-8")
        if self.points:
            draw(self.points, docs / "images" / "benchmarks.png")


_PROGRAMS = ("the run", "Postgres", "the sandbox")


def _processors(one: Spent) -> tuple[str, ...]:
    busy = sum(one.cpu.values()) / one.seconds / (os.cpu_count() or 1)
    parts = (f"{one.cpu[name]:,.1f} s" for name in _PROGRAMS)
    return (f"{one.contacts:,}", *parts, f"{100 * busy:.0f} % of {one.seconds:,.1f} s")


def _stages(seconds: Mapping[str, Sequence[float]]) -> list[tuple[str, ...]]:
    stages = sorted(seconds.items(), key=lambda item: -item[1][0])
    return [(stage, f"{cpu:,.2f}", f"{waiting:,.2f}") for stage, (cpu, waiting) in stages]


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *rows))


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
