"""What was measured: tables for the terminal and for docs/benchmarks.md, and a picture of bulk deliveries by size."""

import datetime
import os
import platform
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from benchmarks.comparison import Comparison
from benchmarks.picture import Point, draw
from benchmarks.targets import NOT_MEASURED, TARGETS, summary

_HEAD = """# Benchmarks

Written by `make bench` on {date}: {machine}. {summary}.

{picture}
**The cap** is what the floor reaches, or what the CRM's limit allows where that is less: 10 requests/s, 1,000 contacts
a page. The floor is a bare program that does the same work without claims, gate, consent checks or Dagster. Client,
server and a stand-in for the CRM share the processors. Postgres has its default durability.

**Another machine:** compare ratios as they stand. Compare absolute figures by its calibration (`python -m
benchmarks.calibration`); here it is {calibration}.

## Targets

{targets}
The rest of this page is what the verdicts come from. A figure is the median of its runs, with the lowest and the
highest in brackets if there was more than one; ratios come first. How it is measured, and how to measure a part alone:
[measuring.md](measuring.md).
"""
_PICTURE = "![Bulk deliveries by size: throughput below its cap, and peak memory](images/benchmarks.png)\n"
_BOUNDS = """
## What bounds a delivery in bulk

Processors: the CPU time that each program took, and the share of all processors that this is for as long as the run
lasted. The sandbox stands on the same machine; Brevo does not.

{processors}
Stages of a run with {contacts:,} contacts: the CPU time of its threads, and how long they waited, for Postgres, for the
CRM or for each other. While an import is put together, other threads read the next contacts, write down the former
ones, and confirm what has arrived; only one thread runs Python at a time.

{stages}"""

SIDE_BY_SIDE = "Side by side"
SIDE_BY_SIDE_REFUSED = "Side by side: rows that Brevo refuses"
HUBSPOT = "HubSpot side by side"
HUBSPOT_REFUSED = "HubSpot side by side: contacts that it refuses"
ONE_BY_ONE = "One by one"
IN_BULK = "In bulk"
REFUSED = "Refused rows"
FIXED_COSTS = "Fixed costs"
CLAIMS = "Claims"
EVIDENCE = "Evidence"
API = "API"
SECTIONS: Mapping[str, str] = {
    SIDE_BY_SIDE: "",
    SIDE_BY_SIDE_REFUSED: "",
    HUBSPOT: "",
    HUBSPOT_REFUSED: "",
    ONE_BY_ONE: "A request for each contact. With the limit on, by the sandbox's log; then with it off.",
    IN_BULK: "By Brevo's import, which takes no time, with its limits on. Each contact is seen at the CRM.",
    REFUSED: "The CRM leaves a share of the rows out of an import; what is left goes one by one in the next run.",
    FIXED_COSTS: "What a run costs before it delivers anything, and what it leaves in Dagster's storage.",
    CLAIMS: "One claim of 1,000 contacts: the pages of 8 KB that it touches.",
    EVIDENCE: "A steady load beside an open transaction and after five faults; what a delivery weighs in Postgres.",
    API: "The HTTP API in a process of its own.",
}
"""Sections of the figures, in their order, and what is done in each, unless their table says it."""


class Row(NamedTuple):
    """A figure with its unit, or that it is missing; then why."""

    what: str
    figure: str
    method: str
    section: str
    is_ratio: bool


@dataclass(frozen=True, kw_only=True)
class Spent:
    """CPU seconds by program during one bulk delivery of `seconds`."""

    contacts: int
    seconds: float
    cpu: Mapping[str, float]


class Report:
    """Rows by section, points of the picture, and what bulk deliveries spent. `figures`: medians by row.

    `stages`: a number of contacts, and the seconds of CPU and of waiting by stage. `comparisons`: with others, by the
    heading of their section.
    """

    def __init__(self, *, with_a_million: bool = False) -> None:
        self.with_a_million = with_a_million
        self.rows: list[Row] = []
        self.figures: dict[str, float] = {}
        self.points: list[Point] = []
        self.spent: list[Spent] = []
        self.stages: tuple[int, Mapping[str, Sequence[float]]] | None = None
        self.comparisons: dict[str, Comparison] = {}
        self.calibration = NOT_MEASURED
        self._section = _ELSE

    @contextmanager
    def within(self, section: str) -> Iterator[None]:
        """What is added in this block stands under that heading."""
        before, self._section = self._section, section
        try:
            yield
        finally:
            self._section = before

    def add(self, what: str, values: Sequence[float], unit: str, method: str, digits: int = 1) -> float:
        median = statistics.median(values)
        spread = f" ({min(values):,.{digits}f}–{max(values):,.{digits}f})" if len(values) > 1 else ""
        figure = f"{median:,.{digits}f} {unit}{spread}"
        self.rows.append(Row(what, figure, method, self._section, unit.startswith(("times", "%"))))
        self.figures[what] = median
        return median

    def missing(self, what: str, why: str) -> None:
        """A figure that there is none of."""
        self.rows.append(Row(what, NOT_MEASURED, why, self._section, is_ratio=False))

    @property
    def summary(self) -> str:
        """How many targets are met."""
        return summary(self.figures, with_a_million=self.with_a_million)

    def show(self) -> list[Table]:
        """For the terminal."""
        titled = [("Targets", *self._targets()), *((name, _FIGURES, rows) for name, rows in self._sections().items())]
        if self.stages:
            titled += [("Processors", *self._processors()), ("Stages", *self._stages())]
        shown = []
        for title, head, rows in titled:
            table = Table(*head, title=title)
            for row in rows:
                table.add_row(*row)
            shown.append(table)
        return shown

    def write(self, docs: Path) -> None:
        """docs/benchmarks.md and its picture."""
        (docs / "benchmarks.md").write_text(self.markdown(), encoding="utf-8")
        if self.points:
            draw(self.points, docs / "images" / "benchmarks.png")

    def markdown(self) -> str:
        """The page: the targets, then the figures by section, then what bounds a delivery in bulk."""
        head = _HEAD.format(
            date=datetime.datetime.now(datetime.UTC).date(),
            machine=f"{os.cpu_count()} processors, {platform.machine()}, Python {platform.python_version()}",
            summary=self.summary,
            picture=_PICTURE if self.points else "",
            calibration=self.calibration,
            targets=_markdown(*self._targets()),
        )
        figures = self._sections()
        further = [name for name in figures if name not in SECTIONS]
        sections = (self._section_text(name, figures.get(name, [])) for name in dict.fromkeys((*SECTIONS, *further)))
        bounds = ""
        if self.stages:
            processors, stages = _markdown(*self._processors()), _markdown(*self._stages())
            bounds = _BOUNDS.format(processors=processors, contacts=self.stages[0], stages=stages)
        return head + "".join(sections) + bounds

    def _section_text(self, name: str, rows: list[tuple[str, ...]]) -> str:
        compared = self.comparisons[name].markdown if name in self.comparisons else ""
        parts = [SECTIONS.get(name, ""), compared, _markdown(_FIGURES, rows) if rows else ""]
        if not any(parts[1:]):
            parts[1] = f"{NOT_MEASURED.capitalize()}."
        return "".join(f"\n{part.strip()}\n" for part in (f"## {name}", *parts) if part)

    def _sections(self) -> dict[str, list[tuple[str, ...]]]:
        """Rows by heading, in the order of SECTIONS; ratios first."""
        order = [*SECTIONS, *(row.section for row in self.rows if row.section not in SECTIONS)]
        ordered = sorted(self.rows, key=lambda row: (order.index(row.section), not row.is_ratio))
        found: dict[str, list[tuple[str, ...]]] = {}
        for row in ordered:
            found.setdefault(row.section, []).append((row.what, row.figure, row.method))
        return found

    def _targets(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        rows: list[tuple[str, ...]] = []
        group = ""
        for one in TARGETS:
            verdict = one.verdict(self.figures, with_a_million=self.with_a_million)
            rows.append(("" if one.group == group else one.group, one.what, one.aim, *verdict))
            group = one.group
        return ("", "target", "aim", "measured", "verdict"), rows

    def _processors(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        return ("contacts", *_PROGRAMS, "busy"), [_processors(one) for one in self.spent]

    def _stages(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        return ("stage", "CPU, s", "waiting, s"), _stages(self.stages[1] if self.stages else {})


_ELSE = "Figures"
_FIGURES = ("what", "figure", "how it was measured")
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
