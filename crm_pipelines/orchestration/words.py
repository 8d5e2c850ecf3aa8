"""The word that a run leaves for its successor, and for people: what is left to do, and for how long."""

from typing import Any

import dagster as dg

from crm_pipelines.delivery.planning import time_to_empty
from crm_pipelines.delivery.totals import Totals
from crm_pipelines.orchestration.resources import Destination

LEFT_TAG = "crm-pipelines/left"
"""On a run that got on and left due contacts behind: how many. The follow-up sensor reads it."""


def leave_word(context: dg.OpExecutionContext, destination: Destination, totals: Totals) -> dict[str, Any]:
    """Metadata about the backlog; tags the run if it is to be followed. A run with a launch config is not."""
    with destination.open() as account:
        due = account.queue.backlog().due
        pace = account.queue.pace()
        rate = account.rate_limit(account.gate.read()).per_second
    got_on = totals.claimed - totals.released > 0
    if due and got_on and not _was_limited(context.run):
        context.instance.add_run_tags(context.run_id, {LEFT_TAG: str(due)})
    minutes = time_to_empty(due, pace, rate).total_seconds() / 60
    return {"left": due, "minutes_until_empty": round(minutes, 1)}


def _was_limited(run: dg.DagsterRun) -> bool:
    """Whether the launch config chose contacts: who asks for ten does not want the rest at once."""
    ops: Any = run.run_config.get("ops") or {}
    config = (ops.get("fetch_queued_contacts") or {}).get("config") or {}
    return any(config.values())
