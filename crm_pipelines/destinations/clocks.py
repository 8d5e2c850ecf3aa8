"""How late an answer of the database is, though the two clocks may show anything."""

import threading
import time
from collections import deque
from collections.abc import Callable

# Clocks are set, and run apart.
_COMPARED = 10
_COMPARED_SECONDS = 60


class Clocks:
    """The database's clock and ours, compared with each answer. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: deque[tuple[float, float]] = deque(maxlen=_COMPARED)

    def lateness(self, moment: float) -> float:
        """Seconds by which an answer of this moment, in seconds of the database's clock, took longer than the fastest.

        The fastest of the last minute, and of the last ten.
        """
        with self._lock:
            now = self._clock()
            self._seen.append((now, now - moment))
            return now - moment - min(gap for seen, gap in self._seen if now - seen <= _COMPARED_SECONDS)
