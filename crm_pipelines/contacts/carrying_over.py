"""Suppressions that an older state of the database does not know. The statements stand in carrying_over.sql."""

from dataclasses import dataclass

import sqlalchemy as sa

from crm_pipelines.contacts.sql import load_statements

_SQL = load_statements("carrying_over")


@dataclass(frozen=True, kw_only=True)
class Carried:
    """How many identifiers are suppressed now and were not, and how many could not be taken along."""

    added: int = 0
    lost: int = 0


def carry_over(former: sa.Engine, restored: sa.Engine) -> Carried:
    """Let who is suppressed in the database `former` be so in `restored` as well; nothing is lifted.

    Digests under another key say nothing here, so those are lost, and counted. A former database without our tables has
    none.
    """
    with former.connect() as connection:
        if connection.scalar(sa.text("SELECT to_regclass('crm_suppressions')")) is None:
            return Carried()
        in_force = [dict(row._mapping) for row in connection.execute(_SQL["in_force"])]
        key = connection.scalar(_SQL["key"])
    with restored.begin() as connection:
        if not in_force:
            return Carried()
        if connection.scalar(_SQL["key"]) != key:
            return Carried(lost=len(in_force))
        before: int = connection.execute(_SQL["count"]).scalar_one()
        connection.execute(_SQL["take"], in_force)
        return Carried(added=connection.execute(_SQL["count"]).scalar_one() - before)
