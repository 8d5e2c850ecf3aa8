"""How long it took from an edit, or a selection, to the CRM's confirmation. The statements stand in delays.sql."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from crm_pipelines.database.sql import FIVE_SECONDS, asking, load_statements

_SQL = load_statements("statistics/delays")
_WINDOW = timedelta(hours=1)
# Of the ledger, the latest, and of the queue, those that are due for longest: there may be millions.
_MOST = 20_000


@dataclass(frozen=True, kw_only=True)
class Delays:
    """Of the last hour's deliveries whose delay is known, of the latest 20,000 rows of the ledger at most.

    So many seconds at most took 50, 95 and 99 % of these `contacts`; None without any.
    """

    contacts: int = 0
    p50_seconds: float | None = None
    p95_seconds: float | None = None
    p99_seconds: float | None = None

    @property
    def by_percent(self) -> dict[int, float]:
        """Seconds by percentile; empty without any delivery."""
        found = {50: self.p50_seconds, 95: self.p95_seconds, 99: self.p99_seconds}
        return {percent: seconds for percent, seconds in found.items() if seconds is not None}

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"window_seconds": int(_WINDOW.total_seconds()), **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class Lateness:
    """The 95th percentile of deliveries and of what waits, as far as sending was on within the last hour.

    `waiting` are the contacts that have waited for longer than they should, each counted with what it has waited so
    far: where nothing arrives any more, deliveries alone tell nothing.
    """

    p95_seconds: float
    delivered: int
    waiting: int


def delays_within(connection: sa.Connection, crm: str) -> Delays:
    """In the transaction of this connection."""
    row = connection.execute(_SQL["delays"], {"crm": crm, "window": _WINDOW, "most": _MOST}).one()
    return Delays(**row._mapping)


def delays(engine: sa.Engine, crm: str) -> Delays:
    """Raises sqlalchemy.exc.OperationalError when the database takes longer than 5 s."""
    with engine.begin() as connection:
        connection.execute(FIVE_SECONDS)
        return delays_within(connection, crm)


def lateness(engine: sa.Engine, crm: str, *, late: timedelta) -> Lateness:
    """`late`: from which age on a contact that waits is counted.

    Raises sqlalchemy.exc.OperationalError when the database takes longer than 5 s.
    """
    ask = asking(engine, _SQL, crm, first=FIVE_SECONDS)
    return Lateness(**ask("lateness", window=_WINDOW, most=_MOST, late=late)[0]._mapping)
