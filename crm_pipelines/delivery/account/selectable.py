"""For which destinations contacts may be selected: those that somebody delivers to, as the database is told."""

import sqlalchemy as sa

from crm_pipelines.destinations.registered import is_registered, register
from crm_pipelines.settings import Settings, UnknownDestination, is_name


def register_destinations(settings: Settings, engine: sa.Engine) -> None:
    """Tell the database which destinations these settings have, and to which of them this process can deliver."""
    for name, destination in settings.destinations.items():
        register(engine, name, destination.kind, delivers=destination.missing is None)


def require_destination(settings: Settings, engine: sa.Engine, name: str) -> str:
    """The name in its usual spelling: one of this process's settings, or of somebody's who uses this database.

    `make up` may run in one terminal, with other settings than a command in another one. Raises UnknownDestination,
    which names the variable to set.
    """
    name = name.casefold()
    if not is_name(name):  # it may be none that Postgres takes
        raise UnknownDestination(settings.why_not(name))
    if not is_registered(engine, name):
        if not settings.delivers_to(name):
            raise UnknownDestination(settings.why_not(name))
        found = settings.destinations[name]
        register(engine, name, found.kind, delivers=found.missing is None)
    return name
