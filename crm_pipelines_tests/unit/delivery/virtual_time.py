"""Threads in virtual time: as soon as all of them wait, the clock jumps to the earliest one's end of waiting."""

import heapq
import itertools
import threading
from collections.abc import Callable, Iterable

from crm_pipelines.destinations.gates import Reservation


class VirtualTime(threading.Event):
    """A clock, and the event whose `wait(seconds)` lets it go on, always longer by the next of `lateness` seconds."""

    def __init__(self, lateness: Iterable[float] = (0.0,)) -> None:
        super().__init__()
        self.now = 0.0
        self._lateness = itertools.cycle(lateness)
        self._running = 0
        self._sleepers: list[tuple[float, int, threading.Lock]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def clock(self) -> float:
        return self.now

    def run(self, *calls: Callable[[], None]) -> None:
        """Run all calls to their ends, each in a thread of its own."""
        threads = [threading.Thread(target=self._one, args=(call,)) for call in calls]
        self._running = len(threads)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        asleep = threading.Lock()
        asleep.acquire()
        with self._lock:
            heapq.heappush(self._sleepers, (self.now + timeout + next(self._lateness), next(self._numbers), asleep))
            self._leave()
        asleep.acquire()  # whoever goes to sleep last wakes the one whose time comes first
        return self.is_set()

    def _one(self, call: Callable[[], None]) -> None:
        try:
            call()
        finally:
            with self._lock:
                self._leave()

    def _leave(self) -> None:
        self._running -= 1
        if not self._running and self._sleepers:
            until, _, asleep = heapq.heappop(self._sleepers)
            self.now = max(self.now, until)
            self._running = 1
            asleep.release()


class VirtualGate:
    """What gates.sql does: slots in a row, never in the past, for all who share it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.open = True
        self.asked: list[tuple[int, float]] = []
        self._clock = clock
        self._next = 0.0
        self._lock = threading.Lock()

    def reserve(self, slots: int, rate: float) -> Reservation | None:
        with self._lock:
            self.asked.append((slots, rate))
            if not self.open:
                return None
            first = max(self._next, self._clock())
            self._next = first + slots / rate
            return Reservation(slots=slots, first_seconds=first - self._clock(), spacing_seconds=1 / rate)
