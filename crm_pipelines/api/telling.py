"""Why one contact is or is not in a CRM, as the API and the page tell it; with what the CRM holds now, if asked for."""

from collections.abc import Collection
from dataclasses import replace
from uuid import UUID

import sqlalchemy as sa
from fastapi import Request

from crm_pipelines.api.access import Authenticator
from crm_pipelines.api.errors import ApiError
from crm_pipelines.contacts.story import Story
from crm_pipelines.crms.registry import mapper_of
from crm_pipelines.delivery.opening import open_account
from crm_pipelines.delivery.why import Held, Why, look, why
from crm_pipelines.errors import SettingsError
from crm_pipelines.settings import Settings


def tell(request: Request, found: Story, *, ask: Collection[str] = ()) -> Why:
    """What is sent to every destination that is set up, and what those of `ask` hold now, asked through their gates.

    One that cannot be asked is told with the reason. Raises UnknownDestination, and ApiError when none at all has
    credentials, or one was asked too often.
    """
    engine: sa.Engine = request.app.state.engine
    settings: Settings = request.app.state.settings
    told = why(engine, found, [mapper_of(settings, name) for name in settings.destinations])
    if not ask:
        return told
    authenticator: Authenticator = request.app.state.authenticator
    for name in ask:
        if settings.destination(name).missing is None:
            authenticator.allow_look(name)
    held = [_held(settings, engine, name, found.id) for name in ask]
    return replace(told, live=tuple(one for one in held if one))


def involved(settings: Settings, found: Story) -> list[str]:
    """Those that are set up and that the contact was selected for, or that hold it; all, if there are none of these.

    Raises ApiError when no destination at all has credentials.
    """
    missing = [one.missing for one in settings.destinations.values() if one.missing]
    if len(missing) == len(settings.destinations):
        raise ApiError(
            409, "crm_not_configured", f"No CRM can be asked what it holds: {' and '.join(missing)} not set."
        )
    chosen = {one.crm for one in found.crms if one.condition != "unselected" or one.remote_key or one.remote_id}
    return [name for name in settings.destinations if name in chosen] or list(settings.destinations)


def _held(settings: Settings, engine: sa.Engine, name: str, contact_id: UUID) -> Held | None:
    try:
        with open_account(settings, name, engine) as account:
            return look(account, contact_id)
    except SettingsError as reason:
        return Held(crm=name, found=None, says=f"Not asked: {reason}")
