"""From a claim's data to what is sent of a contact, and from what it came to, to the ledger's entry."""

import logging
import traceback
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from crm_pipelines.crms.base import Mapper
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Payload, Remembered, Sendable, Unsendable
from crm_pipelines.delivery.spellings import forms_of
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Attempt, Delivery, Intent

_PENDING_ADDRESS_DELAY = timedelta(minutes=1)

# Who has left an address here and will not leave it at the CRM by itself.
_STAYING = {
    "failed": "could not be delivered. Correct that one first",
    "skipped": "is never sent. Correct that one first",
    "unselected": "is not selected, so its new address is not sent. Select that one first",
}

_log = logging.getLogger(__name__)


class Prepared(NamedTuple):
    """One contact ready to be sent.

    `steps_aside`: under an interim address, to make room in a ring of contacts that wait for each other's addresses.
    """

    delivery: Delivery
    payload: Payload
    revision: int
    steps_aside: bool = False

    @property
    def intent(self) -> Intent:
        names = frozenset(self.payload.attributes)
        return Intent(claim=self.delivery.claim, key=self.payload.key, names=names)

    @property
    def sendable(self) -> Sendable:
        return sendable_of(self.delivery, self.payload)


def sendable_of(delivery: Delivery, payload: Payload) -> Sendable:
    """The contact as the CRM's module takes it, with what it needs to know of earlier deliveries."""
    remembered = Remembered(
        maybe_keys=delivery.maybe_keys,
        lists=delivery.lists,
        remote_mark=delivery.remote_mark,
        # Without a hash it is not known what the last request came to, or the user wants all of it sent again.
        certain=delivery.payload_hash is not None,
    )
    return Sendable(
        payload=payload,
        remote_key=delivery.remote_key,
        remote_id=delivery.remote_id,
        remembered=remembered,
        occasion=delivery.occasion,
    )


def prepare(crm: Mapper, delivery: Delivery, revision: int) -> Prepared | Attempt:
    """What is to be sent of a contact, or the outcome of one that is not sent. Pure but for the CRM's mapping."""
    finish = partial(_ended, crm, delivery, revision)
    if other := delivery.same_as:
        message = f"Contact {other} has the same address: merge the two, delete one, or correct an address."
        return finish(outcome="skipped", kind="same_address", message=message)
    try:
        payload = crm.prepare(delivery.record, sent_attributes=delivery.sent_attributes)
    except Exception as error:  # noqa: BLE001 - our own defect must cost this contact an attempt, not the batch
        failure = own_failure(error)
        return finish(outcome="retry", kind=failure.kind, message=failure.message)
    if isinstance(payload, Unsendable):
        return finish(outcome="skipped", kind=payload.kind, message=payload.message)
    if delivery.gives_way and delivery.remote_key != payload.key:
        aside = replace(payload, key=interim_address(delivery))
        return Prepared(delivery=delivery, payload=aside, revision=revision, steps_aside=True)
    if delivery.address_held_by in {"queued", "claimed"} and delivery.remote_key != payload.key:
        # The other contact has left this address, but the CRM does not know yet. Sent now, this one would take over
        # the other's entry, and the other's change of address would then rename it.
        return finish(
            outcome="snoozed",
            kind="address_in_transit",
            message="The CRM still holds another contact under this address, whose own change is yet to be delivered.",
            retry_after=_PENDING_ADDRESS_DELAY,
        )
    if delivery.address_held_by in _STAYING and delivery.remote_key != payload.key:
        # Sent, this one would take over the other's entry, and lose it once that one is delivered after all.
        return finish(
            outcome="rejected",
            kind="address_in_use",
            message="The CRM still holds another contact under this address, and that contact "
            f"{_STAYING[delivery.address_held_by]}, or delete it here and at the CRM.",
        )
    if payload.hash == delivery.payload_hash and delivery.remote_key == payload.key:
        return finish(
            outcome="unchanged", payload_hash=payload.hash, warnings=payload.warnings, left_out=payload.left_out
        )
    return Prepared(delivery=delivery, payload=payload, revision=revision)


def _ended(crm: Mapper, delivery: Delivery, revision: int, **outcome: Any) -> Attempt:
    """The ledger's entry of a contact that is not sent."""
    return Attempt(
        claim=delivery.claim,
        revision=revision,
        duration=timedelta(),
        mapping_version=crm.mapping_version,
        attributes_version=crm.attributes_version,
        **outcome,
    )


def without_suppressed(
    queue: Queue, prepared: Sequence[Prepared | Attempt], mapping_version: str
) -> list[Prepared | Attempt]:
    """The same, but with the outcome of those who must never be sent: known by the form in which they would be."""
    ready = [one for one in prepared if isinstance(one, Prepared)]
    suppressed = queue.suppressed({one.delivery.claim.contact_id: forms_of(one.payload.key) for one in ready})
    if not suppressed:
        return list(prepared)
    return [
        Attempt(
            claim=one.delivery.claim,
            revision=one.revision,
            outcome="skipped",
            kind="suppressed",
            message="Suppressed: never to be sent to this CRM.",
            duration=timedelta(),
            mapping_version=mapping_version,
        )
        if isinstance(one, Prepared) and one.delivery.claim.contact_id in suppressed
        else one
        for one in prepared
    ]


def interim_address(delivery: Delivery) -> str:
    """Where a contact waits while others take the address that it leaves. Nobody gets mail there (RFC 2606)."""
    return f"{delivery.record['id']}@address-change.invalid"


def attempt_of(prepared: Prepared, outcome: Outcome, duration: timedelta, crm: Mapper) -> Attempt:
    """The ledger's entry of a delivery that came to `outcome` after `duration`."""
    synced = outcome.result is Result.SYNCED
    attempt = Attempt(
        claim=prepared.delivery.claim,
        revision=prepared.revision,
        outcome=outcome.result.value,
        duration=duration,
        kind=outcome.kind,
        code=outcome.code,
        message=outcome.message,
        http_status=outcome.http_status,
        request_id=outcome.request_id,
        requests=outcome.requests,
        answered=outcome.answered,
        retry_after=outcome.retry_after,
        remote_key=outcome.remote_key,
        remote_id=outcome.remote_id,
        remote_mark=outcome.remote_mark,
        lists=outcome.lists,
        # Only a confirmed delivery moves the hash: a rejected payload must be sent again, and so must one of which the
        # CRM refused a part.
        payload_hash=prepared.payload.hash if synced and not outcome.left_out else None,
        sent_attributes=outcome.sent_attributes if synced else frozenset(),
        mapping_version=crm.mapping_version,
        attributes_version=crm.attributes_version,
        warnings=(*prepared.payload.warnings, *outcome.warnings),
        left_out=prepared.payload.left_out | outcome.left_out,
    )
    return _aside(attempt) if prepared.steps_aside else attempt


def _aside(attempt: Attempt) -> Attempt:
    """What a step aside came to: it delivers nothing yet."""
    if attempt.outcome == Result.SYNCED:
        return replace(
            attempt,
            outcome="snoozed",
            kind="address_ring",
            message="Contacts take over each other's addresses, so this one stands under an interim address at the CRM "
            "until its new one is free.",
            retry_after=_PENDING_ADDRESS_DELAY,
            payload_hash=None,
        )
    if attempt.outcome == Result.REJECTED:
        return replace(
            attempt,
            kind="address_ring",
            message="Contacts take over each other's addresses, and the CRM refused this one an interim address. "
            f"Change one of their addresses at the CRM by hand. {attempt.message}",
        )
    return attempt


def own_failure(error: Exception) -> Outcome:
    """The outcome of a delivery that failed by a defect of ours."""
    # The text of an unexpected exception may hold a contact's data; its type and place do not.
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    _log.error("Unexpected %s at %s while delivering a contact", type(error).__name__, place)
    return Outcome(
        result=Result.RETRY,
        kind="internal",
        message=f"Unexpected {type(error).__name__} in crm-pipelines at {place}.",
    )
