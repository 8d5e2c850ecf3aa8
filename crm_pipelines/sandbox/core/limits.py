"""Windows in which a limited number of requests may be made. Every time is a monotonic one, in seconds."""

import math
from collections import deque
from collections.abc import Sequence
from typing import Protocol, TypeVar


class Window(Protocol):
    """`limit` requests in `seconds`."""

    limit: int

    def remaining(self, now: float) -> int:
        """How many more requests there may be now."""
        ...

    def use(self, now: float) -> None:
        """Count one request."""
        ...


AnyWindow = TypeVar("AnyWindow", bound=Window)


class FixedWindow:
    """Opens with the first request, and anew once its seconds are over."""

    def __init__(self, limit: int, seconds: int) -> None:
        self.limit = limit
        self._seconds = seconds
        self._started = -math.inf
        self._used = 0

    def remaining(self, now: float) -> int:
        """How many more requests there may be until it ends."""
        if now - self._started >= self._seconds:
            self._started, self._used = now, 0
        return self.limit - self._used

    def use(self, now: float) -> None:
        """Count one request."""
        self._used = self.limit - self.remaining(now) + 1

    def ends_in(self, now: float) -> int:
        """Seconds up to its end, at least one."""
        return max(1, math.ceil(self._started + self._seconds - now))


class RollingWindow:
    """Looks back from each request over its seconds."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit = limit
        self._seconds = seconds
        self._used: deque[float] = deque()

    def remaining(self, now: float) -> int:
        """How many more requests there may be now."""
        while self._used and now - self._used[0] >= self._seconds:
            self._used.popleft()
        return self.limit - len(self._used)

    def use(self, now: float) -> None:
        """Count one request."""
        self._used.append(now)


def admit(windows: Sequence[AnyWindow], now: float) -> AnyWindow | None:
    """Count one request in all windows, or return the one that is full; then none counts it."""
    full = next((window for window in windows if window.remaining(now) <= 0), None)
    if full is None:
        for window in windows:
            window.use(now)
    return full
