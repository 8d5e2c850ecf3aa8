"""How the contacts stand at a CRM, in numbers. The statements stand in status.sql."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crm_pipelines.contacts.crms import SYNC_STATUSES, known_crm
from crm_pipelines.contacts.gates import Gate, GateKeeper
from crm_pipelines.contacts.sql import load_statements

_SQL = load_statements("status")


@dataclass(frozen=True, kw_only=True)
class ErrorGroup:
    """Contacts with one kind of error: given up (`Error`), never sendable (`Skipped`), or in the queue again."""

    status: str
    kind: str
    contacts: int
    sample: str | None


@dataclass(frozen=True, kw_only=True)
class CrmStatus:
    """The contacts by sync status (every status of the contract has a count), and what holds them up.

    `oldest_due_seconds` is how long the longest waiting contact has been due; `next_due` is when the next one of those
    that wait for their time becomes due.
    """

    crm: str
    counts: dict[str, int]
    due: int
    oldest_due: datetime | None
    oldest_due_seconds: float | None
    next_due: datetime | None
    errors: tuple[ErrorGroup, ...]
    gate: Gate

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times in ISO 8601, and of the gate what concerns a user."""
        gate = self.gate
        return {
            "crm": self.crm,
            "counts": self.counts,
            "due": self.due,
            "oldest_due": _iso(self.oldest_due),
            "oldest_due_seconds": self.oldest_due_seconds,
            "next_due": _iso(self.next_due),
            "errors": [asdict(group) for group in self.errors],
            "gate": {
                "paused": gate.paused,
                "paused_until": _iso(gate.paused_until) if gate.paused else None,
                "kind": gate.pause_kind if gate.paused else None,
                "reason": gate.pause_reason if gate.paused else None,
            },
        }


def crm_status(engine: sa.Engine, crm: str) -> CrmStatus:
    """Raises UsageError for an unknown CRM."""
    crm = known_crm(crm)
    with engine.connect() as connection:
        counts: dict[str, int] = dict(connection.execute(_SQL["statuses"], {"crm": crm}).all())
        due = connection.execute(_SQL["due"], {"crm": crm}).one()
        next_due = connection.execute(_SQL["next_due"], {"crm": crm}).scalar_one()
        errors = connection.execute(_SQL["errors"], {"crm": crm}).all()
    return CrmStatus(
        crm=crm,
        counts={status: counts.get(status, 0) for status in SYNC_STATUSES},
        due=due.due,
        oldest_due=due.oldest,
        oldest_due_seconds=due.oldest_seconds,
        next_due=next_due,
        errors=tuple(ErrorGroup(**row._mapping) for row in errors),
        gate=GateKeeper(engine, crm).read(),
    )


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
