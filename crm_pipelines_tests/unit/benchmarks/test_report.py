"""The page of benchmarks: the verdicts first, nothing that was not measured looks as if it had been."""

import io
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from benchmarks import __main__ as bench
from benchmarks.comparison import Comparison
from benchmarks.picture import Point
from benchmarks.report import EVIDENCE, HUBSPOT, IN_BULK, SECTIONS, Report
from benchmarks.setting import FULL, WITH_A_MILLION, NoTimeLeft, Scale, Stage
from benchmarks.targets import MET, MISSED, NOT_MEASURED, ONLY_WITH_A_MILLION, TARGETS, Target, summary


def target(*, at_least: float | None = None, at_most: float | None = None, million: bool = False) -> Target:
    return Target(group="g", what="w", figure="f", unit="s", at_least=at_least, at_most=at_most, million=million)


def points(*, floor: float | None) -> list[Point]:
    return [
        Point(contacts=contacts, per_second=4000, peak_mb=200, limit=10_000, floor=floor) for contacts in (1000, 10_000)
    ]


@pytest.mark.parametrize(
    ("one", "measured", "verdict"),
    [
        (target(at_least=90), 90.0, MET),
        (target(at_least=90), 89.9, MISSED),
        (target(at_most=2), 2.0, MET),
        (target(at_most=2), 2.01, MISSED),
        (target(at_most=0), 0.0, MET),
    ],
)
def test_a_target_is_met_up_to_its_aim_and_not_beyond(one: Target, measured: float, verdict: str) -> None:
    assert one.verdict({"f": measured}, with_a_million=False)[1] == verdict


def test_a_target_without_a_figure_says_whether_it_is_measured_at_all() -> None:
    assert target(at_most=1).verdict({}, with_a_million=False)[1] == NOT_MEASURED
    assert target(at_most=1, million=True).verdict({}, with_a_million=False)[1] == ONLY_WITH_A_MILLION
    assert target(at_most=1, million=True).verdict({}, with_a_million=True)[1] == NOT_MEASURED


def test_targets_of_a_group_stand_together_and_those_of_a_million_are_marked() -> None:
    groups = [group for group, _ in groupby(one.group for one in TARGETS)]
    assert len(groups) == len(set(groups))
    assert [one for one in TARGETS if one.million != ("1,000,000" in one.figure)] == []


def test_the_summary_counts_each_target_once() -> None:
    assert (
        summary({}, with_a_million=False) == f"0 of {len(TARGETS)} targets met, 0 not met, {len(TARGETS)} not measured"
    )
    figures = {"Ratio at 100 ms": 21.0, "Refused rows, one by one": 89.0}
    assert summary(figures, with_a_million=False).startswith(f"1 of {len(TARGETS)} targets met, 1 not met")


def test_the_page_begins_with_picture_calibration_and_targets_and_has_a_section_for_each_kind_of_figure() -> None:
    report = Report()
    report.calibration = "1.00 s of CPU"
    report.points = points(floor=None)
    text = report.markdown()
    found = [text.index(one) for one in ("images/benchmarks.png", "1.00 s of CPU", "## Targets")]
    found += [text.index(f"\n## {section}\n") for section in SECTIONS]
    assert found == sorted(found)


def test_ratios_come_first_in_their_section() -> None:
    report = Report()
    with report.within(IN_BULK):
        report.add("absolute", [1.0, 3.0], "s", "a clock")
        report.add("ratio", [1.5], "times", "medians")
    text = report.markdown()
    assert text.index("| ratio | 1.5 times | medians |") < text.index("| absolute | 2.0 s (1.0–3.0) | a clock |")
    assert f"## {IN_BULK}\n\n{SECTIONS[IN_BULK]}\n\n| what | figure" in text


def test_a_section_of_which_nothing_was_measured_says_so() -> None:
    assert Report().markdown().count("\nNot measured this time.\n") == len(SECTIONS)


def test_a_comparison_stands_below_the_heading_of_its_section() -> None:
    report = Report()
    report.comparisons = {HUBSPOT: Comparison(about="How.", tables=((("a",), [("1",)]),))}
    text = report.markdown()
    assert f"## {HUBSPOT}\n\nHow.\n\n| a |\n| --- |\n| 1 |\n" in text
    assert text.count(f"## {HUBSPOT}\n") == 1


@pytest.mark.parametrize("floor", [None, 6000.0, 12_000.0])
def test_the_picture_is_written_whether_the_floor_was_measured_or_not(floor: float | None, tmp_path: Path) -> None:
    report = Report()
    report.points = points(floor=floor)
    report.write(tmp_path)
    assert (tmp_path / "images" / "benchmarks.png").read_bytes().startswith(b"\x89PNG")
    assert report.points[0].cap == min(floor or 10_000, 10_000)


def test_without_a_point_the_page_shows_no_picture(tmp_path: Path) -> None:
    Report().write(tmp_path)
    assert "benchmarks.png" not in (tmp_path / "benchmarks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("scale", "asked"), [(FULL, False), (WITH_A_MILLION, True)])
def test_a_part_that_fails_costs_its_own_figures_and_the_page_says_which(
    monkeypatch: pytest.MonkeyPatch, scale: Scale, asked: bool
) -> None:
    def fails(error: Exception) -> Callable[[Stage, Report], None]:
        def part(_: Stage, __: Report) -> None:
            raise error

        return part

    def works(_: Stage, report: Report) -> None:
        report.add("good", [1.0], "s", "a clock")

    parts = [(EVIDENCE, "bad", fails(ValueError())), (EVIDENCE, "late", fails(NoTimeLeft())), (EVIDENCE, "good", works)]
    monkeypatch.setattr(bench, "parts", lambda _: parts)
    report, said = Report(with_a_million=asked), io.StringIO()
    bench.measure(cast("Stage", _Patient()), report, scale, Console(file=said))
    text = report.markdown()
    assert f"| bad | {NOT_MEASURED} | the measurement failed: ValueError |" in text
    assert f"| late | {NOT_MEASURED} | there was no time left" in text
    assert "| good | 1.0 s | a clock |" in text
    assert (f"| In bulk, 1,000,000 contacts | {NOT_MEASURED} | {ONLY_WITH_A_MILLION} |" in text) is not asked
    assert "Measuring: good ... 0 s" in said.getvalue()


def test_once_the_time_is_over_no_further_part_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(bench, "parts", lambda _: [(EVIDENCE, "late", lambda *_: begun.append("late"))])
    report = Report()
    bench.measure(cast("Stage", _Over()), report, FULL, Console(file=io.StringIO()))
    assert begun == []
    assert f"| late | {NOT_MEASURED} | there was no time left" in report.markdown()


class _Over:
    def time_left(self) -> float:
        raise NoTimeLeft


class _Patient:
    """A stage whose time is never over."""

    def time_left(self) -> float:
        return 1.0
