"""What must hold though an older state of the database does not know it: suppressions, and revoked tokens.

The statements stand in carrying_over.sql.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from crm_pipelines.database.sql import load_statements

_SQL = load_statements("local/carrying_over")


@dataclass(frozen=True, kw_only=True)
class Carried:
    """How many identifiers are suppressed now and were not, how many were lost, and the tokens refused again."""

    added: int = 0
    lost: int = 0
    revoked: int = 0


def carry_over(former: sa.Engine, restored: sa.Engine) -> Carried:
    """Let who is suppressed in the database `former` be so in `restored` as well, and refuse the tokens revoked there.

    Nothing is lifted. Digests under another key say nothing here, so those are lost, and counted. A former database
    without our tables has none. Sessions of the status page are over.
    """
    revoked = _carry_revocations(former, restored)
    with former.connect() as connection:
        if not _has(connection, "crm_suppressions"):
            return Carried(revoked=revoked)
        in_force = [dict(row._mapping) for row in connection.execute(_SQL["in_force"])]
        key = connection.scalar(_SQL["key"])
    with restored.begin() as connection:
        if not in_force:
            return Carried(revoked=revoked)
        if connection.scalar(_SQL["key"]) != key:
            return Carried(lost=len(in_force), revoked=revoked)
        before: int = connection.execute(_SQL["count"]).scalar_one()
        connection.execute(_SQL["take"], in_force)
        return Carried(added=connection.execute(_SQL["count"]).scalar_one() - before, revoked=revoked)


def _carry_revocations(former: sa.Engine, restored: sa.Engine) -> int:
    revoked = []
    with former.connect() as connection:
        if _has(connection, "crm_tokens"):
            revoked = [dict(row._mapping) for row in connection.execute(_SQL["revoked"])]
    with restored.begin() as connection:
        connection.execute(_SQL["end_sessions"])
        return sum(connection.execute(_SQL["revoke"], token).rowcount for token in revoked)


def _has(connection: sa.Connection, table: str) -> bool:
    return connection.scalar(sa.text("SELECT to_regclass(:table)"), {"table": table}) is not None
