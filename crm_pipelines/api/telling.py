"""Why one contact is or is not in a CRM, as the API and the page tell it; with what the CRM holds now, if asked for."""

import sqlalchemy as sa
from fastapi import Request

from crm_pipelines.api.access import Authenticator
from crm_pipelines.api.errors import ApiError
from crm_pipelines.contacts.story import Story
from crm_pipelines.crms.registry import mapper_of
from crm_pipelines.delivery.opening import open_account
from crm_pipelines.delivery.why import Why, why
from crm_pipelines.settings import Settings


def tell(request: Request, found: Story, *, live: bool) -> Why:
    """With `live`, asks the CRM through its gate. Raises ApiError when it has no key, or was asked too often."""
    engine: sa.Engine = request.app.state.engine
    settings: Settings = request.app.state.settings
    mapper = mapper_of(settings, "brevo")
    if not live:
        return why(engine, found, [mapper])
    if settings.destination("brevo").missing is not None:
        raise ApiError(409, "crm_not_configured", "Brevo cannot be asked what it holds: BREVO_API_KEY is not set.")
    authenticator: Authenticator = request.app.state.authenticator
    authenticator.allow_look()
    with open_account(settings, "brevo", engine) as account:
        return why(engine, found, [mapper], [account])
