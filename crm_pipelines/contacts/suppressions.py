"""Suppressions: people who must never be sent to a CRM, whether they are contacts or not.

What is kept are keyed digests of identifiers, which outlive the contact. What a suppression means for a contact stands
in the database's functions crm_suppress and crm_unsuppress. The statements stand in suppressions.sql.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

import sqlalchemy as sa

from crm_pipelines.database.sql import NO_TIMEOUT, load_statements
from crm_pipelines.destinations.registered import known_destination, known_destinations
from crm_pipelines.errors import UsageError

LONGEST_REASON = 1000

_SQL = load_statements("contacts/suppressions")


@dataclass(frozen=True, kw_only=True)
class Suppressed:
    """At one CRM: people who are suppressed now and were not, those who were, and contacts that this stopped."""

    crm: str
    added: int
    known: int
    contacts: int


@dataclass(frozen=True, kw_only=True)
class Lifted:
    """At one CRM: people whose suppression was lifted, and contacts that may be selected again."""

    crm: str
    persons: int
    contacts: int


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """One person at one CRM. The contact and its address are None for who is no contact (any more)."""

    crm: str
    since: datetime
    by: str
    reason: str | None
    contact_id: UUID | None
    email: str | None


def crms_of(connection: sa.Connection, crm: str | None) -> tuple[str, ...]:
    """The CRM that is named, or all. Raises UsageError for an unknown one."""
    return known_destinations(connection) if crm is None else (known_destination(connection, crm),)


def suppress(
    connection: sa.Connection,
    crm: str,
    people: Iterable[frozenset[str]],
    *,
    contact_ids: Sequence[UUID] = (),
    reason: str | None,
    by: str,
) -> Suppressed:
    """Never send these people, nor these contacts, to `crm`. A delivery under way loses its claim.

    Each of `people` is one person: the address in all spellings that may be met, in lower case, without blanks around.
    Raises UsageError for an unknown CRM or a reason that is too long.
    """
    persons = [(person, address) for person, spellings in ((uuid4(), one) for one in people) for address in spellings]
    crm = known_destination(connection, crm)
    given = {"crm": crm, "reason": _checked(reason), "by": by}
    addresses = [address for _, address in persons]
    connection.execute(NO_TIMEOUT)
    counts = connection.execute(
        _SQL["suppress"], {**given, "persons": [person for person, _ in persons], "addresses": addresses}
    ).one()
    contacts = connection.execute(
        _SQL["suppress_contacts"], {**given, "addresses": addresses, "ids": list(contact_ids)}
    ).scalar_one()
    return Suppressed(crm=crm, added=counts.added, known=counts.known, contacts=contacts)


def unsuppress(
    connection: sa.Connection,
    crm: str,
    spellings: frozenset[str],
    *,
    contact_ids: Sequence[UUID] = (),
    reason: str,
    by: str,
) -> Lifted:
    """Let the person with this address, or this contact, be selected for `crm` again; it is not selected.

    Raises UsageError for an unknown CRM or a reason that is blank or too long.
    """
    if not reason.strip():
        raise UsageError("Say why the suppression is lifted.")
    crm = known_destination(connection, crm)
    given = {"crm": crm, "reason": _checked(reason), "by": by}
    found = connection.execute(_SQL["lift"], {**given, "addresses": list(spellings), "ids": list(contact_ids)}).one()
    return Lifted(crm=crm, persons=found.persons, contacts=found.contacts)


def suppressions(connection: sa.Connection, crm: str | None = None) -> list[Suppression]:
    """Everybody who is suppressed at the CRM (None: at any), the first first. Raises UsageError for an unknown CRM."""
    rows = connection.execute(_SQL["list"], {"crm": None if crm is None else known_destination(connection, crm)})
    return [Suppression(**row._mapping) for row in rows]


def _checked(reason: str | None) -> str | None:
    if reason is not None and len(reason) > LONGEST_REASON:
        raise UsageError(f"The reason is longer than {LONGEST_REASON} characters.")
    return reason
