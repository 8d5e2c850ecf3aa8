"""Brevo's rate limits: fixed windows per key and bucket (developers.brevo.com/docs/api-limits)."""

from collections.abc import Mapping

from crm_pipelines.sandbox.core.answers import Header
from crm_pipelines.sandbox.core.limits import FixedWindow, admit

Limits = Mapping[str, tuple[tuple[int, int], ...]]
"""Per bucket, pairs of the number of requests and the seconds in which they may be made. A number of 0 is no limit."""


class RateLimiter:
    """Counts requests; `now` is a monotonic time in seconds."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._windows: dict[tuple[str, str], list[FixedWindow]] = {}

    def take(self, key: str, bucket: str, now: float) -> tuple[bool, tuple[Header, ...]]:
        """Whether one more request is allowed, and the headers that tell of the tightest window."""
        windows = self._windows.get((key, bucket))
        if windows is None:
            windows = [FixedWindow(limit, seconds) for limit, seconds in self._limits[bucket] if limit]
            self._windows[key, bucket] = windows
        if not windows:
            return True, ()
        tightest = min(windows, key=lambda window: window.remaining(now))
        allowed = admit(windows, now) is None
        return allowed, _headers(tightest, now)


def _headers(window: FixedWindow, now: float) -> tuple[Header, ...]:
    return (
        (b"x-sib-ratelimit-limit", b"%d" % window.limit),
        (b"x-sib-ratelimit-remaining", b"%d" % window.remaining(now)),
        (b"x-sib-ratelimit-reset", b"%d" % window.ends_in(now)),
    )
