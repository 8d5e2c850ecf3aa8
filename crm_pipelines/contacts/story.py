"""Everything known about one contact: how it stands at each CRM, what was tried, and what happens next and when.

The statements stand in story.sql.
"""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.contacts.enrichments import Awaited, PastEnrichment, awaited, enrichments_of
from crm_pipelines.database.sql import load_statements
from crm_pipelines.destinations.gates import Gate, GateKeeper
from crm_pipelines.destinations.registered import known_destinations, unattended
from crm_pipelines.destinations.unknown import UNKNOWN
from crm_pipelines.errors import CrmPipelinesError

_SQL = load_statements("contacts/story")
_ATTEMPTS = 10
# Conditions that the next run ends.
_WAITING = frozenset({"due", "retry", "snoozed", "overdue"})

CONDITIONS = {
    "unselected": "not selected",
    "due": "the next run takes it",
    "retry": "waits for its retry",
    "snoozed": "put off, uncharged",
    "claimed": "being delivered",
    "importing": "in a bulk import",
    "overdue": "its claim ran out",
    "delivered": "the CRM holds it",
    "parked": "given up, until something changes",
    "unknown": "may have arrived; a user decides",
    "suppressed": "never to be sent, by decision of a user",
    "unsendable": "cannot be sent as it stands",
}


class ContactUnknown(CrmPipelinesError):
    """No contact has this address or id; `crm-pipelines contacts import` brings contacts in."""


@dataclass(frozen=True, kw_only=True)
class CrmStory:
    """The contact at one CRM. `next` says in words what happens next, when, and what would change that.

    `condition` says the same in one word of CONDITIONS. `due_at` is set for what waits in the queue, `claimed_by` and
    `lease_until` for what is being delivered. `edited_since`: what the CRM holds is older than the contact. The gate is
    that of the CRM's account; `gate_until` is None for a pause without end. `left_out` are attributes of which the
    CRM holds no value, or not all of it, since it is not certain or its account did not take it.
    """

    crm: str
    sync_status: str
    processing_status: str | None
    condition: str
    selected_at: datetime | None
    due_at: datetime | None
    claimed_by: str | None
    lease_until: datetime | None
    edited_since: bool
    attempts: int
    crashes: int
    error_kind: str | None
    error: str | None
    http_status: int | None
    synced_at: datetime | None
    remote_key: str | None
    remote_id: str | None
    left_out: list[str]
    gate_paused: bool
    gate_until: datetime | None
    gate_reason: str | None
    next: str


@dataclass(frozen=True, kw_only=True)
class PastAttempt:
    """One line of the ledger; see crm_attempts."""

    crm: str
    started_at: datetime
    finished_at: datetime
    run_id: str
    outcome: str
    kind: str | None
    code: str | None
    message: str | None
    http_status: int | None
    request_id: str | None
    warnings: list[str]


@dataclass(frozen=True, kw_only=True)
class Story:
    """One contact; `attempts` are the last ten, the most recent first. `twins` have its address, and are never sent.

    `enrichments` are what the last ten messages of workflows said, the most recent first; `awaited` are workflows that
    it went to, and of which nothing has come back since.
    """

    id: UUID
    email: str
    created_at: datetime
    updated_at: datetime
    revision: int
    crms: tuple[CrmStory, ...]
    attempts: tuple[PastAttempt, ...]
    twins: tuple[UUID, ...] = ()
    enrichments: tuple[PastEnrichment, ...] = ()
    awaited: tuple[Awaited, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times in ISO 8601."""
        told = _plain(self)
        return {
            **told,
            "crms": [_plain(one) for one in self.crms],
            "attempts": [_plain(one) for one in self.attempts],
            "twins": [str(one) for one in self.twins],
            "enrichments": [_plain(one) for one in self.enrichments],
            "awaited": [_plain(one) for one in self.awaited],
        }


def story(engine: sa.Engine, email: str) -> Story:
    """Of the contact with this address, whatever the case. Raises ContactUnknown."""
    return _story(engine, "contact_by_email", email=email)


def story_of(engine: sa.Engine, contact_id: UUID) -> Story:
    """Raises ContactUnknown."""
    return _story(engine, "contact_by_id", contact_id=contact_id)


def _story(engine: sa.Engine, find: str, **who: Any) -> Story:
    with engine.connect() as connection:
        contact = connection.execute(_SQL[find], who).one_or_none()
        if contact is None:
            raise ContactUnknown
        crms = list(known_destinations(connection))
        states = connection.execute(_SQL["states"], {"contact_id": contact.id, "crms": crms}).all()
        nobody = unattended(connection)
        twins = tuple(connection.execute(_SQL["twins"], {"contact_id": contact.id}).scalars())
        attempts = connection.execute(_SQL["attempts"], {"contact_id": contact.id, "limit": _ATTEMPTS}).all()
        found, open_questions = enrichments_of(connection, contact.id), awaited(connection, contact.id)
    past = tuple(PastAttempt(**row._mapping) for row in attempts)
    return Story(
        **contact._mapping,
        crms=tuple(
            _standing(
                row,
                GateKeeper(engine, row.crm).read(),
                next((one for one in past if one.crm == row.crm), None),
                _nobody(row, nobody[row.crm]) if row.crm in nobody else None,
            )
            for row in states
        ),
        attempts=past,
        twins=twins,
        enrichments=found,
        awaited=open_questions,
    )


def _nobody(row: sa.Row[Any], seen: datetime | None) -> str | None:
    """What is said of contacts that wait, or could be selected, for a destination to which nobody delivers."""
    crm, what, condition = row.crm, f"no crm-pipelines that has {row.crm} set up", _condition(row)
    if condition == "unselected":
        ran = "has ever run" if seen is None else f"has run since {_time(seen)}"
        return f"Not selected, and {what} {ran}. See `crm-pipelines check {crm}`."
    if condition not in _WAITING:
        return None
    back = f"or `crm-pipelines contacts unselect {crm} --email …` takes it back"
    if seen is None:
        return f"Waits: {what} has ever run. See `crm-pipelines check {crm}` for what to set, {back}."
    return f"Waits: {what} has run since {_time(seen)}. Start one (`make up`, or the services), {back}."


def _standing(row: sa.Row[Any], gate: Gate, last: PastAttempt | None, nobody: str | None) -> CrmStory:
    condition = _condition(row)
    return CrmStory(
        crm=row.crm,
        sync_status=row.sync_status,
        processing_status=row.processing_status,
        condition=condition,
        selected_at=row.selected_at if row.state != "unselected" else None,
        due_at=row.run_at if row.state == "queued" else None,
        claimed_by=row.claimed_by,
        lease_until=row.lease_until,
        edited_since=row.edited_since,
        attempts=row.attempts,
        crashes=row.crashes,
        error_kind=row.last_error_kind,
        error=row.last_error,
        http_status=row.last_http_status,
        synced_at=row.synced_at,
        remote_key=row.remote_key,
        remote_id=row.remote_id,
        left_out=list(row.left_out),
        gate_paused=gate.paused,
        gate_until=gate.paused_until if gate.paused else None,
        gate_reason=gate.pause_reason if gate.paused else None,
        next=nobody or _next(condition, row, gate, last),
    )


def _condition(row: sa.Row[Any]) -> str:
    """One of CONDITIONS."""
    match row.state:
        case "queued" if row.run_at <= row.now:
            return "due"
        case "queued":
            return "retry" if row.attempts else "snoozed"
        case "claimed" if row.claimed_by.startswith("import:"):
            return "importing"
        case "claimed":
            return "claimed" if row.lease_until > row.now else "overdue"
        case "synced":
            return "delivered"
        case "failed":
            return "unknown" if row.last_error_kind == UNKNOWN else "parked"
        case "skipped":
            return "suppressed" if row.last_error_kind == "suppressed" else "unsendable"
        case _:
            return "unselected"


def _next(condition: str, row: sa.Row[Any], gate: Gate, last: PastAttempt | None) -> str:
    match condition:
        case "due" | "retry" | "snoozed":
            return _next_of_queued(condition, row, gate, last)
        case "importing":
            return "In a bulk import. It is delivered once it has been seen at the CRM; if it is not, it goes singly."
        case "claimed":
            return f"Being delivered: claimed by run {row.claimed_by} until {_time(row.lease_until)} at the latest."
        case "overdue":
            return f"The claim of run {row.claimed_by} ran out at {_time(row.lease_until)}; the next run takes it back."
        case "delivered":
            return f"Delivered at {_time(row.synced_at)}{_but_left_out(row)}. An edit of the contact queues it again."
        case "parked":
            return (
                "Parked, and not tried again by itself. An edit of the contact, a changed mapping, or "
                f"`crm-pipelines retry {row.crm} --email …` releases it."
            )
        case "unknown":
            return _next_of_unknown(row)
        case "suppressed":
            return "Never sent, by a user's decision. `crm-pipelines unsuppress EMAIL --reason …` lifts that."
        case "unsendable":
            return "Cannot be sent as it stands. An edit of the contact queues it again."
        case _:
            return f"Not selected. `crm-pipelines contacts select {row.crm} --email …` queues it."


def _next_of_unknown(row: sa.Row[Any]) -> str:
    newer = ", nor what has changed here since" if row.edited_since else ""
    when = f" at about {_time(row.last_attempt_at)}" if row.last_attempt_at else ""
    return (
        f"Not sent again by itself{newer}: it may have arrived. Look whether {row.crm} got it{when}. "
        f"`crm-pipelines retry {row.crm} --email …` sends it as it is now, "
        f"`crm-pipelines contacts unselect {row.crm} --email …` leaves it at that."
    )


def _but_left_out(row: sa.Row[Any]) -> str:
    if not row.left_out:
        return ""
    names = ", ".join(row.left_out)
    return f", without {names}: its latest attempt says why. If it is for the account, a change there queues it again"


def _next_of_queued(condition: str, row: sa.Row[Any], gate: Gate, last: PastAttempt | None) -> str:
    alone = " It goes alone, since a worker died while delivering it." if row.crashes else ""
    again = " It was edited since it was delivered." if row.edited_since else ""
    if condition == "retry":
        return f"Retry {row.attempts} is due at {_time(row.run_at)}.{alone}{_gate(gate)}"
    if condition == "snoozed":
        why = f" {last.message}" if last and last.outcome == "snoozed" and last.message else ""
        return f"Put off, uncharged; due at {_time(row.run_at)}.{why}{alone}{_gate(gate)}"
    if gate.paused:
        return f"Due since {_time(row.run_at)}, but waits.{again}{alone}{_gate(gate)}"
    return f"Due since {_time(row.run_at)}: the next run takes it.{again}{alone}"


def _gate(gate: Gate) -> str:
    if not gate.paused:
        return ""
    if gate.paused_until:
        return f" Nothing is sent until {_time(gate.paused_until)}: {gate.pause_reason}"
    if gate.waits_for_a_person:
        return f" Nothing is sent until {gate.paused_until_in_words}: {gate.pause_reason}"
    check = f"crm-pipelines check {gate.crm}"
    until = gate.paused_until_in_words if gate.closed_for_settings else "the account accepts the key"
    return f" Nothing is sent until {until} (see `{check}`): {gate.pause_reason}"


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _plain(thing: CrmStory | PastAttempt | PastEnrichment | Awaited | Story) -> dict[str, Any]:
    values = {field.name: getattr(thing, field.name) for field in fields(thing)}
    return {
        name: value.astimezone(UTC).isoformat()
        if isinstance(value, datetime)
        else str(value)
        if isinstance(value, UUID)
        else value
        for name, value in values.items()
    }
