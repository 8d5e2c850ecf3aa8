"""Search, the filtered list and its CSV, one contact's whole story, and decisions about it.

What is searched for may be an address, so it travels in the body of a form and never in a URL.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Annotated, Literal
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from crm_pipelines.api import suppressing
from crm_pipelines.api.pages.exporting import rows
from crm_pipelines.api.pages.overview import Crm, Words
from crm_pipelines.api.pages.rendering import PageRoute, page, see
from crm_pipelines.api.pages.session import Reader, Sender, Session, Writer
from crm_pipelines.api.telling import tell
from crm_pipelines.contacts import api_writes, records, selection
from crm_pipelines.contacts.crms import CRMS, SYNC_STATUSES
from crm_pipelines.contacts.filters import ContactFilter
from crm_pipelines.contacts.selection import Who
from crm_pipelines.contacts.story import ContactUnknown, Story, story, story_of
from crm_pipelines.settings import Settings

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_PAGE = 50
_REASON = "on the status page"
Action = Literal["select", "unselect", "retry", "suppress", "unsuppress"]
Status = Literal["", "New", "Selected", "Queued", "Processing", "Complete", "Error", "Skipped"]


class Wanted(BaseModel):
    """The filter as a form sends it. `after` is the last contact of the page before."""

    model_config = ConfigDict(extra="ignore")

    crm: Crm = "brevo"
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
def all_contacts(request: Request, session: Reader, crm: Crm = "brevo", status: Status = "") -> Response:
    """The list as links lead to it: by status, which is nobody's personal data."""
    return _list(request, session, Wanted(crm=crm, status=status))


@router.post("/contacts")
def found_contacts(request: Request, session: Sender, wanted: Annotated[Wanted, Form()]) -> Response:
    """The list by any filter; an address or id leads to the contact at once."""
    contact_id = None if wanted.after else _exactly(request.app.state.engine, wanted.text)
    return see(f"/contacts/{contact_id}") if contact_id else _list(request, session, wanted)


def _exactly(engine: sa.Engine, text: str) -> UUID | None:
    try:
        return story_of(engine, UUID(text)).id
    except (ValueError, ContactUnknown):
        pass
    try:
        return story(engine, text).id if "@" in text else None
    except ContactUnknown:
        return None


def _list(request: Request, session: Session, wanted: Wanted) -> Response:
    after = records.FIRST
    if wanted.after and wanted.after_created_at:
        after = (wanted.after_created_at, wanted.after)
    engine: sa.Engine = request.app.state.engine
    with engine.connect() as connection:
        total = selection.count_matching(connection, wanted.crm, wanted.filter).contacts
        found = records.page(connection, wanted.filter, wanted.crm, after=after, limit=_PAGE) if total else []
    return page(
        "contacts.html",
        request,
        session=session,
        wanted=wanted,
        contacts=[(one, next(at for at in one.crms if at.crm == wanted.crm)) for one in found],
        total=total,
        more=len(found) == _PAGE,
        crms=CRMS,
        statuses=SYNC_STATUSES,
    )


@router.post("/contacts.csv")
def csv_of_contacts(request: Request, session: Sender, wanted: Annotated[Wanted, Form()]) -> Response:
    """The whole filtered list, once it is written down who takes it away."""
    engine: sa.Engine = request.app.state.engine
    with engine.begin() as connection:
        api_writes.record(
            connection,
            token_id=session.identity.token_id,
            request_id=request.state.request_id,
            action="export",
            contacts=selection.count_matching(connection, wanted.crm, wanted.filter).contacts,
            crms=[wanted.crm],
        )
    return StreamingResponse(
        rows(engine, wanted.filter, wanted.crm),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="contacts-{wanted.crm}.csv"'},
    )


@router.get("/contacts/{contact_id}")
def contact(request: Request, session: Reader, contact_id: UUID) -> Response:
    """The whole story."""
    return _tell(request, session, story_of(request.app.state.engine, contact_id))


@router.post("/contacts/{contact_id}/compare")
def compare(request: Request, session: Sender, contact_id: UUID) -> Response:
    """The whole story, and what the CRM holds at this moment: asked by a form, since each look is a request there."""
    return _tell(request, session, story_of(request.app.state.engine, contact_id), live=True)


def _tell(request: Request, session: Session, found: Story, *, live: bool = False) -> Response:
    settings: Settings = request.app.state.settings
    engine: sa.Engine = request.app.state.engine
    with engine.connect() as connection:
        record = records.read(connection, found.id)
    return page(
        "contact.html",
        request,
        session=session,
        told=tell(request, found, live=live),
        record=record,
        dagster=settings.channels.dagster_ui_url or settings.api.dagster_url,
        can_compare=settings.destination("brevo").missing is None,
    )


@router.post("/contacts/{contact_id}/{action}")
def decide(
    request: Request,
    session: Writer,
    contact_id: UUID,
    action: Action,
    crm: Annotated[Crm, Form()],
) -> Response:
    """What the user decides about one contact at one CRM."""
    engine: sa.Engine = request.app.state.engine
    with engine.begin() as connection:
        records.read(connection, contact_id)
        changed = _decide(connection, crm, contact_id, action, by=session.identity.name)
        api_writes.record(
            connection,
            token_id=session.identity.token_id,
            request_id=request.state.request_id,
            action=action,
            contacts=changed,
            crms=[crm],
            contact_ids=[contact_id],
        )
    return see(f"/contacts/{contact_id}")


def _decide(connection: sa.Connection, crm: str, contact_id: UUID, action: Action, *, by: str) -> int:
    if action == "suppress":
        return len(suppressing.suppress(connection, contact_id, crm, reason=_REASON, by=by))
    if action == "unsuppress":
        return len(suppressing.unsuppress(connection, contact_id, crm, reason=_REASON, by=by))
    if action == "retry":
        done = selection.retry_within(connection, crm, Who(ids=(contact_id,)))
        return done.requeued + done.hastened
    outcomes: Sequence[str] = list(selection.decide(connection, crm, [contact_id], action).values())
    return sum(outcome in {"selected", "claimed", "unselected"} for outcome in outcomes)
