"""HubSpot's rate limits (developers.hubspot.com, usage guidelines): 10 seconds per app, a day per account."""

from typing import Any, NamedTuple
from uuid import uuid4

from crm_pipelines.sandbox.core.answers import Header
from crm_pipelines.sandbox.core.limits import FixedWindow, RollingWindow, Window, admit

INTERVAL_SECONDS = 10
_DAY_SECONDS = 86_400


class Limits(NamedTuple):
    """Numbers of requests; 0 is no limit."""

    per_ten_seconds: int
    per_day: int
    searches_per_second: int


class RateLimiter:
    """Counts requests; `now` is a monotonic time in seconds."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._day = FixedWindow(limits.per_day, _DAY_SECONDS) if limits.per_day else None
        self._searches = RollingWindow(limits.searches_per_second, 1) if limits.searches_per_second else None
        self._apps: dict[str, RollingWindow] = {}

    def take(self, key: str, now: float, *, search: bool) -> tuple[str | None, tuple[Header, ...]]:
        """The policy that refuses one more request, or None, and the headers that tell of the limits."""
        burst = self._searches if search else self._app(key)
        windows: list[tuple[str, Window]] = []
        if burst:
            windows.append(("SECONDLY" if search else "TEN_SECONDLY_ROLLING", burst))
        if self._day:
            windows.append(("DAILY", self._day))
        full = admit([window for _, window in windows], now)
        policy = next((policy for policy, window in windows if window is full), None)
        return policy, () if search else self._headers(burst, now)

    def _app(self, key: str) -> RollingWindow | None:
        if not self._limits.per_ten_seconds:
            return None
        if key not in self._apps:
            self._apps[key] = RollingWindow(self._limits.per_ten_seconds, INTERVAL_SECONDS)
        return self._apps[key]

    def _headers(self, burst: Window | None, now: float) -> tuple[Header, ...]:
        told: dict[bytes, int] = {}
        if burst:
            told = {
                b"interval-milliseconds": INTERVAL_SECONDS * 1000,
                b"max": burst.limit,
                b"remaining": burst.remaining(now),
                # Obsolete, and sent all the same.
                b"secondly": burst.limit // INTERVAL_SECONDS,
                b"secondly-remaining": burst.limit // INTERVAL_SECONDS,
            }
        if self._day:
            told |= {b"daily": self._day.limit, b"daily-remaining": self._day.remaining(now)}
        return tuple((b"x-hubspot-ratelimit-" + name, b"%d" % number) for name, number in told.items())


_SPANS = {"SECONDLY": "secondly", "TEN_SECONDLY_ROLLING": "ten_secondly_rolling", "DAILY": "daily"}


def refusal(policy: str) -> dict[str, Any]:
    """The body of a 429."""
    return {
        "status": "error",
        "message": f"You have reached your {_SPANS[policy]} limit.",
        "errorType": "RATE_LIMIT",
        "correlationId": str(uuid4()),
        "policyName": policy,
        "requestId": str(uuid4()),
    }
