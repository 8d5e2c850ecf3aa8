"""How fast an account may be asked."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipelines.crms.outcomes import RateHeaders
from crm_pipelines.delivery.pace.rates import RateLimit

SECOND, TEN_SECONDS, HOUR, DAY = (timedelta(seconds=one) for one in (1, 10, 3600, 86_400))
LIMITS = st.none() | st.integers(-(10**9), 10**9)
WINDOWS = st.none() | st.timedeltas(-DAY, DAY)


def assumed(rate: float = 10) -> RateLimit:
    """Nobody set a rate: the default holds until the account says otherwise."""
    return RateLimit(rate, is_ceiling=False)


def ceiling(rate: float = 10) -> RateLimit:
    """The user set this rate."""
    return RateLimit(rate, is_ceiling=True)


@pytest.mark.parametrize(
    ("limit", "window", "per_second"),
    [
        (20, SECOND, 20),
        (100, TEN_SECONDS, 10),
        (190, TEN_SECONDS, 19),
        (2000, SECOND, 2000),
        (900, HOUR, 0.25),
        (36_000, HOUR, 10),
        (216_000, DAY, 2.5),
    ],
)
def test_a_rate_is_the_limit_over_its_own_window(limit: int, window: timedelta, per_second: float) -> None:
    rate = assumed(1)
    assert rate.learn(RateHeaders(limit=limit, window=window)) == pytest.approx(per_second)
    assert rate.per_second == pytest.approx(per_second)


def test_a_limit_without_its_window_changes_no_rate() -> None:
    rate = assumed(10)
    assert rate.learn(RateHeaders(limit=100)) is None
    assert rate.per_second == 10


def test_what_was_assumed_gives_way_to_what_the_account_reports() -> None:
    rate = assumed(10)
    assert rate.per_second == 10
    rate.learn(RateHeaders(limit=60, window=SECOND))
    assert rate.per_second == 60
    rate.learn(RateHeaders(limit=5, window=SECOND))
    assert rate.per_second == 5


def test_what_the_user_set_is_never_exceeded_and_a_lower_report_counts() -> None:
    rate = ceiling(10)
    rate.learn(RateHeaders(limit=60, window=SECOND))
    assert rate.per_second == 10
    rate.learn(RateHeaders(limit=5, window=SECOND))
    assert rate.per_second == 5


def test_what_an_earlier_run_observed_counts_from_the_start() -> None:
    assert RateLimit(10, is_ceiling=False, observed=20).per_second == 20
    assert RateLimit(10, is_ceiling=True, observed=20).per_second == 10


def test_only_news_is_reported() -> None:
    rate = assumed()
    assert rate.learn(RateHeaders(limit=20, window=SECOND)) == 20
    assert rate.learn(RateHeaders(limit=20, window=SECOND)) is None
    assert rate.learn(RateHeaders(limit=72_000, window=HOUR)) is None, "the same, by the hour"


def test_of_two_windows_the_narrower_counts_whichever_an_answer_tells_of() -> None:
    rate = assumed()
    assert rate.learn(RateHeaders(limit=20, window=SECOND)) == 20
    assert rate.learn(RateHeaders(limit=36_000, window=HOUR)) == 10
    assert rate.learn(RateHeaders(limit=20, window=SECOND)) is None
    assert rate.per_second == 10


def test_a_share_of_the_accounts_limit_is_left_to_its_other_tools() -> None:
    assert RateLimit(10, is_ceiling=False, observed=60, reserved=0.25).per_second == 45
    assert RateLimit(10, is_ceiling=False, reserved=0.25).per_second == 7.5
    assert RateLimit(10, is_ceiling=True, observed=60, reserved=0.25).per_second == 10
    assert RateLimit(10, is_ceiling=True, observed=10, reserved=0.25).per_second == 7.5


@pytest.mark.parametrize("limit", [None, 0, -1])
def test_an_answer_without_a_usable_limit_teaches_nothing(limit: int | None) -> None:
    rate = assumed()
    assert rate.learn(RateHeaders(limit=limit, window=SECOND)) is None
    assert rate.per_second == 10


@given(
    told=st.lists(st.builds(RateHeaders, limit=LIMITS, window=WINDOWS)),
    configured=st.floats(0.1, 1000),
    is_ceiling=st.booleans(),
)
def test_the_rate_is_always_above_zero(told: list[RateHeaders], configured: float, is_ceiling: bool) -> None:
    rate = RateLimit(configured, is_ceiling=is_ceiling)
    for one in told:
        rate.learn(one)
    assert rate.per_second > 0
    assert 4 <= rate.threads <= 32


@given(
    told=st.lists(
        st.builds(RateHeaders, limit=st.integers(1, 10**9), window=st.timedeltas(timedelta(milliseconds=1), DAY)),
        min_size=1,
        unique_by=lambda one: one.window,
    ),
    is_ceiling=st.booleans(),
)
def test_whatever_windows_are_reported_the_rate_is_above_none_of_them(
    told: list[RateHeaders], is_ceiling: bool
) -> None:
    rate = RateLimit(10, is_ceiling=is_ceiling)
    for one in told:
        rate.learn(one)
    for one in told:
        assert rate.per_second <= (one.limit or 0) / (one.window or SECOND).total_seconds()


def test_the_latest_word_on_a_window_counts() -> None:
    rate = assumed()
    rate.learn(RateHeaders(limit=100, window=TEN_SECONDS))
    rate.learn(RateHeaders(limit=216_000, window=DAY))
    assert rate.learn(RateHeaders(limit=432_000, window=DAY)) == 5
    assert rate.learn(RateHeaders(limit=864_000, window=DAY)) == 10, "that of ten seconds is the narrower one now"
    assert rate.learn(RateHeaders(limit=190, window=TEN_SECONDS)) is None, "but by no more than the day allows"


def test_an_hour_that_is_used_up_stops_all_until_it_is_over() -> None:
    assert assumed().used_up_for(RateHeaders(limit=36_000, window=HOUR, remaining=0, reset_seconds=1200)) == timedelta(
        minutes=20
    )


def test_what_is_on_its_way_is_counted_as_used_of_an_hour() -> None:
    limit = assumed()
    almost = RateHeaders(limit=36_000, window=HOUR, remaining=limit.threads, reset_seconds=1200)
    assert limit.used_up_for(almost) == timedelta(minutes=20)
    assert (
        limit.used_up_for(RateHeaders(limit=36_000, window=HOUR, remaining=limit.threads + 1, reset_seconds=1200))
        is None
    )


@pytest.mark.parametrize(
    "headers",
    [
        RateHeaders(),
        RateHeaders(remaining=0),
        RateHeaders(remaining=0, reset_seconds=1),
        RateHeaders(remaining=1, reset_seconds=1200),
        RateHeaders(reset_seconds=1200),
    ],
)
def test_a_second_that_is_used_up_or_an_hour_that_is_not_stops_nobody(headers: RateHeaders) -> None:
    assert assumed().used_up_for(headers) is None


@pytest.mark.parametrize(("window", "pause"), [(TEN_SECONDS, 7), (HOUR, 1200), (DAY, 50_000)])
def test_a_window_that_is_used_up_stops_all_until_it_resets(window: timedelta, pause: float) -> None:
    told = RateHeaders(limit=100, window=window, remaining=0, reset_seconds=pause)
    assert assumed().used_up_for(told) == timedelta(seconds=pause)


def test_a_day_of_which_no_limit_is_told_paces_nothing_and_stops_all_once_it_is_used_up() -> None:
    rate, told = assumed(), RateHeaders(window=DAY, remaining=0, reset_seconds=50_000)
    assert rate.learn(told) is None
    assert rate.used_up_for(told) == timedelta(seconds=50_000)


@pytest.mark.parametrize("reset", [10**6, 1e300])
@pytest.mark.parametrize(("window", "longest"), [(TEN_SECONDS, 10), (HOUR, 3600), (DAY, 86_400), (None, 86_400)])
def test_no_pause_is_longer_than_the_window(window: timedelta | None, longest: float, reset: float) -> None:
    told = RateHeaders(limit=100, window=window, remaining=0, reset_seconds=reset)
    assert assumed().used_up_for(told) == timedelta(seconds=longest)


def test_ten_seconds_are_used_to_their_end() -> None:
    """Evenly spaced requests leave 3 of 100: to count those that are on their way would be a pause in each window."""
    assert assumed().used_up_for(RateHeaders(limit=100, window=TEN_SECONDS, remaining=1, reset_seconds=7)) is None


def test_of_a_second_every_request_may_be_used() -> None:
    assert assumed().used_up_for(RateHeaders(limit=10, window=SECOND, remaining=0, reset_seconds=60)) is None
