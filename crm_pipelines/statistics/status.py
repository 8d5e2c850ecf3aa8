"""How the contacts stand at a CRM, in numbers. The statements stand in status.sql."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.database.sql import FIVE_SECONDS, load_statements
from crm_pipelines.database.view import SYNC_STATUSES
from crm_pipelines.destinations.gates import Gate, GateKeeper
from crm_pipelines.destinations.registered import known_destination, known_destinations
from crm_pipelines.statistics.delays import Delays, delays_within

_SQL = load_statements("statistics/status")
_BACKLOG = load_statements("queue/claims")["backlog"]
_MORE_THAN_ANY = 2**62

PATIENCE = timedelta(hours=1)
"""How long a workflow may take before what has not come back is counted."""


@dataclass(frozen=True, kw_only=True)
class ErrorGroup:
    """Contacts with one kind of error: given up (`Error`), never sendable (`Skipped`), or in the queue again."""

    status: str
    kind: str
    contacts: int
    sample: str | None


@dataclass(frozen=True, kw_only=True)
class Unanswered:
    """Contacts that a workflow was sent an hour ago or longer, and of which nothing has come back since.

    `oldest`: when the first of them was sent; None if there are none.
    """

    contacts: int
    oldest: datetime | None


@dataclass(frozen=True, kw_only=True)
class CrmStatus:
    """The contacts by sync status (every status of the contract has a count), and what holds them up.

    `oldest_due_seconds` is how long the longest waiting contact has been due, `put_off` ones among them: were due, and
    wait uncharged for a later time. `next_due` is when the next one of those that wait for their time becomes due.
    `delivered_in_all` is how many of our contacts the account holds, whatever their status here. `unanswered` is None
    but for workflows that have ever told anything of a contact: others may be there for something else.
    """

    crm: str
    counts: dict[str, int]
    delivered_in_all: int
    due: int
    put_off: int
    oldest_due: datetime | None
    oldest_due_seconds: float | None
    next_due: datetime | None
    errors: tuple[ErrorGroup, ...]
    gate: Gate
    delays: Delays
    unanswered: Unanswered | None = None

    @property
    def is_used(self) -> bool:
        """Whether contacts are, or ever were, selected for it. Who is never sent does not count."""
        return self.delivered_in_all > 0 or any(
            count for name, count in self.counts.items() if name not in {"New", "Skipped"}
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times in ISO 8601, and of the gate what concerns a user."""
        gate = self.gate
        return {
            "crm": self.crm,
            "counts": self.counts,
            "delivered_in_all": self.delivered_in_all,
            "due": self.due,
            "put_off": self.put_off,
            "oldest_due": _iso(self.oldest_due),
            "oldest_due_seconds": self.oldest_due_seconds,
            "next_due": _iso(self.next_due),
            "errors": [asdict(group) for group in self.errors],
            "account": {
                "name": gate.account,
                "since": _iso(gate.account_since),
                "former": gate.former_account,
                "contacts_forgotten": gate.contacts_forgotten,
            },
            "gate": gate_document(gate),
            "delay": self.delays.as_dict(),
            "unanswered": self.unanswered and {**asdict(self.unanswered), "oldest": _iso(self.unanswered.oldest)},
        }


def gate_document(gate: Gate) -> dict[str, Any]:
    """For JSON: what of the gate concerns a user."""
    return {
        "paused": gate.paused,
        "paused_until": _iso(gate.paused_until) if gate.paused else None,
        "kind": gate.pause_kind if gate.paused else None,
        "reason": gate.pause_reason if gate.paused else None,
    }


def crm_status(engine: sa.Engine, crm: str) -> CrmStatus:
    """Raises UsageError for an unknown CRM."""
    return crm_statuses(engine, [crm])[0]


def crm_statuses(
    engine: sa.Engine, crms: Sequence[str] | None = None, *, count_unanswered: bool = True
) -> list[CrmStatus]:
    """Of several CRMs, or of all; their contacts are counted in one pass. Raises UsageError for an unknown CRM.

    `count_unanswered` False leaves `unanswered` None: with many contacts at a workflow it takes longer than the rest.
    """
    with engine.connect() as connection:
        crms = known_destinations(connection) if crms is None else [known_destination(connection, crm) for crm in crms]
    gates = [GateKeeper(engine, crm).read() for crm in crms]
    counts: dict[str, dict[str, int]] = {crm: {} for crm in crms}
    with engine.connect() as connection:
        for row in connection.execute(_SQL["statuses"], {"crms": list(crms)}):
            counts[row.crm][row.status] = row.contacts
        held = _held(connection, crms)
        return [
            replace(told, unanswered=unanswered(connection, told.crm)) if count_unanswered else told
            for told in (_status(connection, gate, counts[gate.crm], held.get(gate.crm, 0)) for gate in gates)
        ]


def delivered_in_all(engine: sa.Engine, crm: str) -> int:
    """How many of our contacts the account holds.

    Raises sqlalchemy.exc.OperationalError when the database takes longer than 5 s.
    """
    with engine.begin() as connection:
        connection.execute(FIVE_SECONDS)
        return _held(connection, [crm]).get(crm, 0)


def _held(connection: sa.Connection, crms: Sequence[str]) -> dict[str, int]:
    return {row.crm: row.contacts for row in connection.execute(_SQL["held"], {"crms": list(crms)})}


def _status(connection: sa.Connection, gate: Gate, counts: dict[str, int], held: int) -> CrmStatus:
    crm = gate.crm
    backlog = connection.execute(_BACKLOG, {"crm": crm}).one()
    next_due = connection.execute(_SQL["next_due"], {"crm": crm}).scalar_one()
    errors = connection.execute(_SQL["errors"], {"crm": crm}).all()
    return CrmStatus(
        crm=crm,
        counts={status: counts.get(status, 0) for status in SYNC_STATUSES},
        delivered_in_all=held,
        due=backlog.due,
        put_off=backlog.put_off,
        oldest_due=backlog.oldest_due,
        oldest_due_seconds=backlog.oldest_due_seconds,
        next_due=next_due,
        errors=tuple(ErrorGroup(**row._mapping) for row in errors),
        gate=gate,
        delays=delays_within(connection, crm),
    )


def unanswered(connection: sa.Connection, crm: str) -> Unanswered | None:
    """None but for workflows that have ever told anything."""
    row = connection.execute(_SQL["unanswered"], {"crm": crm, "patience": PATIENCE}).one_or_none()
    return None if row is None else Unanswered(**row._mapping)


@dataclass(frozen=True, kw_only=True)
class FailedContact:
    """A contact that was given up, or refused by the CRM, and why."""

    contact_id: UUID
    email: str | None
    crm: str
    kind: str
    code: str | None
    error: str | None
    http_status: int | None
    attempts: int
    last_attempt_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Contacts whose errors have the same kind and words; `text` is without addresses and long numbers."""

    crm: str
    status: str
    kind: str
    text: str
    contacts: int
    last_seen: datetime | None
    key: str


def count_failed(connection: sa.Connection, crms: Sequence[str], kind: str | None = None) -> int:
    """How many deliveries have failed for good."""
    return int(connection.execute(_SQL["count_failed"], {"crms": list(crms), "kind": kind}).scalar_one())


def failed(
    connection: sa.Connection,
    crms: Sequence[str],
    kind: str | None = None,
    *,
    after: tuple[UUID, str] = (UUID(int=0), ""),
    limit: int = 100,
) -> list[FailedContact]:
    """The next contacts that have failed for good, in the order of (contact_id, crm)."""
    place = {"after_id": after[0], "after_crm": after[1], "limit": limit}
    rows = connection.execute(_SQL["failed"], {"crms": list(crms), "kind": kind, **place})
    return [FailedContact(**row._mapping) for row in rows]


def causes(
    connection: sa.Connection, crms: Sequence[str], *, after: tuple[int, str] | None = None, limit: int = 100
) -> tuple[list[Cause], int]:
    """The next errors that stand at present, the commonest first, and how many different ones there are in all.

    `after` are the count and the key of the last one seen.
    """
    contacts, key = after or (_MORE_THAN_ANY, "")
    rows = connection.execute(
        _SQL["causes"], {"crms": list(crms), "after_contacts": -contacts, "after_key": key, "limit": limit}
    ).all()
    found = [Cause(**{name: value for name, value in row._mapping.items() if name != "total"}) for row in rows]
    return found, rows[0].total if rows else 0


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
