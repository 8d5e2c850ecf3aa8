"""Twins: contacts that are one address with another one, and are never sent. The statements stand in twins.sql.

A second row of one address is refused since there is a normal form of it (crm_contacts.address); these are of before.
"""

from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.database.sql import load_statements

_SQL = load_statements("contacts/twins")


@dataclass(frozen=True, kw_only=True)
class Twin:
    """A contact that is not sent, and the one with the same address that is."""

    id: UUID
    email: str
    name: str | None
    first_id: UUID
    first_email: str
    first_name: str | None


def count_twins(connection: sa.Connection) -> int:
    return int(connection.execute(_SQL["count"]).scalar_one())


def in_words(twins: int) -> str:
    """One sentence; empty if there are none."""
    if not twins:
        return ""
    have = "1 contact has the address of another one and is" if twins == 1 else f"{twins} contacts have the address of "
    have = have if twins == 1 else f"{have}others and are"
    return f"{have} never sent: see `crm-pipelines contacts twins`."


def twins(connection: sa.Connection) -> list[Twin]:
    """Those of the oldest contacts first, a thousand at most."""
    return [Twin(**row._mapping) for row in connection.execute(_SQL["list"])]


def merge_twins(connection: sa.Connection) -> int:
    """Fill what is blank in the contacts that are sent from their twins, and delete the twins; returns how many."""
    return int(connection.execute(_SQL["merge"]).scalar_one())


def settle(engine: sa.Engine) -> None:
    """Give contacts that came in past the trigger their normal form."""
    # Somebody has written one of these addresses in the same moment: the next run tries again.
    with suppress(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(_SQL["settle"])
