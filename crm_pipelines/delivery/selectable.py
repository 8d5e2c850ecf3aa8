"""For which destinations contacts may be selected: those that somebody delivers to."""

import sqlalchemy as sa

from crm_pipelines.settings import Settings, UnknownDestination


def require_destination(settings: Settings, engine: sa.Engine, name: str) -> str:
    """The name in its usual spelling. Raises UnknownDestination, which names the variable to set."""
    if name.casefold() not in settings.destinations:
        raise UnknownDestination(settings.why_not(name.casefold()))
    return name.casefold()
