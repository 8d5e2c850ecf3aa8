"""Mautic's rate limiter, which is off unless it is configured: calls in an hour per token (app/config/config.php)."""

import time
from typing import Any

from crm_pipelines.sandbox.core.answers import Answer, Header
from crm_pipelines.sandbox.core.limits import FixedWindow, admit

_HOUR_SECONDS = 3600


class RateLimiter:
    """Counts calls of /api; `now` is a monotonic time in seconds."""

    def __init__(self, per_hour: int) -> None:
        self._per_hour = per_hour
        self._windows: dict[str, FixedWindow] = {}

    def take(self, key: str, now: float) -> tuple[bool, tuple[Header, ...]]:
        """Whether one more call is let through, and the headers that tell of the limit."""
        if not self._per_hour:
            return True, ()
        window = self._windows.setdefault(key, FixedWindow(self._per_hour, _HOUR_SECONDS))
        admitted = admit([window], now) is None
        told: dict[bytes, Any] = {
            b"limit": self._per_hour,
            b"remaining": window.remaining(now),
            b"reset": int(time.time()) + window.ends_in(now),
        }
        return admitted, tuple((b"x-ratelimit-" + name, b"%d" % number) for name, number in told.items())

    def refusal(self) -> Answer:
        """The 429; its body is JSON, and is called a page."""
        said = f"You exceeded the rate limit of {self._per_hour} API calls per hour."
        body = f'{{ "errors": [ {{ "code": 429, "message": "{said}", "details": [] }} ]}}'
        return Answer(429, body.encode(), ((b"content-type", b"text/html; charset=UTF-8"),))
