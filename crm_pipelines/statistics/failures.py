"""What a watcher asks every minute: how many failed, and why. The statements stand in failures.sql."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import sqlalchemy as sa

from crm_pipelines.database.sql import FIVE_SECONDS, asking, load_statements

_SQL = load_statements("statistics/failures")
_MOST_REASONS = 3


@dataclass(frozen=True, kw_only=True)
class FailureFigures:
    """Contacts that have failed; the attempts of the last hour, as far as sending was on, and how many failed."""

    failed: int
    attempts: int
    failed_attempts: int

    @property
    def percent(self) -> float:
        """Share of the attempts that failed."""
        return 100 * self.failed_attempts / self.attempts if self.attempts else 0.0


@dataclass(frozen=True, kw_only=True)
class CommonReason:
    """Words of the CRM without addresses and long numbers, and how many contacts they are about."""

    text: str
    contacts: int


class FailureWatcher:
    """Of one CRM. Every call raises sqlalchemy.exc.DBAPIError when the database does not answer within 5 s."""

    def __init__(self, engine: sa.Engine, crm: str) -> None:
        self.crm = crm
        # A watcher that waits is no watcher: Dagster ends a sensor's evaluation after 60 s.
        self._all = asking(engine, _SQL, crm, first=FIVE_SECONDS)

    def figures(self) -> FailureFigures:
        return FailureFigures(**self._all("figures")[0]._mapping)

    def stuck(self, longer: timedelta) -> int:
        """Claims whose lease has been over for longer than this."""
        return int(self._all("stuck", longer=longer)[0][0])

    def reasons_of_contacts(self, state: Literal["failed", "queued"]) -> list[CommonReason]:
        """Why contacts in this state are there, the commonest first."""
        rows = self._all("reasons_of_contacts", state=state, limit=_MOST_REASONS)
        return [CommonReason(**row._mapping) for row in rows]

    def reasons_of_last_hour(self) -> list[CommonReason]:
        """Why attempts of the last hour failed, the commonest first."""
        return [CommonReason(**row._mapping) for row in self._all("reasons_of_last_hour", limit=_MOST_REASONS)]
