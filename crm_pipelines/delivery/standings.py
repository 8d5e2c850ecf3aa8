"""How deliveries to a destination stand, for those who look at it from outside of a run.

The judgement is that of `statistics.standing`; here is what it is asked with.
"""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from crm_pipelines.delivery.emptying import emptied_in
from crm_pipelines.destinations.gates import SANDBOX, Gate, GateKeeper
from crm_pipelines.destinations.registered import is_registered
from crm_pipelines.queue.claims import Queue
from crm_pipelines.settings import Settings
from crm_pipelines.statistics.standing import Standing, standing_of


def standing_at(engine: sa.Engine, settings: Settings, crm: str) -> Standing:
    """A handful of short queries, each along an index. Raises sqlalchemy.exc.DBAPIError."""
    gate, backlog = GateKeeper(engine, crm).read(), Queue(engine, crm).backlog()
    return standing_of(
        gate,
        title=settings.title_of(crm),
        due=backlog.due,
        put_off=backlog.put_off,
        delivering=backlog.delivering,
        oldest_due=timedelta(seconds=backlog.oldest_due_seconds),
        longest=timedelta(minutes=settings.alerts.oldest_due_minutes),
        now=datetime.now(UTC),
        empty_in=emptied_in(engine, settings, gate, backlog.due) if backlog.due else None,
        why_not=why_not(engine, settings, gate),
    )


def why_not(engine: sa.Engine, settings: Settings, gate: Gate) -> str | None:
    """Why nothing is delivered there; None where somebody delivers, if only one with other settings than these."""
    found = settings.destinations.get(gate.crm)
    if found is None:
        return None if is_registered(engine, gate.crm) else settings.why_not(gate.crm)
    # `make up` has the key of its own sandbox, and is another process.
    elsewhere = gate.account in {None, SANDBOX} and is_registered(engine, gate.crm)
    if found.missing is None or elsewhere:
        return None
    return settings.why_not(gate.crm)
