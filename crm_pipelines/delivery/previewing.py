"""What deliveries would come to, as far as it can be told without sending: of many in counts, of a few by field."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.payloads import Line
from crm_pipelines.delivery.preparing import Prepared, prepare, without_suppressed
from crm_pipelines.delivery.totals import Totals, fates_in_words
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Attempt, Claim, Delivery
from crm_pipelines.statistics.left_out import LeftOut, left_out_of

MOST_SHOWN = 10
"""Contacts that are shown field by field."""

_KINDS = {"new": "new", "changed": "changed", "again": "sent again"}
_FATES = {"rejected": "failed", "retry": "retrying", "snoozed": "released"}


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """What a run would come to if the CRM takes each contact that it is sent. No data of a contact.

    Of those that would be delivered, as far as we know, `new` are new at the CRM and `changed` are other than when they
    were last sent. `warnings` counts what would be left out, in the words of the ledger. `first` are the contacts that
    a run would take first.
    """

    totals: Totals
    new: int = 0
    changed: int = 0
    warnings: Mapping[str, int] = field(default_factory=dict)
    first: tuple[UUID, ...] = ()

    def counts(self) -> dict[str, int]:
        """Those of the totals, and how many of the delivered ones are new, changed, and sent again in any case."""
        again = self.totals.synced - self.new - self.changed
        return {**self.totals.counts(), "new": self.new, "changed": self.changed, "again": again}

    def left_out(self) -> list[LeftOut]:
        """By field and reason, the commonest first."""
        return left_out_of(self.warnings)

    @staticmethod
    def sum(parts: "Iterable[Foreseen]") -> "Foreseen":
        parts = list(parts)
        warnings: Counter[str] = Counter()
        for part in parts:
            warnings.update(part.warnings)
        return Foreseen(
            totals=Totals.sum(part.totals for part in parts),
            new=sum(part.new for part in parts),
            changed=sum(part.changed for part in parts),
            warnings=dict(warnings),
            first=tuple(one for part in parts for one in part.first)[:MOST_SHOWN],
        )


def foresee(queue: Queue, crm: Crm, claims: Sequence[Claim]) -> Foreseen:
    """What a run that sends these would come to."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    warnings: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for delivery, prepared in _prepared(queue, crm, claims):
        if isinstance(prepared, Prepared):
            counts["synced"] += 1
            kinds[_kind(delivery)] += 1
            warnings.update(prepared.payload.warnings)
        else:
            counts[_FATES.get(prepared.outcome, prepared.outcome)] += 1
            warnings.update(prepared.warnings)
            if prepared.kind:
                reasons[prepared.kind] += 1
    counts["superseded"] = len(claims) - counts.total()
    first = tuple(claim.contact_id for claim in claims[:MOST_SHOWN])
    totals = Totals(claimed=len(claims), reasons=dict(reasons), **counts)
    return Foreseen(totals=totals, new=kinds["new"], changed=kinds["changed"], warnings=dict(warnings), first=first)


def foreseen_in_words(counts: Mapping[str, int]) -> str:
    """By the counts of Foreseen: `12 new, 3 changed, 1 never sent`. Empty if a run would take nobody."""
    delivered = [f"{counts[name]} {words}" for name, words in _KINDS.items() if counts.get(name)]
    others = fates_in_words({**counts, "synced": 0})
    return ", ".join([*delivered, others] if others else delivered)


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    """One field on its way to an attribute (None: to none), and what it would do there.

    `change`: `new` (nothing of it was sent so far), `sent before` (goes as it is now), `cleared` (was sent, and is
    blank now) or `left out`, for the reason in `remark`.
    """

    field: str
    attribute: str | None
    value: Any
    change: str
    remark: str | None = None


@dataclass(frozen=True, kw_only=True)
class ContactChange:
    """What a delivery of one contact would change at the CRM, as far as we know. Personal data, for whoever asked.

    `kind`: `new` at the CRM; `changed` since it was last sent; `again`, be it as it was or not, since somebody selected
    it anew or the last answer is not known; else the outcome that needs no request, and `says` is why.
    """

    contact_id: UUID
    email: str | None
    kind: str
    says: str | None
    fields: tuple[FieldChange, ...] = ()


def changes(queue: Queue, crm: Crm, claims: Sequence[Claim]) -> list[ContactChange]:
    """Of each of these contacts, in order. Makes no request and changes nothing."""
    return [_change(crm, delivery, prepared) for delivery, prepared in _prepared(queue, crm, claims)]


def _prepared(queue: Queue, crm: Crm, claims: Sequence[Claim]) -> list[tuple[Delivery, Prepared | Attempt]]:
    deliveries = queue.load(claims)
    prepared = [prepare(crm, delivery, revision=0) for delivery in deliveries]
    return list(zip(deliveries, without_suppressed(queue, prepared, crm.mapping_version), strict=True))


def _kind(delivery: Delivery) -> str:
    """Of a contact that would be sent: one of _KINDS."""
    if not (delivery.remote_key or delivery.remote_id or delivery.sent_attributes):
        return "new"
    return "again" if delivery.payload_hash is None else "changed"


def _change(crm: Crm, delivery: Delivery, prepared: Prepared | Attempt) -> ContactChange:
    contact_id, email = delivery.claim.contact_id, delivery.record["email"]
    if isinstance(prepared, Attempt):
        said = None if prepared.outcome == "unchanged" else prepared.message or prepared.kind
        return ContactChange(contact_id=contact_id, email=email, kind=prepared.outcome, says=said)
    payload = prepared.payload
    found = (_field(line, payload.clear, payload.sent_before) for line in crm.explain(delivery.record))
    fields = tuple(one for one in found if one is not None)
    return ContactChange(contact_id=contact_id, email=email, kind=_kind(delivery), says=None, fields=fields)


def _field(line: Line, cleared: frozenset[str], sent_before: frozenset[str]) -> FieldChange | None:
    """None for what is blank, and of which nothing was sent."""
    if line.value is not None:
        change = "sent before" if line.attribute in sent_before else "new"
    elif line.attribute in cleared:
        change = "cleared"
    elif line.remark is not None:
        change = "left out"
    else:
        return None
    return FieldChange(field=line.source, attribute=line.attribute, value=line.value, change=change, remark=line.remark)
