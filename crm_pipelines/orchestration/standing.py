"""How deliveries to a CRM stand at one moment: what a run reports, and what the checks judge."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import sqlalchemy as sa

from crm_pipelines.delivery.account.opening import Account
from crm_pipelines.delivery.emptying import account_emptied_in
from crm_pipelines.destinations.gates import Gate
from crm_pipelines.queue.model import Backlog
from crm_pipelines.settings import AlertSettings
from crm_pipelines.statistics.delays import Delays, delays
from crm_pipelines.statistics.failures import FailureFigures, FailureWatcher
from crm_pipelines.statistics.history import LastDay, last_day
from crm_pipelines.statistics.standing import Standing, standing_of, time_waited
from crm_pipelines.statistics.status import delivered_in_all

_Figure = TypeVar("_Figure")

FEWEST_ATTEMPTS = 20
"""Of fewer attempts in an hour, a share says nothing."""


@dataclass(frozen=True, kw_only=True)
class DestinationStanding:
    """Figures of one CRM.

    `last_day`, `delivered_in_all` (how many of our contacts the account holds) and `delays` are None when they were not
    asked for or could not be counted in time. `stuck` are claims whose lease has
    been over for longer than `stuck_after`. `limit_per_second` is the account's rate limit in force. `empty_in`: in how
    long nothing is due; None if that is not known.
    """

    crm: str
    title: str
    gate: Gate
    backlog: Backlog
    figures: FailureFigures
    last_day: LastDay | None
    stuck: int
    stuck_after: timedelta
    limit_per_second: float
    thresholds: AlertSettings
    empty_in: timedelta | None = None
    delivered_in_all: int | None = None
    delays: Delays | None = None

    @property
    def longest(self) -> timedelta:
        """How long a contact may be due."""
        return timedelta(minutes=self.thresholds.oldest_due_minutes)

    @property
    def waiting(self) -> timedelta:
        """Of the contact that is due for longest; time in which nothing was sent does not count."""
        return time_waited(self.gate, timedelta(seconds=self.backlog.oldest_due_seconds))

    def judge(self, now: datetime | None = None) -> Standing:
        """What people are told, as of `now` or this moment."""
        return standing_of(
            self.gate,
            title=self.title,
            due=self.backlog.due,
            put_off=self.backlog.put_off,
            delivering=self.backlog.delivering,
            oldest_due=timedelta(seconds=self.backlog.oldest_due_seconds),
            longest=self.longest,
            now=now or datetime.now(UTC),
            empty_in=self.empty_in,
        )


def look_at(account: Account, *, in_all: bool = False) -> DestinationStanding:
    """A handful of short queries, each along an index; `in_all`: figures of an hour, a day and all contacts, too."""
    crm = account.queue.crm
    watcher = FailureWatcher(account.engine, crm)
    gate = account.gate.read()
    # Every tick returns claims whose lease is over; two may be missed, and a run takes its time.
    stuck_after = 2 * timedelta(minutes=account.destination.sync_scheduler_interval_minutes) + timedelta(minutes=5)
    backlog = account.queue.backlog()
    return DestinationStanding(
        crm=crm,
        title=account.destination.title,
        gate=gate,
        backlog=backlog,
        figures=watcher.figures(),
        last_day=_in_time(lambda: last_day(account.engine, crm)) if in_all else None,
        delivered_in_all=_in_time(lambda: delivered_in_all(account.engine, crm)) if in_all else None,
        delays=_in_time(lambda: delays(account.engine, crm)) if in_all else None,
        stuck=watcher.stuck(stuck_after),
        stuck_after=stuck_after,
        limit_per_second=account.rate_limit(gate).per_second,
        thresholds=account.settings.alerts,
        empty_in=account_emptied_in(account, gate, backlog.due) if backlog.due else None,
    )


def _in_time(ask: Callable[[], _Figure]) -> _Figure | None:
    with suppress(sa.exc.OperationalError):  # a figure is no reason for a run to fail
        return ask()
    return None
