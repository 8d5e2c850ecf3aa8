"""How deliveries to a CRM stand at one moment: what a run reports, and what the checks judge."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from crm_pipelines.delivery.account.opening import Account
from crm_pipelines.destinations.gates import Gate
from crm_pipelines.queue.model import Backlog
from crm_pipelines.settings import AlertSettings
from crm_pipelines.statistics.failures import FailureFigures, FailureWatcher, LastDay

FEWEST_ATTEMPTS = 20
"""Of fewer attempts in an hour, a share says nothing."""


@dataclass(frozen=True, kw_only=True)
class DestinationStanding:
    """Figures of one CRM.

    `last_day` is None when it was not asked for or could not be counted in time. `stuck` are claims whose lease has
    been over for longer than `stuck_after`. `limit_per_second` is the account's rate limit in force.
    """

    crm: str
    gate: Gate
    backlog: Backlog
    figures: FailureFigures
    last_day: LastDay | None
    stuck: int
    stuck_after: timedelta
    limit_per_second: float
    thresholds: AlertSettings

    @property
    def waiting(self) -> timedelta:
        """Of the contact that is due for longest; time behind a closed gate does not count."""
        return min(timedelta(seconds=self.backlog.oldest_due_seconds), self.figures.open_for)


def look_at(account: Account, *, last_day: bool = False) -> DestinationStanding:
    """A handful of short queries, each along an index; with `last_day` one that reads the attempts of 24 hours."""
    crm = account.queue.crm
    watcher = FailureWatcher(account.engine, crm)
    gate = account.gate.read()
    # Every tick returns claims whose lease is over; two may be missed, and a run takes its time.
    stuck_after = 2 * timedelta(minutes=account.destination.sync_scheduler_interval_minutes) + timedelta(minutes=5)
    return DestinationStanding(
        crm=crm,
        gate=gate,
        backlog=account.queue.backlog(),
        figures=watcher.figures(),
        last_day=_last_day(watcher) if last_day else None,
        stuck=watcher.stuck(stuck_after),
        stuck_after=stuck_after,
        limit_per_second=account.rate_limit(gate).per_second,
        thresholds=account.settings.alerts,
    )


def _last_day(watcher: FailureWatcher) -> LastDay | None:
    with suppress(sa.exc.OperationalError):  # a figure is no reason for a run to fail
        return watcher.last_day()
    return None
