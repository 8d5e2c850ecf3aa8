"""One run's session with one CRM account: its turns at the gate, and what the gate is told of the CRM's answers."""

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TypeVar

from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.outcomes import SETTINGS, Outcome, Result
from crm_pipelines.database.retrying import with_retries
from crm_pipelines.delivery.pace.gatekeeping import close, soon_over
from crm_pipelines.delivery.pace.pacing import Pacer, Stopped
from crm_pipelines.delivery.pace.rates import LONGEST_PAUSE, RateLimit
from crm_pipelines.destinations.gates import MAX_FAILURES_IN_A_ROW, Gate, GateKeeper, Reservation, Tally

# Known outcomes are worth waiting for a database that restarts; before anything was sent, giving up soon is harmless.
_PATIENCE_TO_RECORD = timedelta(minutes=5)
_PATIENCE_TO_SEND = timedelta(seconds=30)
STOPPED = "the run is being stopped"
OTHER_ACCOUNT = "the contacts belong to another account now"

T = TypeVar("T")


class CrmSession:
    """What whoever sends on behalf of a run has. Safe to use by threads.

    `halted` says why no more is sent, and so why Stopped is raised; `requests` counts the turns taken,
    `refused_for_rate` the answers that asked to slow down (429).
    """

    def __init__(self, *, gate: GateKeeper, crm: Crm, limit: RateLimit) -> None:
        self.gate = gate
        self.crm = crm
        self.limit = limit
        self.halted: str | None = None
        self.requests = 0
        self.refused_for_rate = 0
        self._stop = threading.Event()
        self._pacer = Pacer(self._reserve, rate_per_second=limit.per_second, stop=self._stop)
        self._failures_in_a_row = 0
        self._lock = threading.Lock()

    def turn(self) -> None:
        """Return when a request may leave. Raises GatePaused or Stopped."""
        self._pacer.wait()
        with self._lock:
            self.requests += 1

    def heed(self, outcome: Outcome) -> None:
        """Whatever concerns the account rather than the contact takes effect before the next request.

        The breaker hears of failures from whoever records the outcome.
        """
        self.insistently(partial(self._heed, outcome))

    def heed_unrecorded(self, outcome: Outcome) -> None:
        """The same of an outcome that nobody records."""
        self.heed(outcome)
        if outcome.result is Result.RETRY:
            failure = Tally(successes=0, failures=1, trailing_failures=1, rejects=0, last_failure=outcome.message or "")
            self.insistently(partial(self.gate.judge, failure))

    def heed_endpoint(self, outcome: Outcome) -> None:
        """The same, but for a refusal: it may be of this endpoint alone. If not, the next single delivery meets it."""
        if outcome.result is not Result.REFUSED:
            self.heed_unrecorded(outcome)

    def halt(self, reason: str) -> None:
        """Send no more; the first reason counts."""
        if self.halted is None:
            self.halted = reason
        self._stop.set()

    def require_going(self) -> None:
        """Raises Stopped once the session is to send no more."""
        if self._stop.is_set():
            raise Stopped

    def belongs_to_another_account(self, gate: Gate | None = None) -> bool:
        """Whether the gate is that of another account by now than the one that this is sent to."""
        return self.gate.account is not None and (gate or self.gate.read()).account != self.gate.account

    def pause(self, seconds: float) -> None:
        """Raises Stopped if that comes first."""
        if self._stop.wait(seconds):
            raise Stopped

    def patiently(self, call: Callable[[], T]) -> T:
        """For calls of the database before anything is sent: see `with_retries`. Raises Stopped as well."""
        return with_retries(call, patience=_PATIENCE_TO_SEND, sleep=self.pause)

    def insistently(self, call: Callable[[], T]) -> T:
        """For calls of the database that write down what is known, or free what is held; no stop ends them."""
        return with_retries(call, patience=_PATIENCE_TO_RECORD)

    def _heed(self, outcome: Outcome) -> None:
        reason = outcome.message or outcome.kind or ""
        # The breaker hears of outcomes twice a second; at a high rate that is too late.
        if not outcome.shared:
            failed = outcome.result in {Result.RETRY, Result.UNKNOWN}
            self._failures_in_a_row = self._failures_in_a_row + 1 if failed else 0
        if self._failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
            self.halt("the CRM does not answer as it should")
        if outcome.result is Result.REFUSED:
            close(self.gate, self.crm, outcome)
            self.halt("the CRM refused a setting" if outcome.kind == SETTINGS else "the CRM refused the credentials")
        elif outcome.result is Result.SNOOZED:
            duration = min(outcome.retry_after or timedelta(seconds=1), LONGEST_PAUSE)
            self.gate.pause("rate_limit", f"The CRM asked to slow down: {reason}", duration)
            self._pacer.forget_reserved()
            with self._lock:
                self.refused_for_rate += 1
        if (pause := self.limit.used_up_for(outcome.rate)) is not None:
            self.gate.pause("rate_limit", "The account's allowance of requests is used up.", pause)
            self._pacer.forget_reserved()
        if (observed := self.limit.learn(outcome.rate)) is not None:
            self.gate.observe_limit(observed)
            self._pacer.set_rate(self.limit.per_second)

    def _reserve(self, slots: int, rate: float) -> Reservation | None:
        while True:
            reservation = self.patiently(lambda: self.gate.reserve(slots, rate))
            if reservation is not None:
                return reservation
            gate = self.patiently(self.gate.read)
            if self.belongs_to_another_account(gate):
                self.halt(OTHER_ACCOUNT)
                raise Stopped
            if not gate.paused:
                continue
            if not soon_over(gate):
                return None
            self.pause(max(0.05, gate.paused_seconds or 0))
