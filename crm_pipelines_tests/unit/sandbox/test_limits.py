"""Windows of the sandbox's rate limits, by a clock in the test's hand."""

from crm_pipelines.sandbox.brevo.limits import RateLimiter


def test_a_window_opens_again_when_its_seconds_are_over() -> None:
    limiter = RateLimiter({"contacts": ((2, 1),)})
    assert [limiter.take("k", "contacts", now)[0] for now in (100.0, 100.5, 100.9, 101.0)] == [True, True, False, True]


def test_the_headers_tell_of_the_window_that_is_nearest_its_end() -> None:
    limiter = RateLimiter({"contacts": ((2, 1), (3, 3600))})
    told = [dict(limiter.take("k", "contacts", now)[1]) for now in (0.0, 0.1, 1.0, 1.5)]
    assert [headers[b"x-sib-ratelimit-limit"] for headers in told] == [b"2", b"2", b"3", b"3"]
    assert [headers[b"x-sib-ratelimit-remaining"] for headers in told] == [b"1", b"0", b"0", b"0"]
    assert told[0][b"x-sib-ratelimit-reset"] == b"1"
    assert told[3][b"x-sib-ratelimit-reset"] == b"3599"


def test_keys_and_buckets_are_counted_apart() -> None:
    limiter = RateLimiter({"contacts": ((1, 1),), "others": ((1, 3600),)})
    taken = [limiter.take(key, bucket, 0)[0] for key, bucket in (("a", "contacts"), ("a", "others"), ("b", "contacts"))]
    assert taken == [True, True, True]
    assert not limiter.take("a", "contacts", 0)[0]


def test_a_limit_of_nought_is_none() -> None:
    limiter = RateLimiter({"contacts": ((0, 1), (0, 3600))})
    assert all(limiter.take("k", "contacts", 0) == (True, ()) for _ in range(100))
