"""The ledger of deliveries over weeks: figures for reports, and the end of its old part.

The statements stand in ledger.sql.
"""

from typing import Any

import sqlalchemy as sa

from crm_pipelines.database.sql import asking, load_statements

_SQL = load_statements("queue/ledger")
# Figures of a month walk over all its attempts; nobody waits for them.
_NO_HURRY = sa.text("SET LOCAL statement_timeout = '10min'")
_AT_A_TIME = 5000


class Ledger:
    """Of one CRM. Rows come as dicts, by the columns' names; they hold kinds and codes, no words about a contact."""

    def __init__(self, engine: sa.Engine, crm: str) -> None:
        self._engine = engine
        self._crm = crm
        self._ask = asking(engine, _SQL, crm, first=_NO_HURRY)

    def by_day(self, days: int) -> list[dict[str, Any]]:
        """`day`, `outcome`, `kind`, `attempts`, `requests`."""
        return self._all("by_day", days=days)

    def times_to_delivery(self, days: int) -> list[dict[str, Any]]:
        """`day` (None: all days together), `contacts`, `median_seconds`, `p95_seconds`."""
        return self._all("times_to_delivery", days=days)

    def delays(self, days: int) -> list[dict[str, Any]]:
        """`day` (None: all days together), `contacts`, `p50_seconds`, `p95_seconds`, `p99_seconds`."""
        return self._all("delays", days=days)

    def parked(self) -> list[dict[str, Any]]:
        """`status`, `kind`, `code`, `contacts`, `since`: contacts that wait for somebody to act."""
        return self._all("parked")

    def count_older(self, days: int) -> int:
        return int(self._all("count_old_attempts", days=days)[0]["count"])

    def prune(self, days: int) -> int:
        """Delete what is older, a few thousand rows per transaction; returns how many attempts went."""
        gone = 0
        while (part := self._delete("prune_attempts", days=days, most=_AT_A_TIME)) > 0:
            gone += part
        self._delete("prune_imports", days=days)
        return gone

    def _all(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        return [dict(row._mapping) for row in self._ask(name, **parameters)]

    def _delete(self, name: str, **parameters: Any) -> int:
        with self._engine.begin() as connection:
            return connection.execute(_SQL[name], {"crm": self._crm, **parameters}).rowcount
