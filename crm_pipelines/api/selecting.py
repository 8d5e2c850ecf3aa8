"""What is decided about contacts: to be delivered, not to be delivered, tried again, delivered now."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from crm_pipelines.api.access import AuthenticatedRoute
from crm_pipelines.api.destinations import Known
from crm_pipelines.api.errors import ApiError
from crm_pipelines.api.models import (
    CONFIRM_ABOVE,
    Counts,
    Crm,
    FilteredSelectAnswer,
    FilteredSelectRequest,
    Refused,
    RetryAnswer,
    RetryRequest,
    SelectAnswer,
    SelectRequest,
    TriggerAnswer,
    TriggerRequest,
)
from crm_pipelines.api.writing import Writing, Written
from crm_pipelines.contacts import selection
from crm_pipelines.contacts.selection import Decided, MoreThanConfirmed, Who
from crm_pipelines.contacts.story import ContactUnknown
from crm_pipelines.orchestration.sync.launching import Launcher, NotLaunched

router = APIRouter(route_class=AuthenticatedRoute, prefix="/contacts/crm", tags=["selection"])

_SUPPRESSED = "Never sent, by a user's decision. /contacts/{id}/unsuppress lifts it."
_CHANGED = ("selected", "claimed", "unselected")


@router.put("/select", response_model=SelectAnswer, operation_id="select_contacts_put")
@router.post("/select", response_model=SelectAnswer, operation_id="select_contacts")
def select_contacts(wanted: SelectRequest, destinations: Known, write: Writing) -> Response:
    """Select contacts for CRMs, or take them back, by id. Both methods mean the same.

    Nothing is changed when one of the CRMs is not set up.
    """
    ids = list(dict.fromkeys(wanted.contact_ids))
    crms = destinations.several(wanted.crms)
    destinations.admit(wanted.action, crms)

    def work(connection: sa.Connection) -> Written:
        outcomes = {crm: selection.decide(connection, crm, ids, wanted.action) for crm in crms}
        answer = SelectAnswer(
            action=wanted.action,
            crms=[Counts(crm=crm, **Counter(became.values())) for crm, became in outcomes.items()],
            refused=_refused(ids, outcomes),
        )
        return Written(answer=answer, contacts=_changed(answer.crms), crms=crms, contact_ids=ids)

    return write.once(wanted.action, work)


def _refused(ids: Sequence[UUID], outcomes: Mapping[Crm, dict[UUID, str]]) -> list[Refused]:
    known = next(iter(outcomes.values()))
    missing = [
        Refused(contact_id=one, crm=None, reason="not_found", message="There is no contact with this id.")
        for one in ids
        if one not in known
    ]
    suppressed = [
        Refused.model_validate({"contact_id": one, "crm": crm, "reason": "suppressed", "message": _SUPPRESSED})
        for crm, became in outcomes.items()
        for one, outcome in became.items()
        if outcome == "suppressed"
    ]
    return missing + suppressed


@router.post("/select/filtered", response_model=FilteredSelectAnswer)
def select_filtered(wanted: FilteredSelectRequest, destinations: Known, write: Writing) -> Response:
    """Select all contacts that match a filter, or take them back. First ask with `dry_run` how many they are."""
    crms, filter_ = destinations.several(wanted.crms), wanted.filter.to_filter()
    destinations.admit(wanted.action, crms)

    def work(connection: sa.Connection) -> Written:
        most = max(CONFIRM_ABOVE, wanted.confirm or 0)
        try:
            done = [selection.decide_matching(connection, crm, filter_, wanted.action, most=most) for crm in crms]
        except MoreThanConfirmed as error:
            raise _unconfirmed(error.contacts, wanted.confirm) from None
        answer = _answer(wanted, done)
        return Written(answer=answer, contacts=_changed(answer.crms), crms=crms)

    if wanted.dry_run:
        with write.engine.begin() as connection:
            answer = _answer(wanted, [selection.count_matching(connection, crm, filter_) for crm in crms])
        return JSONResponse(answer.model_dump(mode="json"))
    return write.once(f"{wanted.action}_filtered", work)


def _answer(wanted: FilteredSelectRequest, found: Sequence[Decided]) -> FilteredSelectAnswer:
    return FilteredSelectAnswer(
        action=wanted.action,
        dry_run=wanted.dry_run,
        contacts=max(one.contacts for one in found),
        crms=[Counts.model_validate({"crm": one.crm, **one.counts}) for one in found],
    )


def _unconfirmed(contacts: int, confirm: int | None) -> ApiError:
    said = f"`confirm` says {confirm:,}" if confirm is not None else f"more than {CONFIRM_ABOVE:,} have to be confirmed"
    return ApiError(
        409,
        "confirmation_required",
        f"{contacts:,} contacts match, and {said}: send confirm: {contacts} if that is what you want.",
        details={"contacts": contacts},
    )


@router.post("/sync/trigger", status_code=202, response_model=TriggerAnswer)
def trigger_sync(wanted: TriggerRequest, request: Request, destinations: Known, write: Writing) -> Response:
    """Put a contact first in the queue, and have a run started for it now. One run waits at most, and takes them all.

    When Dagster cannot be reached, the contact is first in the queue all the same, and the answer says so.
    """
    crm = destinations.one(wanted.crm)
    destinations.admit("select", [crm])
    first: list[TriggerAnswer] = []

    def work(connection: sa.Connection) -> Written:
        outcome = selection.put_first(connection, crm, wanted.contact_id)
        if outcome is None:
            raise ContactUnknown
        if outcome == "suppressed":
            raise ApiError(409, "suppressed", _SUPPRESSED)
        first.append(
            TriggerAnswer.model_validate(
                {**wanted.model_dump(), "outcome": outcome, "message": "First in the queue; a run was being started."}
            )
        )
        return Written(answer=first[0], status=202, contacts=1, crms=[crm], contact_ids=[wanted.contact_id])

    kept = write.once("trigger", work)
    if not first:
        return kept
    launched = first[0].model_copy(update=_launch(request.app.state.launcher, wanted))
    write.amend(launched, status=202)
    return JSONResponse(launched.model_dump(mode="json"), status_code=202)


def _launch(launcher: Launcher, wanted: TriggerRequest) -> dict[str, Any]:
    try:
        run = launcher.launch(wanted.crm)
    except NotLaunched as error:
        return {"message": f"First in the queue. {error}"}
    message = "First in the queue; a run was started for it."
    if run.waiting:
        message = "First in the queue; a run is about to start already, and takes this contact too."
    return {"run_id": run.run_id, "run_url": run.url, "message": message}


@router.post("/retry", response_model=RetryAnswer)
def retry_contacts(wanted: RetryRequest, destinations: Known, write: Writing) -> Response:
    """Put failed contacts back into the queue, and do not wait for retries that are due later."""
    crm = destinations.one(wanted.crm)
    who = Who(ids=tuple(wanted.contact_ids or ()), everyone=wanted.contact_ids is None)

    def retry(connection: sa.Connection) -> RetryAnswer:
        done = selection.retry_within(connection, crm, who, kind=wanted.kind, dry_run=wanted.dry_run)
        return RetryAnswer.model_validate({"crm": crm, **vars(done)})

    def work(connection: sa.Connection) -> Written:
        answer = retry(connection)
        return Written(
            answer=answer,
            contacts=answer.requeued + answer.hastened,
            crms=[crm],
            contact_ids=wanted.contact_ids or [],
        )

    if wanted.dry_run:
        with write.engine.begin() as connection:
            return JSONResponse(retry(connection).model_dump(mode="json"))
    return write.once("retry", work)


def _changed(counts: Sequence[Counts]) -> int:
    return sum(getattr(one, name) for one in counts for name in _CHANGED)
