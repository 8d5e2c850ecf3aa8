"""Everything known about one contact: how it stands at each CRM, what was tried, and what happens next and when.

The statements stand in story.sql.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.contacts.answers import answer_of
from crm_pipelines.contacts.conditions import CrmStory, condition_of
from crm_pipelines.contacts.enrichments import Awaited, PastEnrichment, awaited, enrichments_of
from crm_pipelines.contacts.outlook import outlook_of, unattended_outlook
from crm_pipelines.database.sql import load_statements
from crm_pipelines.destinations.gates import Gate, GateKeeper
from crm_pipelines.destinations.registered import known_destinations, unattended
from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.settings import CrmInWords

_SQL = load_statements("contacts/story")
_ATTEMPTS = 10
InWords = Callable[[str], CrmInWords]
"""A destination's name for people: `Settings.in_words`. Without settings it is called as it is named."""


class ContactUnknown(CrmPipelinesError):
    """No contact has this address or id; `crm-pipelines contacts import` brings contacts in."""


@dataclass(frozen=True, kw_only=True)
class PastAttempt:
    """One line of the ledger; see crm_attempts. `delay_seconds`: from the edit or selection to the CRM, where known."""

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
    delay_seconds: float | None = None


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


def story(engine: sa.Engine, email: str, in_words: InWords = CrmInWords) -> Story:
    """Of the contact with this address, whatever the case. Raises ContactUnknown."""
    return _story(engine, in_words, "contact_by_email", email=email)


def story_of(engine: sa.Engine, contact_id: UUID, in_words: InWords = CrmInWords) -> Story:
    """Raises ContactUnknown."""
    return _story(engine, in_words, "contact_by_id", contact_id=contact_id)


def held_condition(connection: sa.Connection, contact_id: UUID, crm: str) -> str:
    """How the contact stands at `crm`, in one word of CONDITIONS; it stays so until this transaction ends.

    But for what was never selected there: that the contact itself is locked keeps others from deciding about it.
    """
    at = {"contact_id": contact_id, "crm": crm}
    connection.execute(_SQL["hold"], at)
    return condition_of(connection.execute(_SQL["states"], {**at, "crms": [crm]}).one())


def _story(engine: sa.Engine, in_words: InWords, find: str, **who: Any) -> Story:
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
            _standing(row, GateKeeper(engine, row.crm).read(), past, nobody, in_words(row.crm)) for row in states
        ),
        attempts=past,
        twins=twins,
        enrichments=found,
        awaited=open_questions,
    )


def _standing(
    row: sa.Row[Any],
    gate: Gate,
    past: tuple[PastAttempt, ...],
    nobody: Mapping[str, datetime | None],
    crm: CrmInWords,
) -> CrmStory:
    condition = condition_of(row)
    last = next((one for one in past if one.crm == row.crm), None)
    postponed = last.message if last and last.outcome == "snoozed" else None
    outlook = unattended_outlook(condition, row.crm, nobody[row.crm]) if row.crm in nobody else None
    outlook = outlook or outlook_of(condition, row, crm.title, gate, postponed=postponed)
    stands = CrmStory(
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
        last_attempt_at=row.last_attempt_at,
        synced_at=row.synced_at,
        remote_key=row.remote_key,
        remote_id=row.remote_id,
        left_out=list(row.left_out),
        suppressed_at=row.suppressed_at,
        suppressed_by=row.suppressed_by,
        attended=row.crm not in nobody,
        gate_paused=gate.paused,
        gate_until=gate.paused_until if gate.paused else None,
        gate_reason=gate.pause_reason if gate.paused else None,
        next=str(outlook),
        outlook=outlook.changes,
    )
    unanswered = last.finished_at if last and last.outcome == "unknown" else None
    return replace(stands, answer=answer_of(stands, crm, row.now, unanswered=unanswered))


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
