"""One run's way through the gate: waits for its turn, and tells the gate what concerns the account."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from crm_pipelines.contacts.gates import MAX_FAILURES_IN_A_ROW, Gate, GateKeeper, Reservation
from crm_pipelines.contacts.retrying import with_retries
from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.outcomes import SETTINGS, Outcome, Result
from crm_pipelines.delivery.gatekeeping import close, soon_over
from crm_pipelines.delivery.pacing import Pacer, Stopped
from crm_pipelines.delivery.rates import LONGEST_PAUSE, RateLimit

# Known outcomes are worth waiting for a database that restarts; before anything was sent, giving up soon is harmless.
_PATIENCE_TO_RECORD = timedelta(minutes=5)
_PATIENCE_TO_SEND = timedelta(seconds=30)
STOPPED = "the run is being stopped"
OTHER_ACCOUNT = "the contacts belong to another account now"

T = TypeVar("T")


class Passage:
    """Base of those who send on behalf of a run. Safe to use by threads.

    `halted` says why no more is sent; `refused_for_rate` counts answers that asked to slow down (429).
    """

    def __init__(self, *, gate: GateKeeper, crm: Crm, limit: RateLimit, stop: threading.Event | None = None) -> None:
        self._gate = gate
        self._crm = crm
        self._stop = stop or threading.Event()
        self._limit = limit
        self._pacer = Pacer(self._reserve, rate_per_second=limit.per_second, stop=self._stop)
        self._failures_in_a_row = 0
        self._lock = threading.Lock()
        self.refused_for_rate = 0
        self.halted: str | None = None

    def _mind_the_gate(self, outcome: Outcome) -> None:
        """Whatever concerns the account rather than the contact takes effect before the next request."""
        reason = outcome.message or outcome.kind or ""
        # The breaker hears of outcomes twice a second; at a high rate that is too late.
        if not outcome.shared:
            failed = outcome.result in {Result.RETRY, Result.UNKNOWN}
            self._failures_in_a_row = self._failures_in_a_row + 1 if failed else 0
        if self._failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
            self._halt("the CRM does not answer as it should")
        if outcome.result is Result.REFUSED:
            close(self._gate, self._crm, outcome)
            self._halt("the CRM refused a setting" if outcome.kind == SETTINGS else "the CRM refused the credentials")
        elif outcome.result is Result.SNOOZED:
            duration = min(outcome.retry_after or timedelta(seconds=1), LONGEST_PAUSE)
            self._gate.pause("rate_limit", f"The CRM asked to slow down: {reason}", duration)
            self._pacer.forget_reserved()
            with self._lock:
                self.refused_for_rate += 1
        if (pause := self._limit.used_up_for(outcome.rate)) is not None:
            self._gate.pause("rate_limit", "The account's allowance of requests is used up.", pause)
            self._pacer.forget_reserved()
        if (observed := self._limit.learn(outcome.rate)) is not None:
            self._gate.observe_limit(observed)
            self._pacer.set_rate(self._limit.per_second)

    def _reserve(self, slots: int, rate: float) -> Reservation | None:
        while True:
            reservation = self._patiently(lambda: self._gate.reserve(slots, rate))
            if reservation is not None:
                return reservation
            gate = self._patiently(self._gate.read)
            if self._belongs_to_another_account(gate):
                self._halt(OTHER_ACCOUNT)
                raise Stopped
            if not gate.paused:
                continue
            if not soon_over(gate):
                return None
            self._pause(max(0.05, gate.paused_seconds or 0))

    def _belongs_to_another_account(self, gate: Gate | None = None) -> bool:
        """Whether the gate is that of another account by now than the one that this is sent to."""
        return self._gate.account is not None and (gate or self._gate.read()).account != self._gate.account

    def _halt(self, reason: str) -> None:
        if self.halted is None:
            self.halted = reason
        self._stop.set()

    def _patiently(self, call: Callable[[], T]) -> T:
        return with_retries(call, patience=_PATIENCE_TO_SEND, sleep=self._pause)

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped

    def _insistently(self, call: Callable[[], T]) -> T:
        return with_retries(call, patience=_PATIENCE_TO_RECORD)
