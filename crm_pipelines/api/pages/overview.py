"""Each CRM at a glance, how it went over time, errors by kind, and "retry these"."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request, Response
from pydantic import StringConstraints

from crm_pipelines.api.destinations import Destinations, Known
from crm_pipelines.api.models import Crm
from crm_pipelines.api.pages import charts
from crm_pipelines.api.pages.charts import Bar, Frame
from crm_pipelines.api.pages.rendering import PageRoute, page, see
from crm_pipelines.api.pages.session import Reader, Writer
from crm_pipelines.contacts import selection
from crm_pipelines.contacts.presence import nobody_yet
from crm_pipelines.contacts.selection import Who
from crm_pipelines.delivery.standings import standing_at
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.reports.files import days_of
from crm_pipelines.statistics import history
from crm_pipelines.statistics.history import Step
from crm_pipelines.statistics.left_out import LeftOut, left_out_sentence, values_left_out
from crm_pipelines.statistics.standing import Standing
from crm_pipelines.statistics.status import CrmStatus, crm_statuses, failed

router = APIRouter(route_class=PageRoute, include_in_schema=False)

# No NUL: Postgres stores none. An address has 320 characters at most.
Words = Annotated[str, StringConstraints(max_length=320, pattern=r"^[^\x00]*$", strip_whitespace=True)]
Span = Literal["day", "week", "month"]
_STEPS: dict[Span, tuple[timedelta, int]] = {
    "day": (timedelta(hours=1), 24),
    "week": (timedelta(hours=6), 28),
    "month": (timedelta(days=1), 30),
}
_EXAMPLES = 20
# The commonest reasons for which values were left out, of so many contacts.
_REASONS, _LOOKED_AT = 3, 1000


@dataclass(frozen=True, kw_only=True)
class Glance:
    """One CRM with what is drawn of it."""

    status: CrmStatus
    standing: Standing
    left_out: str | None
    left_out_for: Sequence[LeftOut]
    last_delivery: datetime | None
    reports: Sequence[date]
    steps: Sequence[Step]
    attempts: Frame
    bars: Sequence[Bar]
    depth: Frame
    lines: Sequence[tuple[str, str]]

    @property
    def is_set_up(self) -> bool:
        return self.standing.condition != "not_set_up"

    @property
    def rate(self) -> float | None:
        """Percent of the attempts that were delivered; None without attempts."""
        attempts = sum(one.attempts for one in self.steps)
        return 100 * sum(one.delivered for one in self.steps) / attempts if attempts else None

    @property
    def deepest(self) -> int | None:
        """The longest queue; None when nobody looked."""
        return max((one.depth for one in self.steps if one.depth is not None), default=None)


@router.get("/")
def overview(
    request: Request,
    session: Reader,
    destinations: Known,
    span: Annotated[Span, Query()] = "day",
    retried: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """The first page; `retried` is what the form before it came to."""
    standings = crm_statuses(destinations.engine, destinations.known())
    return page(
        "overview.html",
        request,
        session=session,
        span=span,
        retried=retried,
        nobody=nobody_yet(destinations.engine, destinations.one(None)),
        glances=[
            _glance(destinations, one, span)
            for one in standings
            if one.crm in destinations.settings.destinations or one.is_used
        ],
    )


def _glance(destinations: Destinations, status: CrmStatus, span: Span) -> Glance:
    engine = destinations.engine
    step, count = _STEPS[span]
    steps = history.steps(engine, status.crm, step=step, count=count)
    most = charts.scale(max(one.attempts for one in steps))
    deepest = charts.scale(max((one.depth or 0) for one in steps))
    return Glance(
        status=status,
        standing=standing_at(engine, destinations.settings, status.crm),
        left_out=(missing := left_out_sentence(engine, status.crm, destinations.settings.title_of(status.crm))),
        left_out_for=values_left_out(engine, status.crm, most=_LOOKED_AT)[:_REASONS] if missing else [],
        last_delivery=history.last_delivery(engine, status.crm),
        reports=days_of(destinations.settings, status.crm),
        steps=steps,
        attempts=charts.frame(steps, step, most),
        bars=charts.bars(steps, step, most[-1]),
        depth=charts.frame(steps, step, deepest),
        lines=[(line, charts.area(line, deepest[-1])) for line in charts.lines(steps, deepest[-1])],
    )


@router.get("/retry")
def before_retry(
    request: Request, session: Reader, destinations: Known, crm: Crm, kind: Annotated[Words, Query()] = ""
) -> Response:
    """How many would be tried again, and some of them, before anything is done."""
    destinations.one(crm)
    with destinations.engine.begin() as connection:
        counted = selection.retry_within(connection, crm, Who(everyone=True), kind=kind or None, dry_run=True)
        examples = failed(connection, [crm], kind or None, limit=_EXAMPLES)
    return page("retry.html", request, session=session, crm=crm, kind=kind, counted=counted, examples=examples)


@router.post("/retry")
def retry(
    session: Writer, destinations: Known, crm: Annotated[Crm, Form()], kind: Annotated[Words, Form()] = ""
) -> Response:
    """Put them back into the queue."""
    destinations.one(crm)
    with destinations.engine.begin() as connection:
        done = selection.retry_within(connection, crm, Who(everyone=True), kind=kind or None)
        retried = done.requeued + done.hastened
        session.record(connection, "retry", crm, retried)
    return see(f"/?retried={retried}")


@router.get("/send-without")
def before_send_without(request: Request, session: Reader, destinations: Known, crm: Crm) -> Response:
    """What the account lacks, and so would be left out, before anything is done."""
    gate = GateKeeper(destinations.engine, destinations.one(crm)).read()
    return page("send-without.html", request, session=session, crm=crm, gate=gate)


@router.post("/send-without")
def send_without(
    session: Writer, destinations: Known, crm: Annotated[Crm, Form()], lacks: Annotated[str, Form(max_length=10_000)]
) -> Response:
    """Send without what was shown: `lacks` has to be what is waited for, or the page is shown anew."""
    gate = GateKeeper(destinations.engine, destinations.one(crm))
    state = gate.read()
    if not state.waits_for_attributes or state.pause_reason != lacks:
        return see(f"/send-without?crm={crm}")
    with destinations.engine.begin() as connection:
        session.record(connection, "send_without", crm, 0)
    gate.open_by_hand()
    return see("/")
