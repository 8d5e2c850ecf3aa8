"""Everything known about one contact: how it stands at each CRM, what was tried, and what happens next and when.

The statements stand in story.sql.
"""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.contacts.crms import CRMS
from crm_pipelines.contacts.gates import Gate, GateKeeper
from crm_pipelines.contacts.sql import load_statements
from crm_pipelines.errors import CrmPipelinesError

_SQL = load_statements("story")
_ATTEMPTS = 10


class ContactUnknown(CrmPipelinesError):
    """No contact has this address."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The contact at one CRM. `next` says in words what happens next, when, and what would change that."""

    crm: str
    sync_status: str
    processing_status: str | None
    attempts: int
    error_kind: str | None
    error: str | None
    http_status: int | None
    synced_at: datetime | None
    remote_key: str | None
    remote_id: str | None
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
    """One contact; `attempts` are the last ten, the most recent first."""

    id: UUID
    email: str
    created_at: datetime
    updated_at: datetime
    revision: int
    crms: tuple[Standing, ...]
    attempts: tuple[PastAttempt, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times in ISO 8601."""
        told = _plain(self)
        return {**told, "crms": [_plain(one) for one in self.crms], "attempts": [_plain(one) for one in self.attempts]}


def story(engine: sa.Engine, email: str) -> Story:
    """Raises ContactUnknown."""
    with engine.connect() as connection:
        contact = connection.execute(_SQL["contact"], {"email": email}).one_or_none()
        if contact is None:
            raise ContactUnknown("No contact has this address; `crm-pipelines contacts import` brings contacts in.")
        states = connection.execute(_SQL["states"], {"contact_id": contact.id, "crms": list(CRMS)}).all()
        attempts = connection.execute(_SQL["attempts"], {"contact_id": contact.id, "limit": _ATTEMPTS}).all()
    return Story(
        **contact._mapping,
        crms=tuple(_standing(row, GateKeeper(engine, row.crm).read()) for row in states),
        attempts=tuple(PastAttempt(**row._mapping) for row in attempts),
    )


def _standing(row: sa.Row[Any], gate: Gate) -> Standing:
    return Standing(
        crm=row.crm,
        sync_status=row.sync_status,
        processing_status=row.processing_status,
        attempts=row.attempts,
        error_kind=row.last_error_kind,
        error=row.last_error,
        http_status=row.last_http_status,
        synced_at=row.synced_at,
        remote_key=row.remote_key,
        remote_id=row.remote_id,
        next=_next(row, gate),
    )


def _next(row: sa.Row[Any], gate: Gate) -> str:
    match row.state:
        case "queued":
            return _next_of_queued(row, gate)
        case "claimed" if row.claimed_by.startswith("import:"):
            return "In a bulk import. It is delivered once it has been seen at the CRM; if it is not, it goes singly."
        case "claimed" if row.lease_until > row.now:
            return f"Being delivered: claimed by run {row.claimed_by} until {_time(row.lease_until)} at the latest."
        case "claimed":
            return f"The claim of run {row.claimed_by} ran out at {_time(row.lease_until)}; the next run takes it back."
        case "synced":
            return f"Delivered at {_time(row.synced_at)}. An edit of the contact queues it again."
        case "failed":
            return (
                "Parked, and not tried again by itself. An edit of the contact, a changed mapping, or "
                f"`crm-pipelines retry {row.crm} --email …` releases it."
            )
        case "skipped" if row.last_error_kind == "suppressed":
            return (
                f"Never sent, by a user's decision. `crm-pipelines contacts unselect {row.crm} --email …` lifts that."
            )
        case "skipped":
            return "Cannot be sent as it stands. An edit of the contact queues it again."
        case _:
            return f"Not selected. `crm-pipelines contacts select {row.crm} --email …` queues it."


def _next_of_queued(row: sa.Row[Any], gate: Gate) -> str:
    alone = " It goes alone, since a worker died while delivering it." if row.crashes else ""
    if row.run_at > row.now:
        what = f"Retry {row.attempts} is due" if row.attempts else "Put off by the CRM; due"
        return f"{what} at {_time(row.run_at)}.{alone}{_gate(gate)}"
    if gate.paused:
        return f"Due since {_time(row.run_at)}, but waits.{alone}{_gate(gate)}"
    return f"Due since {_time(row.run_at)}: the next run takes it.{alone}"


def _gate(gate: Gate) -> str:
    if not gate.paused:
        return ""
    if gate.paused_until:
        return f" Nothing is sent until {_time(gate.paused_until)}: {gate.pause_reason}"
    check = f"crm-pipelines check {gate.crm}"
    return f" Nothing is sent until the account accepts the key (see `{check}`): {gate.pause_reason}"


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _plain(thing: Standing | PastAttempt | Story) -> dict[str, Any]:
    values = {field.name: getattr(thing, field.name) for field in fields(thing)}
    return {
        name: value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, UUID) else value
        for name, value in values.items()
    }
