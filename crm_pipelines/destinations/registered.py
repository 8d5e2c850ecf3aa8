"""The destinations that this database knows, and who delivers to them. The statements stand in registered.sql."""

from collections.abc import Collection, Mapping
from datetime import datetime

import sqlalchemy as sa

from crm_pipelines.database.sql import NO_TIMEOUT, load_statements
from crm_pipelines.database.view import CRMS
from crm_pipelines.errors import UsageError

_SQL = load_statements("destinations/registered")


def register(engine: sa.Engine, name: str, kind: str, *, delivers: bool = True) -> None:
    """Note that this process has the destination in its settings. Writes at most once an hour.

    With the first time it gets its gate, and whoever is suppressed at every other destination is so here. Without
    credentials (`delivers` false) nobody delivers there yet, and there is no more to note.
    """
    given = {"name": name, "kind": kind}
    with engine.begin() as connection:
        if connection.scalar(_SQL["is_fresh" if delivers else "has_gate"], given):
            return
        if connection.execute(_SQL["add_gate"], given).rowcount:
            connection.execute(NO_TIMEOUT)
            connection.execute(_SQL["suppress_everybody_known"], given)
            connection.execute(_SQL["suppress_contacts_known"], given)
        if delivers:
            connection.execute(_SQL["see"], given)


def is_registered(engine: sa.Engine, name: str) -> bool:
    """Whether somebody had it in the settings within a day."""
    with engine.connect() as connection:
        return bool(connection.scalar(_SQL["is_registered"], {"name": name}))


def known_destinations(connection: sa.Connection) -> tuple[str, ...]:
    """Names of all that contacts are, or may have been, delivered to: first those with columns in the view."""
    further = connection.scalars(_SQL["names"])
    return (*CRMS, *(name for name in further if name not in CRMS))


def known_destination(connection: sa.Connection, name: str) -> str:
    """The name in its usual spelling. Raises UsageError that lists the known ones."""
    known = known_destinations(connection)
    if name.casefold() not in known:
        raise UsageError(f"There is no CRM named {name!r}; known are {', '.join(known)}.")
    return name.casefold()


def unattended(connection: sa.Connection) -> Mapping[str, datetime | None]:
    """Destinations that nobody had in the settings within a day, by name: since when; None: nobody ever had."""
    return {row.crm: row.seen_at for row in connection.execute(_SQL["unattended"])}


def waiting_for_nobody(connection: sa.Connection, enabled: Collection[str]) -> Mapping[str, int]:
    """How many contacts wait in the queue of a destination to which nobody delivers, if any, by its name.

    `enabled` are those to which this process delivers.
    """
    names = [name for name in unattended(connection) if name not in enabled]
    rows = connection.execute(_SQL["waiting"], {"names": names})
    return {row.crm: row.contacts for row in rows if row.contacts}


def long_selected(connection: sa.Connection, name: str) -> tuple[int, datetime | None]:
    """How many contacts wait there that were selected more than a day ago, and when the first of them was."""
    row = connection.execute(_SQL["long_selected"], {"name": name}).one()
    return row.contacts, row.since
