"""How deliveries fare: of one contact, in numbers, by error, and whether they go on at all."""

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.datastructures import State

from crm_pipelines.api.access import AuthenticatedRoute, Reader
from crm_pipelines.api.destinations import Destinations, Known
from crm_pipelines.api.models import Crm, SyncStatus, Word
from crm_pipelines.api.paging import Page, WantedPage, page_of, place_of
from crm_pipelines.api.telling import require_credentials, tell
from crm_pipelines.contacts.conditions import CrmStory
from crm_pipelines.contacts.enrichments import Awaited, PastEnrichment
from crm_pipelines.contacts.story import PastAttempt, story_of
from crm_pipelines.delivery.standings import standing_at
from crm_pipelines.delivery.why import LiveComparison, Preview, involved_in
from crm_pipelines.orchestration.watching.health import HealthCheck, health
from crm_pipelines.settings import CrmSettings, Settings
from crm_pipelines.statistics import status
from crm_pipelines.statistics.left_out import LeftOut, values_left_out
from crm_pipelines.statistics.standing import Colour, Condition
from crm_pipelines.statistics.status import CrmStatus, FailedContact, Unanswered, crm_status, crm_statuses

router = APIRouter(route_class=AuthenticatedRoute, tags=["status"])


class Summary(BaseModel):
    """Every CRM in numbers."""

    at: datetime
    crms: list["CrmSummary"]


class CrmSummary(BaseModel):
    """One CRM: contacts per sync status, what is due, and whether sending is on."""

    crm: Crm
    counts: dict[SyncStatus, int]
    delivered_in_all: int = Field(description="How many of our contacts the account holds, whatever their status here.")
    due: int
    put_off: int
    oldest_due: datetime | None
    oldest_due_seconds: float | None
    next_due: datetime | None
    errors: list["ErrorSummary"]
    left_out: list[LeftOut]
    account: "AccountSummary"
    gate: "GateSummary"
    delay: "DelaySummary"
    standing: "StandingSummary"
    unanswered: Unanswered | None = Field(
        description="Of a workflow: contacts sent more than an hour ago of which nothing came back. "
        "null: no workflow, or none that ever told anything."
    )


class ErrorSummary(BaseModel):
    """Contacts with one kind of error, and the latest error text."""

    status: SyncStatus
    kind: str
    contacts: int
    sample: str | None


class AccountSummary(BaseModel):
    """Which account the contacts were delivered to, by the CRM's own name of it; null before the first run.

    Where it took the place of a former one: since when, and how many contacts are New again for it.
    """

    name: str | None
    since: datetime | None
    former: str | None
    contacts_forgotten: int


class GateSummary(BaseModel):
    """Whether sending is paused or stopped, and why."""

    paused: bool
    paused_until: datetime | None
    kind: str | None
    reason: str | None


class DelaySummary(BaseModel):
    """The delay from an edit or a selection to the CRM: 50, 95 and 99 % of the last hour's deliveries took no longer.

    Which deliveries count: docs/glossary.md, delay. null without any.
    """

    window_seconds: int
    contacts: int
    p50_seconds: float | None
    p95_seconds: float | None
    p99_seconds: float | None


class StandingSummary(BaseModel):
    """How deliveries stand, in the same words as on every page. With the colours good and busy, nothing is to be "
    "done."""

    condition: Condition
    colour: Colour
    sentence: str
    action: str | None = Field(description="What to do. null: nothing.")


class CauseOut(BaseModel):
    """Contacts whose errors have the same kind and words. Addresses and long numbers are removed from the text."""

    crm: Crm
    status: SyncStatus
    kind: str
    text: str
    contacts: int
    last_seen: datetime | None


class CrmHealth(BaseModel):
    """Whether deliveries to one CRM go on."""

    crm: Crm
    healthy: bool
    due: int
    oldest_due: datetime | None
    checks: list[HealthCheck]


class Health(BaseModel):
    """Whether deliveries go on, at every CRM that is set up."""

    healthy: bool
    at: datetime
    crms: list[CrmHealth]


class CrmConfig(BaseModel):
    """How deliveries to one CRM are set up. No secrets."""

    crm: Crm
    configured: bool
    interval_minutes: int | None = None
    prompt_seconds: int | None = None
    batch_size: int | None = None
    max_instances: int | None = None
    max_retries: int | None = None
    retry_delay_minutes: float | None = None
    retry_exponential: bool | None = None
    rate_limit_per_second: float | None = None
    bulk_threshold: int | None = None


class Config(BaseModel):
    """How deliveries are set up."""

    crms: list[CrmConfig]


class ContactStory(BaseModel):
    """Everything known about one contact: the last ten attempts, and what a delivery would send now."""

    id: UUID
    email: str | None
    created_at: datetime
    updated_at: datetime
    revision: int
    crms: list[CrmStory] = Field(description="`answer` says for each CRM whether it has the contact.")
    attempts: list[PastAttempt]
    twins: list[UUID] = Field(description="Other contacts with the same address. They are never sent.")
    enrichments: list[PastEnrichment] = Field(description="What the last ten messages of workflows said.")
    awaited: list[Awaited] = Field(description="Workflows that have told nothing since the contact was sent to them.")
    previews: list[Preview]
    live: list[LiveComparison]


class FailedQuery(WantedPage):
    """Which failed contacts."""

    crm: Crm | None = None
    kind: Word | None = None


class CausesQuery(WantedPage):
    """Which errors."""

    crm: Crm | None = None


@router.get("/contacts/{contact_id:uuid}/sync-status", tags=["contacts"], response_model=ContactStory)
def sync_status(
    contact_id: UUID,
    request: Request,
    _: Reader,
    destinations: Known,
    live: Annotated[bool, Query(description="Ask the CRMs too what they hold now, at the accounts' pace.")] = False,
) -> dict[str, Any]:
    """The whole story of one contact: how it stands at every CRM, what was tried, would be sent, and happens next."""
    found = story_of(destinations.engine, contact_id, destinations.settings.in_words)
    if not live:
        return tell(request, found).as_dict()
    require_credentials(destinations.settings)
    return tell(request, found, ask=involved_in(destinations.settings, found)).as_dict()


@router.get("/crm/status/summary", response_model=Summary)
def summary(_: Reader, destinations: Known, crm: Crm | None = None) -> dict[str, Any]:
    """Contacts per status and CRM, what is due, errors by kind, whether sending is on, and 20,000 values left out."""
    engine = destinations.engine
    told = [
        {
            **one.as_dict(),
            "left_out": values_left_out(engine, one.crm),
            "standing": standing_at(engine, destinations.settings, one.crm).as_dict(),
        }
        for one in crm_statuses(engine, _crms(destinations, crm))
    ]
    return {"at": datetime.now(UTC), "crms": told}


@router.get("/crm/status/failed", response_model=Page[FailedContact])
def failed(_: Reader, destinations: Known, wanted: Annotated[FailedQuery, Query()]) -> dict[str, Any]:
    """Contacts that have failed for good."""
    crms = _crms(destinations, wanted.crm)
    after = place_of(wanted.cursor, (UUID(int=0), ""), lambda id_, crm: (UUID(id_), str(crm)))
    with destinations.engine.connect() as connection:
        found = status.failed(connection, crms, wanted.kind, after=after, limit=wanted.limit + 1)
        total = status.count_failed(connection, crms, wanted.kind)
    return page_of(found, wanted, total, attrgetter("contact_id", "crm"))


@router.get("/crm/status/errors", response_model=Page[CauseOut])
def errors(_: Reader, destinations: Known, wanted: Annotated[CausesQuery, Query()]) -> dict[str, Any]:
    """Present errors, grouped by kind and text, the commonest first."""
    crms = _crms(destinations, wanted.crm)
    after = place_of(wanted.cursor, None, lambda contacts, key: (_count(contacts), str(key)))
    with destinations.engine.connect() as connection:
        found, total = status.causes(connection, crms, after=after, limit=wanted.limit + 1)
    return page_of(found, wanted, total, attrgetter("contacts", "key"))


@router.get("/crm/config", response_model=Config)
def config(_: Reader, destinations: Known) -> dict[str, Any]:
    """Which CRMs are set up, and how."""
    return {"crms": [_config_of(destinations.settings.destinations.get(crm), crm) for crm in destinations.known()]}


def _config_of(destination: CrmSettings | None, crm: str) -> dict[str, Any]:
    if destination is None:
        return {"crm": crm, "configured": False}
    return {
        "crm": crm,
        "configured": destination.missing is None,
        "interval_minutes": destination.sync_scheduler_interval_minutes,
        "prompt_seconds": destination.sync_prompt_seconds,
        "batch_size": destination.sync_scheduler_batch_size,
        "max_instances": destination.sync_scheduler_max_instances,
        "max_retries": destination.sync_max_retries,
        "retry_delay_minutes": destination.sync_retry_delay_minutes,
        "retry_exponential": destination.sync_retry_exponential,
        "rate_limit_per_second": destination.rate_limit_per_second,
        "bulk_threshold": getattr(destination, "bulk_threshold", None),
    }


@router.get("/crm/health", response_model=Health, responses={503: {"model": Health}})
def crm_health(request: Request, _: Reader) -> Response:
    """Whether deliveries go on: database, schedule, daemons, runs, how they stand. 200 when all is well, else 503."""
    state = request.app.state
    told = [_health_of(state.engine, crm, checks) for crm, checks in _looked_at(state).items()]
    answer = Health.model_validate(
        {"healthy": all(one["healthy"] for one in told), "at": datetime.now(UTC), "crms": told}
    )
    return JSONResponse(jsonable_encoder(answer), status_code=200 if answer.healthy else 503)


def _looked_at(state: State) -> dict[str, list[HealthCheck]]:
    """By destination; Dagster's records, which take a while to open, are opened once."""
    settings: Settings = state.settings
    try:
        with state.open_instance() as instance:
            return {crm: health(instance, state.engine, settings, crm) for crm in settings.destinations}
    except Exception as error:  # noqa: BLE001 - Dagster's storage raises what it likes, and its texts name the URL
        detail = f"Dagster's own records cannot be read ({type(error).__name__}), so nothing runs."
        return {crm: [HealthCheck(subject="dagster", ok=False, detail=detail)] for crm in settings.destinations}


def _health_of(engine: sa.Engine, crm: str, looked: Sequence[HealthCheck]) -> dict[str, Any]:
    counted: CrmStatus = crm_status(engine, crm)
    checks = [HealthCheck(subject="database", ok=True, detail="The contacts database answers."), *looked]
    return {
        "crm": crm,
        "healthy": all(check.ok for check in checks),
        "due": counted.due,
        "oldest_due": counted.oldest_due,
        "checks": checks,
    }


def _crms(destinations: Destinations, crm: str | None) -> tuple[str, ...]:
    return destinations.known() if crm is None else (destinations.one(crm),)


def _count(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**62:
        raise ValueError(text)
    return number
