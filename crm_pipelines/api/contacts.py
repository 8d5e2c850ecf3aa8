"""Contacts: made, read, changed, deleted, listed."""

from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Query, Response
from pydantic import ConfigDict, Field

from crm_pipelines.api import models
from crm_pipelines.api.access import AuthenticatedRoute, Reader
from crm_pipelines.api.destinations import Destinations, Known
from crm_pipelines.api.models import ContactIn, ContactOut, ContactPatch, Crm, Moment, SyncStatus, Word
from crm_pipelines.api.paging import Page, WantedPage, page_of, place_of
from crm_pipelines.api.writing import Writing, Written
from crm_pipelines.contacts import records
from crm_pipelines.contacts.filters import ContactFilter
from crm_pipelines.contacts.records import FIRST, ContactRecord
from crm_pipelines.contacts.selection import count_matching

router = APIRouter(route_class=AuthenticatedRoute, tags=["contacts"])


class ListQuery(WantedPage):
    """What a list of contacts may be narrowed down by in a URL: nothing that tells of a single person."""

    crm: Crm | None = Field(None, description="The CRM that `status` is about; null: the first that is set up.")
    status: SyncStatus | None = None
    domain_id: UUID | None = None
    email_type: Word | None = None
    created_since: Moment | None = None
    created_before: Moment | None = None


class SearchRequest(WantedPage):
    """A search. It is a body, since URLs end up in the logs of others."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"filter": {"text": "lovelace"}, "limit": 20}]})

    crm: Crm | None = Field(None, description="The CRM that the filter's status is about; null: the first set up.")
    filter: models.Filter = Field(default_factory=models.Filter)


@router.get("/contacts", response_model=Page[ContactOut])
def list_contacts(_: Reader, destinations: Known, wanted: Annotated[ListQuery, Query()]) -> dict[str, Any]:
    """All contacts, the oldest first."""
    filter_ = ContactFilter(**wanted.model_dump(exclude={"limit", "cursor", "crm"}))
    return _page(destinations, filter_, wanted)


@router.post("/contacts/search", response_model=Page[ContactOut])
def search_contacts(_: Reader, destinations: Known, wanted: SearchRequest) -> dict[str, Any]:
    """Contacts by filter, also by a part of the name or address."""
    return _page(destinations, wanted.filter.to_filter(), wanted)


@router.post("/contacts", status_code=201, response_model=ContactOut)
def create_contact(contact: ContactIn, write: Writing) -> Response:
    """Make a contact. It is sent nowhere until it is selected."""

    def work(connection: sa.Connection) -> Written:
        identifier = records.create(connection, contact.model_dump())
        return Written(contact=identifier, status=201, contacts=1, contact_ids=[identifier])

    return write.once("create_contact", work)


@router.get("/contacts/{contact_id:uuid}", response_model=ContactOut)
def get_contact(contact_id: UUID, destinations: Known, _: Reader) -> ContactRecord:
    """One contact."""
    with destinations.engine.connect() as connection:
        return records.read(connection, contact_id)


@router.put("/contacts/{contact_id:uuid}", response_model=ContactOut)
def replace_contact(contact_id: UUID, contact: ContactIn, write: Writing) -> Response:
    """Replace all that is known of a contact. Where it was delivered, it is queued again."""
    return _update(contact_id, contact.model_dump(), write)


@router.patch("/contacts/{contact_id:uuid}", response_model=ContactOut)
def change_contact(contact_id: UUID, change: ContactPatch, write: Writing) -> Response:
    """Change what is given. Where the contact was delivered, it is queued again."""
    return _update(contact_id, change.model_dump(exclude_unset=True), write)


@router.delete("/contacts/{contact_id:uuid}", status_code=204)
def delete_contact(contact_id: UUID, write: Writing) -> Response:
    """Delete a contact here, with its history. What a CRM holds of it stays there."""

    def work(connection: sa.Connection) -> Written:
        records.delete(connection, contact_id)
        return Written(status=204, contacts=1, contact_ids=[contact_id])

    return write.once("delete_contact", work)


def _update(contact_id: UUID, fields: dict[str, Any], write: Writing) -> Response:
    def work(connection: sa.Connection) -> Written:
        records.update(connection, contact_id, fields)
        return Written(contact=contact_id, contacts=1, contact_ids=[contact_id])

    return write.once("change_contact", work)


def _page(destinations: Destinations, filter_: ContactFilter, wanted: ListQuery | SearchRequest) -> dict[str, Any]:
    crm = destinations.one(wanted.crm)
    after = place_of(wanted.cursor, FIRST, lambda created_at, id_: (datetime.fromisoformat(created_at), UUID(id_)))
    with destinations.engine.connect() as connection:
        found = records.page(connection, filter_, crm, after=after, limit=wanted.limit + 1)
        total = count_matching(connection, crm, filter_).contacts
    return page_of(found, wanted, total, attrgetter("created_at", "id"))
