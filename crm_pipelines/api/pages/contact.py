"""One contact: the answer for each CRM, the whole story, and decisions about it, each after a look at what it does."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Form, Query, Request, Response

from crm_pipelines.api import suppressing
from crm_pipelines.api.destinations import Destinations, Known
from crm_pipelines.api.errors import invalid
from crm_pipelines.api.models import Crm
from crm_pipelines.api.pages.actions import Action, Decision, offered, result_of, what_else, what_helps
from crm_pipelines.api.pages.overview import Words
from crm_pipelines.api.pages.rendering import PageRoute, page, see
from crm_pipelines.api.pages.session import Reader, Sender, Session, Writer
from crm_pipelines.api.telling import tell
from crm_pipelines.contacts import records, selection
from crm_pipelines.contacts.conditions import UNDER_WAY, CrmStory
from crm_pipelines.contacts.selection import Who
from crm_pipelines.contacts.story import Story, held_condition, story_of
from crm_pipelines.delivery.standings import standing_at
from crm_pipelines.delivery.why import comparable
from crm_pipelines.destinations.gates import SANDBOX, GateKeeper
from crm_pipelines.statistics.standing import Standing

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_REASON = "on the status page"


@dataclass(frozen=True, kw_only=True)
class ToldCrm:
    """The contact at one CRM, with what can be done there.

    `sending` is how deliveries stand, where the contact waits for one; `why_not` why nothing is delivered there; `link`
    the contact in the CRM's own pages; `main` what would help.
    """

    story: CrmStory
    sending: Standing | None
    why_not: str | None
    link: str | None
    main: Decision | None
    others: Collection[Decision]


@router.get("/contacts/{contact_id}")
def contact(
    request: Request,
    session: Reader,
    destinations: Known,
    contact_id: UUID,
    done: Annotated[Action | None, Query()] = None,
    crm: Annotated[Crm | None, Query()] = None,
    changed: Annotated[bool, Query()] = False,
) -> Response:
    """The whole story; `done` is the decision before it, at `crm`, and `changed` whether it came to anything."""
    found = _story(destinations, contact_id)
    result = None
    if done is not None and crm is not None:
        at = _at(found, destinations.one(crm))
        settings = destinations.settings.destinations.get(crm)
        every = None if settings is None else timedelta(minutes=settings.sync_scheduler_interval_minutes)
        seconds = None if settings is None else settings.sync_prompt_seconds
        prompt = None if seconds is None else timedelta(seconds=seconds)
        title = destinations.settings.title_of(crm)
        result = result_of(done, at, title, changed=changed, every=every, prompt=prompt)
    return _tell(request, session, destinations, found, result=result)


@router.post("/contacts/{contact_id}/compare")
def compare(
    request: Request, session: Sender, destinations: Known, contact_id: UUID, crm: Annotated[Crm, Form()]
) -> Response:
    """The whole story, and what one CRM holds at this moment: asked by a form, since each look is a request there."""
    return _tell(request, session, destinations, _story(destinations, contact_id), ask=[crm])


@router.get("/contacts/{contact_id}/{action}")
def before_deciding(
    request: Request,
    session: Reader,
    destinations: Known,
    contact_id: UUID,
    action: Action,
    crm: Annotated[Crm, Query()],
) -> Response:
    """What a decision would do, before anything is done."""
    found = _story(destinations, contact_id)
    one = _at(found, destinations.one(crm))
    with destinations.engine.connect() as connection:
        record = records.read(connection, contact_id)
    decision = offered(one.condition, action, delivers=_delivers(destinations, crm))
    return page("decide.html", request, session=session, record=record, one=one, decision=decision)


@router.post("/contacts/{contact_id}/{action}")
def decide(
    session: Writer,
    destinations: Known,
    contact_id: UUID,
    action: Action,
    crm: Annotated[Crm, Form()],
    offer: Annotated[Words, Form()] = "",
) -> Response:
    """What the user decides about one contact at one CRM, by the button that they were shown, `offer`.

    Nothing is done if that is not what is offered by now: they were told of other consequences.
    """
    destinations.admit(action, [destinations.one(crm)])
    with destinations.engine.begin() as connection:
        records.lock(connection, contact_id)
        condition = held_condition(connection, contact_id, crm)
        decision = offered(condition, action, delivers=_delivers(destinations, crm))
        changed = 0
        if decision is not None and decision.button == offer:
            changed = _decide(connection, crm, contact_id, action, by=session.identity.name)
        session.record(connection, action, crm, changed, [contact_id])
    return see(f"/contacts/{contact_id}?done={action}&crm={crm}&changed={bool(changed):d}")


def _story(destinations: Destinations, contact_id: UUID) -> Story:
    return story_of(destinations.engine, contact_id, destinations.settings.in_words)


def _at(found: Story, crm: str) -> CrmStory:
    one = next((one for one in found.crms if one.crm == crm), None)
    if one is None:  # in the settings, and not in the database yet
        raise invalid(
            [{"field": "crm", "problem": f"The database does not know {crm} yet: run `crm-pipelines check {crm}`."}]
        )
    return one


def _tell(
    request: Request,
    session: Session,
    destinations: Destinations,
    found: Story,
    *,
    ask: Collection[str] = (),
    result: str | None = None,
) -> Response:
    settings = destinations.settings
    with destinations.engine.connect() as connection:
        record = records.read(connection, found.id)
    known = destinations.known()
    ordered = sorted(found.crms, key=lambda one: known.index(one.crm))
    concerned = [one for one in ordered if one.condition != "unselected" or one.synced_at]
    set_up = [one for one in ordered if one.crm in settings.destinations]
    shown = concerned or set_up[:1]
    return page(
        "contact.html",
        request,
        session=session,
        told=tell(request, found, ask=ask),
        record=record,
        dagster=settings.channels.dagster_ui_url or settings.api.dagster_url,
        crms=[_told(destinations, one) for one in shown],
        never=[(one.crm, _delivers(destinations, one.crm)) for one in set_up if one not in shown],
        comparable=comparable(settings),
        result=result,
    )


def _told(destinations: Destinations, one: CrmStory) -> ToldCrm:
    return ToldCrm(
        story=one,
        sending=_sending(destinations, one),
        why_not=destinations.why_not(one.crm),
        link=_link(destinations, one),
        main=what_helps(one.condition, delivers=_delivers(destinations, one.crm)),
        others=what_else(one.condition),
    )


def _sending(destinations: Destinations, one: CrmStory) -> Standing | None:
    if one.condition not in UNDER_WAY:
        return None
    standing = standing_at(destinations.engine, destinations.settings, one.crm)
    return None if standing.condition in {"fine", "not_set_up"} else standing


def _link(destinations: Destinations, one: CrmStory) -> str | None:
    """None for a sandbox, which has no pages for people, and where the CRM's address of a contact is not certain."""
    settings = destinations.settings.destinations.get(one.crm)
    if settings is None or not (one.remote_id or "").isdecimal():
        return None
    is_real = GateKeeper(destinations.engine, one.crm).read().account != SANDBOX
    return settings.contact_page(str(one.remote_id)) if is_real else None


def _delivers(destinations: Destinations, crm: str) -> bool:
    return crm in destinations.settings.destinations or destinations.why_not(crm) is None


def _decide(connection: sa.Connection, crm: str, contact_id: UUID, action: Action, *, by: str) -> int:
    if action == "suppress":
        return len(suppressing.suppress(connection, contact_id, crm, reason=_REASON, by=by))
    if action == "unsuppress":
        return len(suppressing.unsuppress(connection, contact_id, crm, reason=_REASON, by=by))
    if action == "retry":
        done = selection.retry_within(connection, crm, Who(ids=(contact_id,)))
        return done.requeued + done.hastened
    outcomes = selection.decide(connection, crm, [contact_id], action).values()
    return sum(outcome in {"selected", "claimed", "unselected"} for outcome in outcomes)
