"""Delivers batches of claims to one CRM on behalf of one run.

Each answer is recorded in the ledger within half a second, so that a worker that dies knows no outcome that the
database does not. Carrying the outcomes over to the state machine is a step of its own (`Queue.apply`).
"""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Sendable
from crm_pipelines.database.retrying import tries
from crm_pipelines.delivery.fence import Fence
from crm_pipelines.delivery.pace.gatekeeping import is_short_refusal, tally, telling
from crm_pipelines.delivery.pace.pacing import GatePaused, Stopped
from crm_pipelines.delivery.pace.session import CrmSession
from crm_pipelines.delivery.planning import DELIVERY_LEASE
from crm_pipelines.delivery.preparing import Prepared, attempt_of, own_failure, prepare, without_suppressed
from crm_pipelines.delivery.signals import undisturbed
from crm_pipelines.delivery.single.halving import send_apart
from crm_pipelines.faults import fault_point
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Attempt, Claim, Delivery

_FLUSH_SECONDS = 0.5
# Of one contact in one run. Refused for rate this often although each pause was kept, it waits for the next run.
_MOST_SENDS = 4
_INTERRUPTED = "the run was interrupted"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """How a batch went: `released` claims were given back unsent; `halted` says why sending stopped early.

    `locked` claims could be neither given back nor have their outcome written down, since somebody's transaction holds
    the contact, or the database failed. They return to the queue by themselves, or are parked where nothing must be
    sent twice.
    """

    released: int
    halted: str | None
    locked: int = 0


@dataclass
class _UnderWay:
    """A contact that is being sent: what it has come to so far, and since when."""

    prepared: Prepared
    started: float | None = None
    outcome: Outcome | None = None

    def __post_init__(self) -> None:
        self.contact_id = self.prepared.delivery.claim.contact_id
        self.sendable = self.prepared.sendable

    def heed(self, latest: Outcome) -> None:
        """Of what it came to before only the requests count."""
        former = self.outcome
        if former is not None:
            requests, answered = latest.requests + former.requests, latest.answered or former.answered
            latest = replace(latest, requests=requests, answered=answered)
        self.outcome = latest

    def attempt(self, crm: Crm) -> Attempt:
        assert self.outcome is not None
        duration = timedelta(seconds=time.monotonic() - self.started if self.started else 0)
        return attempt_of(self.prepared, self.outcome, duration, crm)


class Courier:
    """Delivers what one run has claimed."""

    def __init__(self, *, queue: Queue, session: CrmSession, run_id: str) -> None:
        self.session = session
        self._queue = queue
        self._crm = session.crm
        self._run_id = run_id
        self._numbers: dict[UUID, Claim] = {}
        self._in_doubt: set[Claim] = set()  # sent, perhaps, and not to be sent again; no outcome is known yet

    def present(self, claims: Sequence[Claim]) -> tuple[Claim, ...]:
        """These claims under the numbers that they have now: of those whose delivery has begun, nobody else's."""
        return tuple(self._numbers.get(claim.contact_id, claim) for claim in claims)

    def deliver_one_at_a_time(self, claims: Sequence[Claim]) -> Receipt:
        """For crash suspects: while one is being delivered, no other can be blamed."""
        return self._sum([self.deliver([claim]) for claim in claims])

    def deliver_after_a_probe(self, claims: Sequence[Claim]) -> Receipt:
        """For a gate that tries out a single contact: one at a time until one has had an answer, then the others.

        Whoever is only asked to wait gets no answer that tells anything: then the others go back unsent.
        """
        receipts: list[Receipt] = []
        left = list(claims)
        while left and self.session.halted is None and self.session.insistently(self.session.gate.read).probing:
            if self.session.refused_for_rate:
                released, locked = self._give_back(left)
                return self._sum([*receipts, Receipt(released=released, locked=locked, halted=None)])
            receipts.append(self.deliver([left.pop(0)]))
        return self._sum([*receipts, self.deliver(left)])

    def _sum(self, receipts: Sequence[Receipt]) -> Receipt:
        return Receipt(
            released=sum(one.released for one in receipts),
            locked=sum(one.locked for one in receipts),
            halted=self.session.halted,
        )

    def deliver(self, claims: Sequence[Claim]) -> Receipt:
        """Send every contact that is still ours, record every outcome, give the rest back.

        A stop signal ends the sending; its handler hears of it after known outcomes are recorded and the unsent claims
        are given back. So does whatever else interrupts the run.
        """
        return undisturbed(partial(self._deliver, claims), partial(self.session.halt, _INTERRUPTED))

    def _deliver(self, claims: Sequence[Claim]) -> Receipt:
        queue, patiently = self._queue, self.session.patiently
        fence = Fence(
            lambda given, leap: patiently(lambda: queue.begin(given, lease=DELIVERY_LEASE, leap=leap)),
            lambda held: patiently(lambda: queue.renew(held, lease=DELIVERY_LEASE)),
            claims,
        )
        recorded: set[Claim] = set()
        try:
            if self.session.halted is None:
                held = fence.hold()
                deliveries = patiently(lambda: queue.load(held))
                self._send_all(deliveries, fence, recorded)
        except Stopped:
            pass
        finally:
            self._numbers |= {claim.contact_id: claim for claim in fence.numbers}
            released, locked = self._give_back([claim for claim in fence.numbers if claim not in recorded])
        return Receipt(released=released, halted=self.session.halted, locked=locked)

    def _give_back(self, unsent: Sequence[Claim]) -> tuple[int, int]:
        """How many of the claims are free now, and how many somebody's transaction keeps from being so."""
        if not unsent:
            return 0, 0
        certain = [claim for claim in unsent if claim not in self._in_doubt]
        session = self.session
        released = session.insistently(lambda: self._queue.release(self._run_id, certain))
        _, locked = session.insistently(lambda: self._queue.unattempted(unsent)) if released < len(unsent) else (0, 0)
        return released, locked

    def _send_all(self, deliveries: Sequence[Delivery], fence: Fence, recorded: set[Claim]) -> None:
        prepared = [prepare(self._crm, one, fence.revisions[one.claim.contact_id]) for one in deliveries]
        prepared = self.session.patiently(lambda: without_suppressed(self._queue, prepared, self._crm.mapping_version))
        self._record([one for one in prepared if isinstance(one, Attempt)], recorded)
        ready = self._intend([one for one in prepared if isinstance(one, Prepared)])
        if not ready:
            return
        answered: list[Attempt] = []  # in order of arrival; what was recorded stays, so that no interruption loses any
        most = self._crm.most_per_request
        chunks = [ready[start : start + most] for start in range(0, len(ready), most)]
        pool = ThreadPoolExecutor(min(self.session.limit.threads, len(chunks)), thread_name_prefix="send")
        try:
            pending = {pool.submit(self._send, chunk, fence, answered) for chunk in chunks}
            while pending:
                done, pending = wait(pending, timeout=_FLUSH_SECONDS)
                self._record(answered, recorded)
                fence.keep()
                for future in done:
                    future.result()
        except BaseException:
            self.session.halt(_INTERRUPTED)
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            for _ in tries():
                self._record(answered, recorded)
                if all(attempt.claim in recorded for attempt in answered):
                    break

    def _intend(self, prepared: Sequence[Prepared]) -> list[Prepared]:
        """Those that may be sent, now that it is written down what of."""
        ours = self.session.patiently(lambda: self._queue.intend([one.intent for one in prepared]))
        return [one for one in prepared if one.delivery.claim.contact_id in ours]

    def _send(self, prepared: Sequence[Prepared], fence: Fence, answered: list[Attempt]) -> None:
        """Send these in one request, and again in smaller ones should it be refused without a word for whom."""

        def send(contacts: Sequence[_UnderWay]) -> list[_UnderWay]:
            return self._send_together(contacts, fence, answered)

        refused = send([_UnderWay(one) for one in prepared])
        if len(refused) > 1:
            send_apart(refused, send)

    def _send_together(self, contacts: Sequence[_UnderWay], fence: Fence, answered: list[Attempt]) -> list[_UnderWay]:
        """Record what each came to, after the pauses that the CRM asks for; returns those who did not get through.

        These are the one who was alone, or those of several whom it refused without a word for whom; the latter have no
        outcome yet.
        """
        refused: list[_UnderWay] = []
        alone = len(contacts) == 1
        for sends_left in reversed(range(_MOST_SENDS)):
            outcomes = _settled(self._hand_over(contacts, fence))
            again: list[_UnderWay] = []
            for contact, outcome in zip(contacts, outcomes, strict=True):
                if outcome is not None:
                    contact.heed(outcome)
                    if sends_left and is_short_refusal(outcome):
                        again.append(contact)
                        continue
                    if outcome.whole or (alone and outcome.result is not Result.SYNCED):
                        refused.append(contact)
                if contact.outcome is not None and not contact.outcome.whole:
                    answered.append(contact.attempt(self._crm))
            for outcome in telling(outcomes):
                self.session.heed(outcome)
            contacts = again
            if not contacts:
                break
        return refused

    def _hand_over(self, contacts: Sequence[_UnderWay], fence: Fence) -> Sequence[Outcome | None]:
        """What the CRM says of each; None where it was not asked, since the run sends no more or not this contact."""
        by_id = {contact.sendable.external_id: contact for contact in contacts}
        in_a_request: set[UUID] = set()

        def turn(sendables: Sequence[Sendable]) -> list[Sendable]:
            if not self._may_send():
                return []
            about = [by_id[one.external_id] for one in sendables]
            ours = self._still_ours([one.prepared.delivery.claim for one in about], fence)
            for one in about:
                one.started = one.started or time.monotonic()
            in_a_request.update(ours)
            return [one for one in sendables if by_id[one.external_id].contact_id in ours]

        try:
            outcomes = self._crm.deliver(
                [contact.sendable for contact in contacts], turn=turn, is_contact=self._queue.is_contact
            )
            if len(outcomes) != len(contacts):
                raise ValueError("not one outcome for each contact")
        except Exception as error:  # noqa: BLE001 - our own defect must cost this contact an attempt, not the batch
            return self._broken_off(error, contacts, in_a_request)
        if any(outcomes):
            fault_point("after_send")
        self._in_doubt -= {
            one.prepared.delivery.claim for one, told in zip(contacts, outcomes, strict=True) if told is None
        }
        return outcomes

    def _broken_off(
        self, error: Exception, contacts: Sequence[_UnderWay], in_a_request: set[UUID]
    ) -> list[Outcome | None]:
        """What is known of contacts whose delivery ended by an exception: who was in no request was not sent."""
        database = isinstance(error, sa.exc.SQLAlchemyError)  # from `is_contact`
        if database:
            self._halt_for(error)
            if self._crm.repeatable:
                return [None] * len(contacts)
        failure = own_failure(error)

        def known_of(contact_id: UUID) -> Outcome | None:
            sent = contact_id in in_a_request
            if sent and not self._crm.repeatable:
                return replace(failure, result=Result.UNKNOWN)
            if database or (self.session.halted and not sent):
                return None
            return replace(failure, whole=len(contacts) > 1)

        return [known_of(contact.contact_id) for contact in contacts]

    def _may_send(self) -> bool:
        """Wait for a turn at the gate; False when the run sends no more."""
        try:
            self.session.turn()
        except (GatePaused, Stopped):
            self.session.halt("sending is paused")  # unless it is halted for something else
            return False
        except sa.exc.SQLAlchemyError as error:
            self._halt_for(error)
            return False
        return True

    def _still_ours(self, claims: Sequence[Claim], fence: Fence) -> set[UUID]:
        fault_point("before_fence")
        try:
            ours = fence.still_ours(self._noted(claims))
        except Stopped:
            return set()
        except sa.exc.SQLAlchemyError as error:
            self._halt_for(error)
            return set()
        if not self._crm.repeatable:
            self._in_doubt |= {claim for claim in claims if claim.contact_id in ours}
        if ours:
            fault_point("before_send")
        return ours

    def _noted(self, claims: Sequence[Claim]) -> set[UUID]:
        """Those that may be sent: where nothing must be sent twice, once it is written down that they are.

        Ahead of the fence, whose look at the clock comes last.
        """
        if self._crm.repeatable:
            return {claim.contact_id for claim in claims}
        return self.session.patiently(lambda: self._queue.note_sending(claims))

    def _halt_for(self, error: Exception) -> None:
        _log.warning("The contacts database failed before a request: %s", type(error).__name__)
        self.session.halt("the contacts database failed")

    def _record(self, attempts: Sequence[Attempt], recorded: set[Claim]) -> None:
        new = [attempt for attempt in attempts if attempt.claim not in recorded]
        if not new:
            return
        written = self.session.insistently(partial(self._queue.record, self._run_id, new))
        recorded.update(written)
        if not written:
            return
        verdict = self.session.insistently(
            partial(self.session.gate.judge, tally([attempt for attempt in new if attempt.claim in written]))
        )
        if verdict is not None:
            self.session.halt(f"the circuit breaker opened: {verdict}")


def _settled(outcomes: Sequence[Outcome | None]) -> Sequence[Outcome | None]:
    """The same, where a refusal of the whole that befell one contact only is that contact's own."""
    if sum(outcome is not None and outcome.whole for outcome in outcomes) > 1:
        return outcomes
    return [outcome and replace(outcome, whole=False) for outcome in outcomes]
