"""Puts the application together."""

import sqlalchemy as sa
from fastapi import FastAPI

from crm_pipelines.api import errors
from crm_pipelines.api.access import Authenticator
from crm_pipelines.api.perimeter import Perimeter
from crm_pipelines.settings import Settings

PREFIX = "/api/v3"


def create_app(engine: sa.Engine, settings: Settings) -> FastAPI:
    """The application on the contacts database of `engine`.

    `app.state` holds `engine`, `settings` and `authenticator` for endpoints.
    """
    app = FastAPI(
        title="crm-pipelines",
        version="3",
        description="Selects contacts for delivery to a CRM, and tells how they fare.",
        openapi_url=f"{PREFIX}/openapi.json",
        # Their pages load scripts from other hosts.
        docs_url=None,
        redoc_url=None,
    )
    app.state.engine = engine
    app.state.settings = settings
    app.state.authenticator = Authenticator(engine, requests_per_minute=settings.api.requests_per_minute)
    errors.install(app)
    app.add_middleware(Perimeter, hosts=settings.api.hosts)
    return app
