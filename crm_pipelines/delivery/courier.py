"""Delivers batches of claims to one CRM on behalf of one run.

Each answer is recorded in the ledger within half a second, so that a worker that dies knows no outcome that the
database does not. Carrying the outcomes over to the state machine is a step of its own (`Queue.apply`).
"""

import logging
import threading
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from crm_pipelines.contacts.gates import GateKeeper
from crm_pipelines.contacts.queue import Attempt, Claim, Delivery, Queue
from crm_pipelines.crms.base import Crm, Outcome, Payload, Result, Unsendable
from crm_pipelines.delivery.fence import ClaimLost, Fence
from crm_pipelines.delivery.gatekeeping import tally
from crm_pipelines.delivery.pacing import GatePaused, Stopped
from crm_pipelines.delivery.passage import STOPPED, Passage
from crm_pipelines.delivery.planning import DELIVERY_LEASE
from crm_pipelines.delivery.rates import RateLimit

_FLUSH_SECONDS = 0.5
_PENDING_ADDRESS_DELAY = timedelta(minutes=1)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """One contact ready to be sent."""

    delivery: Delivery
    payload: Payload
    revision: int


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """How a batch went: `released` claims were given back unsent; `halted` says why sending stopped early."""

    released: int
    halted: str | None


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
        released = sum(self.deliver([claim]).released for claim in claims)
        return Receipt(released=released, halted=self.halted)

    def deliver(self, claims: Sequence[Claim]) -> Receipt:
        """Send every contact that is still ours, record every outcome, give the rest back.

        What interrupts the run (a stop signal, say) is raised again after known outcomes are recorded and the unsent
        claims are given back.
        """
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
            unsent = [claim.contact_id for claim in claims if claim not in recorded]
            released = self._insistently(lambda: self._queue.release(self._run_id, unsent)) if unsent else 0
        return Receipt(released=released, halted=self.halted)

    def _send_all(self, deliveries: Sequence[Delivery], fence: Fence, recorded: set[Claim]) -> None:
        prepared = [prepare(self._crm, one, fence.revisions[one.claim.contact_id]) for one in deliveries]
        parcels = [one for one in prepared if isinstance(one, Parcel)]
        self._record([one for one in prepared if isinstance(one, Attempt)], recorded)
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
            self._halt("the run was interrupted")
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            self._record(answered, recorded)

    def _send(self, parcel: Parcel, fence: Fence, answered: list[Attempt]) -> None:
        contact_id = parcel.delivery.claim.contact_id
        started: float | None = None

        def before_request() -> None:
            nonlocal started
            self._pacer.wait()
            fence.check(contact_id)
            started = started or time.monotonic()

        try:
            outcome = self._crm.deliver(
                parcel.payload,
                remote_key=parcel.delivery.remote_key,
                remote_id=parcel.delivery.remote_id,
                before_request=before_request,
            )
        except (GatePaused, Stopped, ClaimLost) as reason:
            if not isinstance(reason, ClaimLost):
                self._halt("the gate is paused" if isinstance(reason, GatePaused) else STOPPED)
            return
        except sa.exc.SQLAlchemyError as error:
            _log.warning("The contacts database failed before a request: %s", type(error).__name__)
            self._halt("the contacts database failed")
            return
        except Exception as error:  # noqa: BLE001 - our own defect must cost this contact an attempt, not the batch
            outcome = _own_failure(error)
        duration = timedelta(seconds=time.monotonic() - started if started else 0)
        answered.append(_attempt(parcel, outcome, duration, self._crm.mapping_version))
        self._insistently(partial(self._mind_the_gate, outcome))

    def _record(self, attempts: Sequence[Attempt], recorded: set[Claim]) -> None:
        new = [attempt for attempt in attempts if attempt.claim not in recorded]
        if not new:
            return
        self._insistently(partial(self._queue.record, self._run_id, new))
        recorded.update(attempt.claim for attempt in new)
        verdict = self._insistently(partial(self._gate.judge, tally(new)))
        if verdict is not None:
            self._halt(f"the circuit breaker opened: {verdict}")


def prepare(crm: Crm, delivery: Delivery, revision: int) -> Parcel | Attempt:
    """What is to be sent of a contact, or the outcome of one that is not sent. Pure but for the CRM's mapping."""
    finish = partial(
        Attempt,
        claim=delivery.claim,
        revision=revision,
        duration=timedelta(),
        mapping_version=crm.mapping_version,
    )
    try:
        payload = crm.prepare(delivery.record, sent_attributes=delivery.sent_attributes)
    except Exception as error:  # noqa: BLE001 - our own defect must cost this contact an attempt, not the batch
        failure = _own_failure(error)
        return finish(outcome="retry", kind=failure.kind, message=failure.message)
    if isinstance(payload, Unsendable):
        return finish(outcome="skipped", kind=payload.kind, message=payload.message)
    if delivery.address_held_by in {"queued", "claimed"} and delivery.remote_key != payload.key:
        # The other contact has left this address, but the CRM does not know yet. Sent now, this one would take over
        # the other's entry, and the other's change of address would then rename it.
        return finish(
            outcome="snoozed",
            kind="address_in_transit",
            message="The CRM still holds another contact under this address, whose own change is yet to be delivered.",
            retry_after=_PENDING_ADDRESS_DELAY,
        )
    if delivery.address_held_by in {"failed", "skipped"} and delivery.remote_key != payload.key:
        return finish(
            outcome="rejected",
            kind="address_in_use",
            message="The CRM still holds another contact under this address, and that contact's delivery has failed. "
            "Mend that one first, or unselect it.",
        )
    if payload.hash == delivery.payload_hash and delivery.remote_key == payload.key:
        return finish(outcome="unchanged", payload_hash=payload.hash, warnings=payload.warnings)
    return Parcel(delivery=delivery, payload=payload, revision=revision)


def _attempt(parcel: Parcel, outcome: Outcome, duration: timedelta, mapping_version: str) -> Attempt:
    synced = outcome.result is Result.SYNCED
    return Attempt(
        claim=parcel.delivery.claim,
        revision=parcel.revision,
        outcome=outcome.result.value,
        duration=duration,
        kind=outcome.kind,
        code=outcome.code,
        message=outcome.message,
        http_status=outcome.http_status,
        request_id=outcome.request_id,
        requests=outcome.requests,
        retry_after=outcome.retry_after,
        remote_key=outcome.remote_key,
        remote_id=outcome.remote_id,
        # Only a confirmed delivery moves the hash: a rejected payload must be sent again.
        payload_hash=parcel.payload.hash if synced else None,
        sent_attributes=outcome.sent_attributes if synced else frozenset(),
        mapping_version=mapping_version,
        warnings=(*parcel.payload.warnings, *outcome.warnings),
    )


def _own_failure(error: Exception) -> Outcome:
    # The text of an unexpected exception may hold a contact's data; its type and place do not.
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    _log.error("Unexpected %s at %s while delivering a contact", type(error).__name__, place)
    return Outcome(
        result=Result.RETRY, kind="internal", message=f"Unexpected {type(error).__name__} in crm-pipelines at {place}."
    )
