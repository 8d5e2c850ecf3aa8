"""Waiting for one's turn at the gate.

Slots are reserved in Postgres in blocks of about half a second, so that several processes share one rate at the price
of two short transactions per second.

A request that has its slot may still leave late, and those after it on time. So a second look is taken where the bytes
leave (`departures.py`), at what this process has sent. Of several processes that share a rate each knows its own
departures only: when one of them sends late by more than the share below makes up for, a second may hold one too many.
"""

import threading
import time
from collections.abc import Callable

from crm_pipelines.crms.turns import leave_by
from crm_pipelines.delivery.pace.departures import Departures
from crm_pipelines.destinations.gates import Reservation
from crm_pipelines.errors import CrmPipelinesError

_BLOCK_SECONDS = 0.5
# A slot that was missed by more is given up: used late, together with the slots after it, it would be a burst.
_LATENESS_SECONDS = 0.02
# Makes room for the lateness, and for 16 ms of what comes after it (a busy machine, the way to the CRM):
# (1 s + both) * share <= 1 s. So no second holds more requests than the limit allows, wherever it begins.
_SHARE_OF_LIMIT = 0.965
_WAY_SECONDS = 0.016


class GatePaused(CrmPipelinesError):
    """The gate is paused; nothing may be sent."""


class Stopped(CrmPipelinesError):
    """The run is being stopped; nothing more is sent."""


class Pacer:
    """Hands out moments at which a request may leave. Safe to use from several threads."""

    def __init__(
        self,
        reserve: Callable[[int, float], Reservation | None],
        *,
        rate_per_second: float,
        stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._reserve = reserve
        self._rate = rate_per_second * _SHARE_OF_LIMIT
        self._stop = stop
        self._clock = clock
        self._departures = Departures(rate_per_second, margin=_WAY_SECONDS, clock=clock, sleep=sleep)
        self._lock = threading.Lock()
        self._slots = 0
        self._next = 0.0
        self._spacing = 0.0
        self._forgotten = 0
        self._forgotten_before = 0

    def wait(self) -> None:
        """Return when a request may leave. Raises GatePaused, or Stopped once `stop` is set.

        It is the next request of this thread: should too many have left by then, the transport holds it back.
        """
        while True:
            with self._lock:
                due = self._take()
                forgotten_before = self._forgotten_before
            delay = due - self._clock()
            if self._stop.wait(delay) if delay > 0 else self._stop.is_set():
                raise Stopped
            if self._forgotten == forgotten_before and self._clock() - due <= _LATENESS_SECONDS:
                leave_by(self._departures.leave)
                return

    def set_rate(self, rate_per_second: float) -> None:
        """Reserve at this rate from the next block on; what leaves keeps to it from now on."""
        self._rate = rate_per_second * _SHARE_OF_LIMIT
        self._departures.limit = rate_per_second

    def forget_reserved(self) -> None:
        """Ask the gate again before the next request, also for those who wait for their slots already."""
        self._forgotten += 1  # without the lock: its holder may be waiting for the gate

    def _take(self) -> float:
        if self._forgotten != self._forgotten_before:
            self._slots = 0
        if not self._slots:
            if self._stop.is_set():
                raise Stopped
            self._forgotten_before = self._forgotten
            wanted = max(1, round(self._rate * _BLOCK_SECONDS))
            reservation = self._reserve(wanted, self._rate)
            if reservation is None:
                raise GatePaused
            self._slots = reservation.slots
            self._next = self._clock() + reservation.first_seconds
            self._spacing = reservation.spacing_seconds
        due = self._next
        self._slots -= 1
        self._next += self._spacing
        return due
