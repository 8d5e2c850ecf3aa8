"""How deliveries to a CRM went over time: attempts from the ledger, and the queue's length, noted once a minute.

The statements stand in history.sql.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from crm_pipelines.database.sql import FIVE_SECONDS, asking, load_statements

_SQL = load_statements("statistics/history")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One stretch of time from `at` on: the longest queue (None: nobody looked), and what its attempts came to.

    `delivered` and `failed` are attempts by docs/glossary.md; some of those that failed were repeated with success
    later.
    """

    at: datetime
    depth: int | None
    delivered: int
    failed: int

    @property
    def attempts(self) -> int:
        return self.delivered + self.failed


@dataclass(frozen=True, kw_only=True)
class LastDay:
    """The attempts of the present hour and the 23 before it, and how many of them failed."""

    attempts: int
    failed_attempts: int

    @property
    def success_percent(self) -> float | None:
        """None without attempts."""
        return 100 * (self.attempts - self.failed_attempts) / self.attempts if self.attempts else None


def note_depth(engine: sa.Engine, crm: str) -> None:
    """Write down how long the queue is; what is older than a month is forgotten. Harmless to repeat."""
    with engine.begin() as connection:
        connection.execute(_SQL["note_depth"], {"crm": crm})
        connection.execute(_SQL["forget_depths"], {"crm": crm})


def steps(engine: sa.Engine, crm: str, *, step: timedelta, count: int) -> list[Step]:
    """The last `count` steps, the present one last; they begin at full steps since 1970 in UTC."""
    with engine.connect() as connection:
        rows = connection.execute(_SQL["steps"], {"crm": crm, "step": step, "count": count})
        return [Step(**row._mapping) for row in rows]


def last_day(engine: sa.Engine, crm: str) -> LastDay:
    """The same figures as those of 24 steps of an hour.

    Raises sqlalchemy.exc.OperationalError when the database takes longer than 5 s.
    """
    rows = asking(engine, _SQL, crm, first=FIVE_SECONDS)("steps", step=timedelta(hours=1), count=24)
    delivered, failed = sum(row.delivered for row in rows), sum(row.failed for row in rows)
    return LastDay(attempts=delivered + failed, failed_attempts=failed)


def last_delivery(engine: sa.Engine, crm: str) -> datetime | None:
    """When the CRM last took a contact, or would have needed none; None if not within a month."""
    with engine.connect() as connection:
        found: datetime | None = connection.execute(_SQL["last_delivery"], {"crm": crm}).scalar_one()
        return found
