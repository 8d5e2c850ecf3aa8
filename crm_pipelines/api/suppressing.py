"""Never send to a contact, and the lifting of that."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Response

from crm_pipelines.api.access import AuthenticatedRoute
from crm_pipelines.api.destinations import Known
from crm_pipelines.api.models import SuppressionAnswer, SuppressRequest, UnsuppressRequest
from crm_pipelines.api.writing import Writing, Written
from crm_pipelines.contacts import records, suppressions
from crm_pipelines.delivery.spellings import spellings
from crm_pipelines.errors import UsageError

router = APIRouter(route_class=AuthenticatedRoute, prefix="/contacts/{contact_id:uuid}", tags=["selection"])


@router.post("/suppress", response_model=SuppressionAnswer)
def suppress_contact(contact_id: UUID, wanted: SuppressRequest, destinations: Known, write: Writing) -> Response:
    """Never send this contact, nor any other with its address. This holds even after the contact is deleted."""
    crm = wanted.crm and destinations.one(wanted.crm)

    def work(connection: sa.Connection) -> Written:
        crms = suppress(connection, contact_id, crm, reason=wanted.reason, by=write.identity.name)
        return _written(contact_id, crms)

    return write.once("suppress", work)


@router.post("/unsuppress", response_model=SuppressionAnswer)
def unsuppress_contact(contact_id: UUID, wanted: UnsuppressRequest, destinations: Known, write: Writing) -> Response:
    """Let this contact be selected again. This does not select it."""
    crm = wanted.crm and destinations.one(wanted.crm)

    def work(connection: sa.Connection) -> Written:
        crms = unsuppress(connection, contact_id, crm, reason=wanted.reason, by=write.identity.name)
        return _written(contact_id, crms)

    return write.once("unsuppress", work)


def suppress(connection: sa.Connection, contact_id: UUID, crm: str | None, *, reason: str | None, by: str) -> list[str]:
    """The CRMs for which the contact was not suppressed before. Raises ContactUnknown."""
    people = _spellings(connection, contact_id)
    return [
        one
        for one in suppressions.crms_of(connection, crm)
        if suppressions.suppress(
            connection, one, [people] if people else [], contact_ids=[contact_id], reason=reason, by=by
        ).contacts
    ]


def unsuppress(connection: sa.Connection, contact_id: UUID, crm: str | None, *, reason: str, by: str) -> list[str]:
    """The CRMs for which the contact was suppressed. Raises ContactUnknown."""
    people = _spellings(connection, contact_id)
    return [
        one
        for one in suppressions.crms_of(connection, crm)
        if suppressions.unsuppress(connection, one, people, contact_ids=[contact_id], reason=reason, by=by).contacts
    ]


def _spellings(connection: sa.Connection, contact_id: UUID) -> frozenset[str]:
    address = records.read(connection, contact_id).email
    try:
        return spellings(address or "")
    except UsageError:  # no address, or none that could be sent: the contact itself is known by its id
        return frozenset()


def _written(contact_id: UUID, crms: Sequence[str]) -> Written:
    answer = SuppressionAnswer.model_validate({"contact_id": contact_id, "crms": list(crms)})
    return Written(answer=answer, contacts=int(bool(crms)), crms=crms, contact_ids=[contact_id])
