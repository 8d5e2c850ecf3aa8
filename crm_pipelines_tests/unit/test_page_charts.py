"""Charts show what the numbers are: nothing leaves the drawing, and what nobody noted is not drawn."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from crm_pipelines.api.pages import charts
from crm_pipelines.statistics.history import Step

HOUR = timedelta(hours=1)
START = datetime(2026, 1, 1, tzinfo=UTC)


def steps(*depths: int | None, delivered: int = 0, failed: int = 0) -> list[Step]:
    return [
        Step(at=START + number * HOUR, depth=depth, delivered=delivered, failed=failed)
        for number, depth in enumerate(depths)
    ]


@given(st.integers(0, 10**9))
def test_a_scale_is_short_rises_from_zero_and_holds_the_largest(largest: int) -> None:
    values = charts.scale(largest)
    assert values[0] == 0
    assert values == sorted(set(values))
    assert 2 <= len(values) <= 6
    assert values[-1] >= largest


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=30))
def test_every_bar_stays_within_the_drawing_and_is_as_high_as_its_number(counts: list[tuple[int, int]]) -> None:
    given_ = [Step(at=START, depth=None, delivered=good, failed=bad) for good, bad in counts]
    top = charts.scale(max(one.attempts for one in given_))[-1]
    ground = charts.HEIGHT - charts.BOTTOM
    for one, bar in zip(given_, charts.bars(given_, HOUR, top), strict=True):
        assert charts.LEFT <= bar.x <= bar.x + bar.width <= charts.WIDTH - charts.RIGHT + 0.1
        assert charts.TOP - 0.1 <= bar.failed_y <= bar.delivered_y <= ground
        high = bar.delivered_height + bar.failed_height
        assert abs(high - (ground - charts.TOP) * one.attempts / top) <= 0.2


def test_what_nobody_noted_is_a_gap_in_the_line() -> None:
    drawn = charts.lines(steps(1, 2, None, 3, None, None), 4)
    assert [len(line.split()) for line in drawn] == [2, 2], "a single point is drawn too"
    assert charts.lines(steps(None, None), 4) == []


def test_the_present_step_always_has_its_label() -> None:
    for count in (1, 7, 24, 28, 30):
        axes = charts.frame(steps(*[0] * count), HOUR, [0, 1])
        assert axes.times[-1].at > charts.WIDTH - charts.RIGHT - (charts.WIDTH - charts.LEFT) / count
        assert len(axes.times) <= 7


def test_numbers_on_the_axis_are_short_and_exact() -> None:
    labels = [tick.label for tick in charts.frame(steps(0), HOUR, [0, 250, 1500, 20_000, 2_500_000]).values]
    assert labels == ["0", "250", "1.5k", "20k", "2.5M"]
