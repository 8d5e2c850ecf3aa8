"""Brevo's rate limits: fixed windows per key and bucket (developers.brevo.com/docs/api-limits)."""

import math
from collections.abc import Mapping

from crm_pipelines.sandbox.brevo.answers import Header

Limits = Mapping[str, tuple[tuple[int, int], ...]]
"""Per bucket, pairs of the number of requests and the seconds in which they may be made. A number of 0 is no limit."""


class _Window:
    __slots__ = ("limit", "seconds", "started", "used")

    def __init__(self, limit: int, seconds: int) -> None:
        self.limit = limit
        self.seconds = seconds
        self.started = -math.inf
        self.used = 0

    def remaining(self, now: float) -> int:
        if now - self.started >= self.seconds:
            self.started, self.used = now, 0
        return self.limit - self.used

    def headers(self, now: float) -> tuple[Header, ...]:
        reset = max(1, math.ceil(self.started + self.seconds - now))
        return (
            (b"x-sib-ratelimit-limit", b"%d" % self.limit),
            (b"x-sib-ratelimit-remaining", b"%d" % (self.limit - self.used)),
            (b"x-sib-ratelimit-reset", b"%d" % reset),
        )


class RateLimiter:
    """Counts requests; `now` is a monotonic time in seconds."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._windows: dict[tuple[str, str], list[_Window]] = {}

    def take(self, key: str, bucket: str, now: float) -> tuple[bool, tuple[Header, ...]]:
        """Whether one more request is allowed, and the headers that tell of the tightest window."""
        windows = self._windows.get((key, bucket))
        if windows is None:
            windows = [_Window(limit, seconds) for limit, seconds in self._limits[bucket] if limit]
            self._windows[key, bucket] = windows
        if not windows:
            return True, ()
        tightest = min(windows, key=lambda window: window.remaining(now))
        if tightest.remaining(now) <= 0:
            return False, tightest.headers(now)
        for window in windows:
            window.used += 1
        return True, tightest.headers(now)
