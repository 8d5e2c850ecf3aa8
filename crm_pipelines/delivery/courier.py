"""Delivers batches of claims to one CRM on behalf of one run.

Each answer is recorded in the ledger within half a second, so that a worker that dies knows no outcome that the
database does not. Carrying the outcomes over to the state machine is a step of its own (`Queue.apply`).
"""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import sqlalchemy as sa

from crm_pipelines.contacts.gates import GateKeeper
from crm_pipelines.contacts.queue import Attempt, Claim, Delivery, Queue
from crm_pipelines.contacts.retrying import tries
from crm_pipelines.crms.base import BeforeRequest, Crm, Outcome, Result
from crm_pipelines.delivery.fence import ClaimLost, Fence
from crm_pipelines.delivery.gatekeeping import SHORT_PAUSE_SECONDS, tally
from crm_pipelines.delivery.pacing import GatePaused, Stopped
from crm_pipelines.delivery.parcels import Parcel, attempt_of, own_failure, prepare, without_suppressed
from crm_pipelines.delivery.passage import STOPPED, Passage
from crm_pipelines.delivery.planning import DELIVERY_LEASE
from crm_pipelines.delivery.rates import RateLimit
from crm_pipelines.delivery.signals import undisturbed
from crm_pipelines.faults import fault_point

_FLUSH_SECONDS = 0.5
# Of one contact in one run. Refused for rate this often although each pause was kept, it waits for the next run.
_MOST_SENDS = 4
_INTERRUPTED = "the run was interrupted"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """How a batch went: `released` claims were given back unsent; `halted` says why sending stopped early.

    `locked` claims could be neither given back nor have their outcome written down, since somebody's transaction holds
    the contact. They return to the queue by themselves.
    """

    released: int
    halted: str | None
    locked: int = 0


class Courier(Passage):
    """One run's way to one CRM; `halted` says why it sends no more."""

    def __init__(
        self,
        *,
        queue: Queue,
        gate: GateKeeper,
        crm: Crm,
        run_id: str,
        limit: RateLimit,
        stop: threading.Event | None = None,
    ) -> None:
        super().__init__(gate=gate, crm=crm, limit=limit, stop=stop)
        self._queue = queue
        self._run_id = run_id

    def deliver_one_at_a_time(self, claims: Sequence[Claim]) -> Receipt:
        """For crash suspects: while one is being delivered, no other can be blamed."""
        return self._sum([self.deliver([claim]) for claim in claims])

    def deliver_after_a_probe(self, claims: Sequence[Claim]) -> Receipt:
        """For a gate that tries out a single contact: one at a time until one has had an answer, then the others.

        Whoever is only asked to wait gets no answer that tells anything: then the others go back unsent.
        """
        receipts: list[Receipt] = []
        left = list(claims)
        while left and self.halted is None and self._insistently(self._gate.read).probing:
            if self.refused_for_rate:
                released, locked = self._give_back(left)
                return self._sum([*receipts, Receipt(released=released, locked=locked, halted=None)])
            receipts.append(self.deliver([left.pop(0)]))
        return self._sum([*receipts, self.deliver(left)])

    def _sum(self, receipts: Sequence[Receipt]) -> Receipt:
        return Receipt(
            released=sum(one.released for one in receipts),
            locked=sum(one.locked for one in receipts),
            halted=self.halted,
        )

    def deliver(self, claims: Sequence[Claim]) -> Receipt:
        """Send every contact that is still ours, record every outcome, give the rest back.

        A stop signal ends the sending; its handler hears of it after known outcomes are recorded and the unsent claims
        are given back. So does whatever else interrupts the run.
        """
        return undisturbed(partial(self._deliver, claims), partial(self._halt, _INTERRUPTED))

    def _deliver(self, claims: Sequence[Claim]) -> Receipt:
        fence = Fence(lambda held: self._patiently(lambda: self._queue.renew(held, lease=DELIVERY_LEASE)), claims)
        recorded: set[Claim] = set()
        try:
            if self.halted is None:
                ours = fence.hold()
                held = [claim for claim in claims if claim.contact_id in ours]
                deliveries = self._patiently(lambda: self._queue.load(held))
                self._send_all(deliveries, fence, recorded)
        except Stopped:
            self._halt(STOPPED)
        finally:
            released, locked = self._give_back([claim for claim in claims if claim not in recorded])
        return Receipt(released=released, halted=self.halted, locked=locked)

    def _give_back(self, unsent: Sequence[Claim]) -> tuple[int, int]:
        """How many of the claims are free now, and how many somebody's transaction keeps from being so."""
        if not unsent:
            return 0, 0
        ids = [claim.contact_id for claim in unsent]
        released = self._insistently(lambda: self._queue.release(self._run_id, ids))
        _, locked = self._insistently(lambda: self._queue.unattempted(unsent)) if released < len(ids) else (0, 0)
        return released, locked

    def _send_all(self, deliveries: Sequence[Delivery], fence: Fence, recorded: set[Claim]) -> None:
        prepared = [prepare(self._crm, one, fence.revisions[one.claim.contact_id]) for one in deliveries]
        prepared = self._patiently(lambda: without_suppressed(self._queue, prepared, self._crm.mapping_version))
        self._record([one for one in prepared if isinstance(one, Attempt)], recorded)
        parcels = self._intend([one for one in prepared if isinstance(one, Parcel)])
        if not parcels:
            return
        answered: list[Attempt] = []  # in order of arrival; what was recorded stays, so that no interruption loses any
        pool = ThreadPoolExecutor(min(self._limit.threads, len(parcels)), thread_name_prefix="send")
        try:
            pending = {pool.submit(self._send, parcel, fence, answered) for parcel in parcels}
            while pending:
                done, pending = wait(pending, timeout=_FLUSH_SECONDS)
                self._record(answered, recorded)
                fence.keep()
                for future in done:
                    future.result()
        except BaseException:
            self._halt(_INTERRUPTED)
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            for _ in tries():
                self._record(answered, recorded)
                if all(attempt.claim in recorded for attempt in answered):
                    break

    def _intend(self, parcels: Sequence[Parcel]) -> list[Parcel]:
        """Those that may be sent, now that it is written down what of."""
        ours = self._patiently(lambda: self._queue.intend([one.intent for one in parcels]))
        return [one for one in parcels if one.delivery.claim.contact_id in ours]

    def _send(self, parcel: Parcel, fence: Fence, answered: list[Attempt]) -> None:
        contact_id = parcel.delivery.claim.contact_id
        started: float | None = None
        outcome: Outcome | None = None

        def before_request() -> None:
            nonlocal started
            self._pacer.wait()
            fault_point("before_fence")
            fence.check(contact_id)
            fault_point("before_send")
            started = started or time.monotonic()

        def answer(outcome: Outcome) -> None:
            duration = timedelta(seconds=time.monotonic() - started if started else 0)
            answered.append(attempt_of(parcel, outcome, duration, self._crm))

        for sends_left in reversed(range(_MOST_SENDS)):
            latest = self._hand_over(parcel, before_request)
            if latest is None:
                if outcome is not None:
                    answer(outcome)
                return
            fault_point("after_send")
            if outcome is not None:
                latest = replace(
                    latest,
                    requests=latest.requests + outcome.requests,
                    answered=latest.answered or outcome.answered,
                )
            outcome = latest
            again = sends_left > 0 and _is_short_refusal(outcome)
            if not again:
                answer(outcome)
            self._insistently(partial(self._mind_the_gate, outcome))
            if not again:
                return

    def _hand_over(self, parcel: Parcel, before_request: BeforeRequest) -> Outcome | None:
        """What the CRM says; None when it was not asked to the end, since the run sends no more or not this contact."""
        try:
            return self._crm.deliver(
                parcel.payload,
                remote_key=parcel.delivery.remote_key,
                remote_id=parcel.delivery.remote_id,
                before_request=before_request,
                remembered=parcel.remembered,
                is_contact=self._queue.is_contact,
            )
        except ClaimLost:
            return None
        except (GatePaused, Stopped) as reason:
            self._halt("the gate is paused" if isinstance(reason, GatePaused) else STOPPED)
            return None
        except sa.exc.SQLAlchemyError as error:
            _log.warning("The contacts database failed before a request: %s", type(error).__name__)
            self._halt("the contacts database failed")
            return None
        except Exception as error:  # noqa: BLE001 - our own defect must cost this contact an attempt, not the batch
            return own_failure(error)

    def _record(self, attempts: Sequence[Attempt], recorded: set[Claim]) -> None:
        new = [attempt for attempt in attempts if attempt.claim not in recorded]
        if not new:
            return
        written = self._insistently(partial(self._queue.record, self._run_id, new))
        recorded.update(written)
        if not written:
            return
        verdict = self._insistently(
            partial(self._gate.judge, tally([attempt for attempt in new if attempt.claim in written]))
        )
        if verdict is not None:
            self._halt(f"the circuit breaker opened: {verdict}")


def _is_short_refusal(outcome: Outcome) -> bool:
    """Whether the CRM only asks for a pause that the run waits out: before the next request, at the gate."""
    wait = outcome.retry_after or timedelta()
    return outcome.result is Result.SNOOZED and wait.total_seconds() <= SHORT_PAUSE_SECONDS
