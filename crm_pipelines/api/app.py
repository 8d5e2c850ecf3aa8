"""Puts the application together."""

from importlib.metadata import version
from typing import Any

import dagster as dg
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from crm_pipelines.api import contacts, errors, metrics, n8n, pages, selecting, status, suppressing
from crm_pipelines.api.access import Authenticator
from crm_pipelines.api.destinations import Destinations
from crm_pipelines.api.errors import ErrorEnvelope
from crm_pipelines.api.metrics import Metrics
from crm_pipelines.api.pages.rendering import error_page
from crm_pipelines.api.perimeter import Perimeter
from crm_pipelines.orchestration.sync.launching import Launcher
from crm_pipelines.settings import Settings

PREFIX = "/api/v3"
UVICORN: dict[str, Any] = {
    "access_log": False,
    "server_header": False,
    # Whoever asks from this machine could claim any address in a header, and be throttled under none.
    "proxy_headers": False,
    "ws": "none",
    # Longer than clients and proxies keep an idle connection, so that none sends into one just closed.
    "timeout_keep_alive": 75,
}
"""How the application is to be served."""

_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorEnvelope, "description": description}
    for status, description in {
        400: "The body is not valid JSON.",
        401: "The token is missing, unknown, revoked or expired.",
        403: "The token lacks the scope.",
        404: "There is no such contact.",
        409: "It conflicts with what is there.",
        413: "The body is too large.",
        421: "The API is not available under this host name.",
        422: "Something in the request cannot be used.",
        429: "Too many requests.",
        503: "The database does not answer.",
    }.items()
}


def create_app(engine: sa.Engine, settings: Settings) -> FastAPI:
    """The application on the contacts database of `engine`, and on Dagster's records that the environment names.

    `app.state` holds `engine`, `settings`, `authenticator` and `destinations` for endpoints. Whoever serves it
    registers these first.
    """
    glossary = settings.channels.glossary_url
    app = FastAPI(
        title="crm-pipelines",
        version=version("crm-pipelines"),
        description="Selects contacts for delivery to a CRM, and tells what became of them. Times are in UTC. "
        f"{'[The glossary](' + glossary + ')' if glossary else 'docs/glossary.md'} explains the words.",
        openapi_url=f"{PREFIX}/openapi.json",
        # Their pages load scripts from other hosts; ours is in pages/api_document.py.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.engine = engine
    app.state.settings = settings
    app.state.destinations = Destinations(engine, settings)
    app.state.authenticator = Authenticator(engine, requests_per_minute=settings.api.requests_per_minute)
    app.state.open_instance = dg.DagsterInstance.get
    app.state.launcher = Launcher(settings)
    app.state.metrics = Metrics(app.state.destinations)
    errors.install(app, error_page)
    # Those with a fixed path come before those with a parameter.
    for part in (selecting, suppressing, status, contacts, metrics, n8n):
        app.include_router(part.router, prefix=PREFIX, responses=_ERRORS)
    app.include_router(metrics.router, include_in_schema=False)
    pages.install(app)
    if settings.api.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.api.origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    app.add_middleware(Perimeter, hosts=settings.api.hosts, observe=app.state.metrics.observe)
    return app
