"""What has left lately: no second holds more requests than the limit, by the moments at which they left.

A slot says when a request may leave. Between its turn and its first byte a thread may wait for the processor, for
Python's lock or for a connection; then it leaves late, and those after it on time. This is the log of one pacer: other
processes that share the rate do not see it, only the slots keep them apart.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# For a limit that grows: what is kept is enough for one ten times as high.
_KEPT_SECONDS = 10


class Departures:
    """The requests of one pacer as they leave. Safe to use from several threads.

    In any n / `limit` seconds and `margin` more n requests leave at most, for n the whole requests of a second, or one.
    So ten seconds, over which HubSpot counts, hold ten times as many. A request that never leaves takes up no room.
    """

    def __init__(
        self,
        limit: float,
        *,
        margin: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.limit = limit
        self._margin = margin
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._leaving = 0
        self._left: deque[float] = deque()

    @contextmanager
    def leave(self) -> Iterator[None]:
        """Around the first bytes of a request: waits as long as they would be too many.

        Between the last look at the clock and the bytes a thread may wait once more. Until it is back, they count as
        leaving now, and then as having left at its return: never as earlier than they did.
        """
        while (delay := self._begin()) > 0:
            self._sleep(delay)
        try:
            yield
        finally:
            self._end()

    def _begin(self) -> float:
        """Count one more as leaving, or return the seconds until that may be so."""
        with self._lock:
            now, limit = self._clock(), self.limit
            delay = self._delay(max(1, int(limit)), limit, now)
            if delay <= 0:
                self._leaving += 1
            return delay

    def _end(self) -> None:
        with self._lock:
            self._leaving -= 1
            self._left.append(self._clock())
            while len(self._left) > max(1, self.limit * _KEPT_SECONDS):
                self._left.popleft()

    def _delay(self, most: int, limit: float, now: float) -> float:
        others = most - self._leaving
        if others > len(self._left):
            return 0.0
        last = self._left[-others] if others > 0 else now
        return last + most / limit + self._margin - now
