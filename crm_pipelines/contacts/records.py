"""Contacts as an application keeps them: one by one, or page by page. The statements stand in records.sql.

Every function works in the transaction that it is given. An edit of what could be sent queues the contact again
wherever it was delivered; a trigger of the database does that.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines import names
from crm_pipelines.contacts.filters import ContactFilter, matching
from crm_pipelines.contacts.story import ContactUnknown
from crm_pipelines.database.sql import load_statements
from crm_pipelines.destinations.registered import known_destination, known_destinations
from crm_pipelines.errors import CrmPipelinesError

_SQL = load_statements("contacts/records")

FIRST = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
"""The place before all contacts, in the order in which they are listed."""


class AddressTaken(CrmPipelinesError):
    """Another contact has this address. `contact_id` is None if it has just been written or deleted."""

    def __init__(self, contact_id: UUID | None) -> None:
        super().__init__("Another contact has this address already.")
        self.contact_id = contact_id


@dataclass(frozen=True, kw_only=True)
class ContactStanding:
    """The contact at one CRM, as the view `contacts` has it."""

    crm: str
    sync_status: str
    processing_status: str | None
    processing_error: str | None
    remote_id: str | None


@dataclass(frozen=True, kw_only=True)
class ContactRecord:
    """One contact with its status at every CRM."""

    id: UUID
    email: str | None
    name: str | None
    first_name: str | None
    last_name: str | None
    phone_number: str | None
    email_type: str | None
    has_gmail: bool | None
    context: str | None
    source_url: str | None
    source_job_id: UUID | None
    domain_id: UUID | None
    page_id: UUID | None
    custom_fields: dict[str, Any]
    revision: int
    created_at: datetime
    updated_at: datetime
    crms: tuple[ContactStanding, ...]


def create(connection: sa.Connection, fields: Mapping[str, Any]) -> UUID:
    """A new contact; `fields` are all columns that an application may write. Raises AddressTaken."""
    identifier: UUID | None = connection.execute(_SQL["insert"], _bound(_named(fields))).scalar_one_or_none()
    if identifier is None:
        raise AddressTaken(_holder(connection, fields["email"]))
    return identifier


def update(connection: sa.Connection, contact_id: UUID, fields: Mapping[str, Any]) -> None:
    """Change those columns that are given. Raises ContactUnknown or AddressTaken."""
    before = lock(connection, contact_id)
    written = _renamed(before, fields)
    after = _named({**before, **written})
    parts = after["first_name"], after["last_name"]
    try:
        with connection.begin_nested():
            bound = {"id": contact_id, **_bound(after)}
            stored = connection.execute(_SQL["update"], bound).one()
            if {"first_name", "last_name"} & written.keys() and tuple(stored) != parts:
                # With a new whole name and the parts as they were, a trigger takes them for forgotten.
                connection.execute(_SQL["update"], bound)
    except sa.exc.IntegrityError:  # the address is the only thing that can be in the way
        raise AddressTaken(_holder(connection, after["email"])) from None


def lock(connection: sa.Connection, contact_id: UUID) -> dict[str, Any]:
    """What an application may write of the contact, which nobody else changes before this transaction ends.

    Raises ContactUnknown.
    """
    found = connection.execute(_SQL["lock"], {"id": contact_id}).one_or_none()
    if found is None:
        raise ContactUnknown
    return dict(found._mapping)


def delete(connection: sa.Connection, contact_id: UUID) -> None:
    """Delete the contact here, with its history; what a CRM holds stays there. Raises ContactUnknown."""
    if not connection.execute(_SQL["delete"], {"id": contact_id}).rowcount:
        raise ContactUnknown


def read(connection: sa.Connection, contact_id: UUID) -> ContactRecord:
    """Raises ContactUnknown."""
    found = _read(connection, [contact_id])
    if not found:
        raise ContactUnknown
    return found[0]


def page(
    connection: sa.Connection,
    filter_: ContactFilter,
    crm: str,
    *,
    after: tuple[datetime, UUID] = FIRST,
    limit: int = 100,
) -> list[ContactRecord]:
    """The next contacts that match, in the order of (created_at, id)."""
    parameters = {"crm": known_destination(connection, crm), **filter_.parameters()}
    place = {"after_created_at": after[0], "after_id": after[1], "limit": limit}
    rows = connection.execute(matching(_SQL["page"], filter_), {**parameters, **place})
    return _read(connection, [row.id for row in rows])


def _read(connection: sa.Connection, ids: Sequence[UUID]) -> list[ContactRecord]:
    standings: dict[UUID, list[ContactStanding]] = {identifier: [] for identifier in ids}
    crms = list(known_destinations(connection))
    for row in connection.execute(_SQL["standings"], {"ids": list(ids), "crms": crms}):
        values = dict(row._mapping)
        standings[values.pop("contact_id")].append(ContactStanding(**values))
    rows = connection.execute(_SQL["read"], {"ids": list(ids)})
    return [ContactRecord(**row._mapping, crms=tuple(standings[row.id])) for row in rows]


def _renamed(before: Mapping[str, Any], fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the whole name, where only parts of it are given. A part that is not known is taken out of the name.

    A whole name that is taken away takes its parts with it.
    """
    if "name" in fields and not fields["name"] and not {"first_name", "last_name"} & fields.keys():
        return {**fields, "first_name": None, "last_name": None}
    if "name" in fields or all(fields.get(name, before[name]) == before[name] for name in ("first_name", "last_name")):
        return fields
    known = {name: before[name] for name in ("first_name", "last_name")}
    known = known if any(known.values()) else parts_of(before["name"])
    parts = {name: fields.get(name, known[name]) for name in known}
    whole = names.joined(parts["first_name"], parts["last_name"]) or before["name"]
    return {**fields, **parts, "name": whole}


def parts_of(name: str | None) -> dict[str, str | None]:
    """First and last name, as they are taken out of a whole one."""
    return dict(zip(("first_name", "last_name"), names.parts((name or "").split()), strict=True))


def _named(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The whole name is never blank where a part of it is known."""
    return {**fields, "name": fields["name"] or names.joined(fields["first_name"], fields["last_name"])}


def _bound(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {**fields, "custom_fields": json.dumps(fields["custom_fields"])}


def _holder(connection: sa.Connection, email: str) -> UUID | None:
    return connection.execute(_SQL["holder"], {"email": email}).scalar_one_or_none()
