"""Why one contact is or is not in a CRM, as the API and the page tell it; with what the CRM holds now, if asked for."""

from collections.abc import Collection

import sqlalchemy as sa
from fastapi import Request

from crm_pipelines.api.access import Authenticator
from crm_pipelines.api.errors import ApiError
from crm_pipelines.contacts.story import Story
from crm_pipelines.delivery.why import Why, why
from crm_pipelines.settings import Settings


def tell(request: Request, found: Story, *, ask: Collection[str] = ()) -> Why:
    """What is sent to every destination that is set up, and what those of `ask` hold now.

    One that cannot be asked is told with the reason. Raises UnknownDestination, and ApiError when none at all has
    credentials, or one was asked too often.
    """
    engine: sa.Engine = request.app.state.engine
    settings: Settings = request.app.state.settings
    authenticator: Authenticator = request.app.state.authenticator
    for name in ask:
        if settings.destination(name).missing is None:
            authenticator.allow_look(name)
    return why(settings, engine, found, previews=settings.destinations, ask=ask)


def require_credentials(settings: Settings) -> None:
    """Raises ApiError when no destination at all can be asked what it holds."""
    missing = [one.missing for one in settings.destinations.values() if one.missing]
    if len(missing) == len(settings.destinations):
        raise ApiError(
            409, "crm_not_configured", f"No CRM can be asked what it holds: {' and '.join(missing)} not set."
        )
