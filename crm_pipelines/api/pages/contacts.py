"""Search, the filtered list and its CSV.

What is searched for may be an address, so it travels in the body of a form and never in a URL.
"""

from datetime import UTC, date, datetime, time
from typing import Annotated, Literal
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from crm_pipelines.api.destinations import Destinations, Known
from crm_pipelines.api.models import Crm, SyncStatus
from crm_pipelines.api.pages.exporting import rows
from crm_pipelines.api.pages.overview import Words
from crm_pipelines.api.pages.rendering import PageRoute, page, see
from crm_pipelines.api.pages.session import Reader, Sender, Session
from crm_pipelines.contacts import records, selection
from crm_pipelines.contacts.filters import ContactFilter
from crm_pipelines.contacts.story import ContactUnknown, story, story_of
from crm_pipelines.database.view import SYNC_STATUSES

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_PAGE = 50
# Of those who are found by a text, so many are counted: to count all who have a frequent one takes seconds.
_MOST_COUNTED = 10_000
Status = SyncStatus | Literal[""]


class WantedContacts(BaseModel):
    """The filter as a form sends it, or a link. `after` is the last contact of the page before."""

    model_config = ConfigDict(extra="ignore")

    crm: Crm | None = None
    status: Status = ""
    text: Words = ""
    domain: Words = ""
    since: date | Literal[""] = ""
    after: UUID | Literal[""] = ""
    after_created_at: datetime | Literal[""] = ""

    @property
    def filter(self) -> ContactFilter:
        return ContactFilter(
            status=self.status or None,
            text=self.text or None,
            domain=self.domain.lstrip("@") or None,
            created_since=datetime.combine(self.since, time(), UTC) if self.since else None,
        )

    @property
    def is_narrow(self) -> bool:
        """Whether anything is asked for beyond a list of all."""
        return bool(self.status or self.text or self.domain or self.since)


@router.get("/contacts")
def all_contacts(
    request: Request, session: Reader, destinations: Known, crm: Crm | None = None, status: Status = ""
) -> Response:
    """The list as links lead to it: by status, which is nobody's personal data."""
    return _list(request, session, destinations, WantedContacts(crm=crm, status=status))


@router.post("/contacts")
def found_contacts(
    request: Request, session: Sender, destinations: Known, wanted: Annotated[WantedContacts, Form()]
) -> Response:
    """The list by any filter; an address or id leads to the contact at once."""
    contact_id = None if wanted.after else _exactly(destinations.engine, wanted.text)
    return see(f"/contacts/{contact_id}") if contact_id else _list(request, session, destinations, wanted)


def _exactly(engine: sa.Engine, text: str) -> UUID | None:
    try:
        return story_of(engine, UUID(text)).id
    except (ValueError, ContactUnknown):
        pass
    try:
        return story(engine, text).id if "@" in text else None
    except ContactUnknown:
        return None


def _list(request: Request, session: Session, destinations: Destinations, wanted: WantedContacts) -> Response:
    crm = destinations.one(wanted.crm)
    after = records.FIRST
    if wanted.after and wanted.after_created_at:
        after = (wanted.after_created_at, wanted.after)
    with destinations.engine.connect() as connection:
        most = _MOST_COUNTED if wanted.text else None
        total = selection.count_matching(connection, crm, wanted.filter, most=most).contacts
        found = records.page(connection, wanted.filter, crm, after=after, limit=_PAGE) if total else []
    return page(
        "contacts.html",
        request,
        session=session,
        wanted=wanted,
        crm=crm,
        contacts=[(one, next(at for at in one.crms if at.crm == crm)) for one in found],
        total=total,
        uncounted=most is not None and total == most,
        more=len(found) == _PAGE,
        crms=destinations.known(),
        statuses=SYNC_STATUSES,
    )


@router.post("/contacts.csv")
def csv_of_contacts(session: Sender, destinations: Known, wanted: Annotated[WantedContacts, Form()]) -> Response:
    """The whole filtered list, once it is written down who takes it away."""
    crm, engine = destinations.one(wanted.crm), destinations.engine
    with engine.begin() as connection:
        contacts = selection.count_matching(connection, crm, wanted.filter).contacts
        session.record(connection, "export", crm, contacts)
    return StreamingResponse(
        rows(engine, wanted.filter, crm),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="contacts-{crm}.csv"'},
    )
