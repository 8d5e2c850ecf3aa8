"""How fast an account may be asked."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipelines.crms.base import RateHeaders
from crm_pipelines.delivery.rates import RateLimit


def assumed(rate: float = 10) -> RateLimit:
    """Nobody set a rate: the default holds until the account says otherwise."""
    return RateLimit(rate, is_ceiling=False)


def ceiling(rate: float = 10) -> RateLimit:
    """The user set this rate."""
    return RateLimit(rate, is_ceiling=True)


@pytest.mark.parametrize(
    ("limit", "per_second"), [(10, 10), (20, 20), (60, 60), (36_000, 10), (72_000, 20), (1000, 5 / 18)]
)
def test_a_limit_of_a_thousand_or_more_counts_an_hour_a_smaller_one_a_second(limit: int, per_second: float) -> None:
    rate = assumed(1)
    assert rate.learn(RateHeaders(limit=limit)) == pytest.approx(per_second)
    assert rate.per_second == pytest.approx(per_second)


def test_what_was_assumed_gives_way_to_what_the_account_reports() -> None:
    rate = assumed(10)
    assert rate.per_second == 10
    rate.learn(RateHeaders(limit=60))
    assert rate.per_second == 60
    rate.learn(RateHeaders(limit=5))
    assert rate.per_second == 5


def test_what_the_user_set_is_never_exceeded_and_a_lower_report_counts() -> None:
    rate = ceiling(10)
    rate.learn(RateHeaders(limit=60))
    assert rate.per_second == 10
    rate.learn(RateHeaders(limit=5))
    assert rate.per_second == 5


def test_what_an_earlier_run_observed_counts_from_the_start() -> None:
    assert RateLimit(10, is_ceiling=False, observed=20).per_second == 20
    assert RateLimit(10, is_ceiling=True, observed=20).per_second == 10


def test_only_news_is_reported() -> None:
    rate = assumed()
    assert rate.learn(RateHeaders(limit=20)) == 20
    assert rate.learn(RateHeaders(limit=20)) is None
    assert rate.learn(RateHeaders(limit=72_000)) is None, "the same, by the hour"


def test_of_two_windows_the_narrower_counts_whichever_an_answer_tells_of() -> None:
    rate = assumed()
    assert rate.learn(RateHeaders(limit=20)) == 20
    assert rate.learn(RateHeaders(limit=36_000)) == 10
    assert rate.learn(RateHeaders(limit=20)) is None
    assert rate.per_second == 10


def test_a_share_of_the_accounts_limit_is_left_to_its_other_tools() -> None:
    assert RateLimit(10, is_ceiling=False, observed=60, reserved=0.25).per_second == 45
    assert RateLimit(10, is_ceiling=False, reserved=0.25).per_second == 7.5
    assert RateLimit(10, is_ceiling=True, observed=60, reserved=0.25).per_second == 10
    assert RateLimit(10, is_ceiling=True, observed=10, reserved=0.25).per_second == 7.5


@pytest.mark.parametrize("limit", [None, 0, -1])
def test_an_answer_without_a_usable_limit_teaches_nothing(limit: int | None) -> None:
    rate = assumed()
    assert rate.learn(RateHeaders(limit=limit)) is None
    assert rate.per_second == 10


@given(limit=st.integers(-(10**9), 10**9), configured=st.floats(0.1, 1000), is_ceiling=st.booleans())
def test_the_rate_is_always_above_zero(limit: int, configured: float, is_ceiling: bool) -> None:
    rate = RateLimit(configured, is_ceiling=is_ceiling)
    rate.learn(RateHeaders(limit=limit))
    assert rate.per_second > 0
    assert 4 <= rate.threads <= 32


def test_an_hour_that_is_used_up_stops_all_until_it_is_over() -> None:
    assert assumed().used_up_for(RateHeaders(limit=36_000, remaining=0, reset_seconds=1200)) == timedelta(minutes=20)


def test_what_is_on_its_way_is_counted_as_used_of_an_hour() -> None:
    limit = assumed()
    almost = RateHeaders(limit=36_000, remaining=limit.threads, reset_seconds=1200)
    assert limit.used_up_for(almost) == timedelta(minutes=20)
    assert limit.used_up_for(RateHeaders(limit=36_000, remaining=limit.threads + 1, reset_seconds=1200)) is None


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
