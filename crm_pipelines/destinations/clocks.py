"""How late an answer of the database is, though the two clocks may show anything."""

import threading
import time
from collections import deque
from collections.abc import Callable

# Clocks are set, and run apart.
_COMPARED = 10
_COMPARED_SECONDS = 60


class Clocks:
    """The database's clock and ours, compared with its answers. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._in_use = False
        self._seen: deque[tuple[float, float]] = deque(maxlen=_COMPARED)

    def compare(self, moment: float) -> None:
        """Learn from an answer of this moment, as long as `lateness` knows nothing better.

        Later ones tell nothing: a commit may always take longer than a look.
        """
        with self._lock:
            if not self._in_use:
                self._note(moment)

    def lateness(self, moment: float) -> float:
        """Seconds by which an answer of this moment, in seconds of the database's clock, took longer than the fastest.

        The fastest of the last minute, and of the last ten.
        """
        with self._lock:
            self._in_use = True
            now, gap = self._note(moment)
            return gap - min(other for seen, other in self._seen if now - seen <= _COMPARED_SECONDS)

    def _note(self, moment: float) -> tuple[float, float]:
        now = self._clock()
        self._seen.append((now, now - moment))
        return self._seen[-1]
