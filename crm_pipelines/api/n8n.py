"""What workflows of n8n tell about contacts that were delivered to them: the way back.

Whoever shows the secret of a destination is its workflow; there is no token, and no scope.
"""

import hmac
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from crm_pipelines.access import api_writes
from crm_pipelines.api.access import Authenticator, unauthorized
from crm_pipelines.api.errors import ApiError, invalid
from crm_pipelines.api.n8n_models import EnrichmentAnswer, EnrichmentComplete, EnrichmentMetadata, WebhookHealth
from crm_pipelines.api.perimeter import bounded
from crm_pipelines.contacts.enriching import AHEAD, Enrichment, EnrichmentChanged, FromTheFuture, Taken, take
from crm_pipelines.scrubbing import without_secrets
from crm_pipelines.settings import N8nSettings, Settings

LARGEST_MESSAGE = 500_000
"""Bytes. What was found about one contact."""

_BEARER = HTTPBearer(auto_error=False, scheme_name="n8n", description="N8N_WEBHOOK_SECRET.")


@dataclass(frozen=True)
class Workflow:
    """The destination whose secret a request shows."""

    destination: N8nSettings


class WebhookRoute(APIRoute):
    """Finds out whose secret it is before the body is read, and reads no more than a message may have."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def authenticate_and_handle(request: Request) -> Response:
            credentials = await _BEARER(request)
            shown = credentials.credentials if credentials else None
            request.state.workflow = await run_in_threadpool(_workflow_of, request, shown)
            bounded_request = Request(request.scope, bounded(request.receive, LARGEST_MESSAGE))
            return await handle(bounded_request)

        return authenticate_and_handle


router = APIRouter(route_class=WebhookRoute, prefix="/webhooks/n8n", tags=["n8n"])


def _workflow_of(request: Request, shown: str | None) -> Workflow:
    """Raises ApiError: 503 while no secret is set, 401 for a wrong one, 429 for too many of these."""
    settings: Settings = request.app.state.settings
    authenticator: Authenticator = request.app.state.authenticator
    secrets = {
        name: one.webhook_secret.get_secret_value()
        for name, one in settings.destinations.items()
        if isinstance(one, N8nSettings) and one.webhook_secret is not None
    }
    if not secrets:
        raise ApiError(
            503,
            "n8n_not_configured",
            "Nothing is accepted from n8n: set N8N_WEBHOOK_SECRET and N8N_WEBHOOK_URL.",
        )
    if shown is None:
        raise unauthorized("Send the secret: `Authorization: Bearer …`. It is that of N8N_WEBHOOK_SECRET.")
    # Each is compared, so that the time tells nothing of which one it was.
    matching = [name for name, secret in secrets.items() if hmac.compare_digest(secret.encode(), shown.encode())]
    client = request.client.host if request.client else ""
    if not matching:
        authenticator.count_failure(client)
        raise unauthorized("This is not the secret of N8N_WEBHOOK_SECRET.")
    destination = settings.destinations[matching[0]]
    assert isinstance(destination, N8nSettings)
    authenticator.count_request(f"webhook:{destination.name}")
    return Workflow(destination)


# The second parameter puts the secret into the OpenAPI document.
def _shown(request: Request, _: Annotated[object, Depends(_BEARER)]) -> Workflow:
    found: Workflow = request.state.workflow
    return found


Asking = Annotated[Workflow, Depends(_shown)]


@router.post("/enrichment-complete", response_model=EnrichmentAnswer)
def enrichment_complete(message: EnrichmentComplete, request: Request, workflow: Asking) -> EnrichmentAnswer:
    """Take what a workflow found out about a contact: stored, and filled in where the contact has nothing.

    The same `enrichment_id` with the same content changes nothing more, however much later; with other content it is
    refused. The contact is delivered again wherever it was delivered, but to n8n.
    """
    settings: Settings = request.app.state.settings
    asked = workflow.destination
    told = _enrichment(message, asked.name, settings)
    workflows = [name for name, one in settings.destinations.items() if isinstance(one, N8nSettings)]
    try:
        with request.app.state.engine.begin() as connection:
            taken = take(connection, told, overwrite=asked.overwritten, workflows=workflows)
            changed = [*taken.filled, *taken.overwritten]
            if not taken.again:
                api_writes.record(
                    connection,
                    token_id=None,
                    request_id=request.state.request_id,
                    action="enrichment",
                    contacts=int(bool(changed)),
                    crms=[asked.name],
                    contact_ids=[message.contact_id],
                )
    except EnrichmentChanged as error:
        raise ApiError(409, "enrichment_changed", str(error)) from None
    except FromTheFuture:
        minutes = f"{AHEAD.total_seconds() / 60:.0f}"
        problem = f"it is more than {minutes} minutes later than the database's clock"
        raise invalid([{"field": "body.timestamp", "problem": problem}]) from None
    return EnrichmentAnswer(
        contact_id=message.contact_id,
        enrichment_id=message.enrichment_id,
        message=_words(message, taken),
        updated_fields=[] if taken.again else changed,
        kept_fields=taken.kept,
        already=taken.again,
    )


@router.get("/health", response_model=WebhookHealth)
def webhook_health(_: Asking) -> WebhookHealth:
    """Whether the secret is the right one."""
    return WebhookHealth(
        webhook_url="/api/v3/webhooks/n8n/enrichment-complete",
        message="The secret is right: what workflows find out is accepted.",
    )


def _enrichment(message: EnrichmentComplete, crm: str, settings: Settings) -> Enrichment:
    data, metadata = message.enriched_data, message.metadata or EnrichmentMetadata()
    usable = [] if data is None or message.status == "failed" else data.offers(settings.general.crm_phone_region)
    return Enrichment(
        contact_id=message.contact_id,
        crm=crm,
        enrichment_id=message.enrichment_id,
        digest=message.digest,
        status=message.status,
        sent_at=message.timestamp,
        error=None if message.error is None else without_secrets(message.error, settings.secrets),
        confidence=None if data is None else data.confidence_score,
        sources=(data and data.sources) or [],
        duration_seconds=metadata.enrichment_duration_seconds,
        api_calls=metadata.api_calls_made,
        cost_estimate=metadata.cost_estimate,
        found=message.found,
        metadata=metadata.model_dump(mode="json", exclude_none=True),
        offers=list(usable),
    )


def _words(message: EnrichmentComplete, taken: Taken) -> str:
    if taken.again:
        return "This message came before: nothing was changed."
    changed = len(taken.filled) + len(taken.overwritten)
    if not changed and message.status == "failed":
        return "Stored as failed: nothing of the contact was changed."
    return f"Stored: {changed} field{'' if changed == 1 else 's'} of the contact changed."
