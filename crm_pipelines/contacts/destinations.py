"""The destinations that this database knows, and who delivers to them."""

import sqlalchemy as sa

from crm_pipelines.contacts.crms import CRMS
from crm_pipelines.contacts.sql import load_statements

_SQL = load_statements("destinations")


def register(engine: sa.Engine, name: str, kind: str) -> None:
    """Note that this process has the destination in its settings; with the first time it gets a gate.

    Writes at most once an hour.
    """
    with engine.begin() as connection:
        connection.execute(_SQL["register"], {"name": name, "kind": kind})


def is_registered(engine: sa.Engine, name: str) -> bool:
    """Whether anybody ever had it in the settings."""
    with engine.connect() as connection:
        return bool(connection.scalar(_SQL["is_registered"], {"name": name}))


def known_destinations(connection: sa.Connection) -> tuple[str, ...]:
    """Names of all that contacts are, or may have been, delivered to: first those with columns in the view."""
    further = connection.scalars(_SQL["names"])
    return (*CRMS, *(name for name in further if name not in CRMS))
