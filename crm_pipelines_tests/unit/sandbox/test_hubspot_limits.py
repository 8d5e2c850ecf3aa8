"""HubSpot's windows, by a clock in the test's hand."""

from crm_pipelines.sandbox.hubspot.limits import Limits, RateLimiter


def test_the_ten_seconds_roll_so_that_no_ten_seconds_have_more_requests_than_the_limit() -> None:
    limiter = RateLimiter(Limits(per_ten_seconds=2, per_day=0, searches_per_second=0))
    moments = (0.0, 9.0, 9.9, 10.0, 10.1, 18.9, 19.0)
    refused = [limiter.take("k", now, search=False)[0] for now in moments]
    assert [policy is None for policy in refused] == [True, True, False, True, False, False, True]


def test_a_refused_request_counts_in_no_window() -> None:
    limiter = RateLimiter(Limits(per_ten_seconds=1, per_day=2, searches_per_second=0))
    policies = [limiter.take("k", now, search=False)[0] for now in (0.0, 1.0, 2.0, 10.0, 20.0)]
    assert policies == [None, "TEN_SECONDLY_ROLLING", "TEN_SECONDLY_ROLLING", None, "DAILY"]


def test_the_day_is_over_after_a_day() -> None:
    limiter = RateLimiter(Limits(per_ten_seconds=0, per_day=1, searches_per_second=0))
    assert [limiter.take("k", now, search=True)[0] for now in (0.0, 86_399.0, 86_400.0)] == [None, "DAILY", None]


def test_limits_of_nought_are_none_and_have_no_headers() -> None:
    limiter = RateLimiter(Limits(0, 0, 0))
    assert all(limiter.take("k", 0.0, search=search) == (None, ()) for search in (False, True) for _ in range(100))
