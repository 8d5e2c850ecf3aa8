"""A backlog is worked on continuously: a run that leaves due contacts behind is followed at once, not at the next tick.

Each run leaves word in its tags; a sensor reads them. It follows a run only if that one ended well and got on. A
follow-up must leave less than it found or have worked for long, so a defect cannot keep short runs going: else the
schedule goes on. Whoever switches the schedule off has switched this off too.

The same sensor ends runs whose worker has vanished, whether the schedule is on or off: they hold up those that wait.
"""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from crm_pipelines.delivery.planning import time_to_empty
from crm_pipelines.delivery.totals import Totals
from crm_pipelines.orchestration.resources import Destination, ReadSettings
from crm_pipelines.orchestration.sync.batches import was_limited
from crm_pipelines.orchestration.sync.ended_runs import bury, is_dead, may_be_dead
from crm_pipelines.orchestration.sync.schedule_state import is_switched_off, location_of
from crm_pipelines.orchestration.sync.schedules import ACTIVE
from crm_pipelines.orchestration.sync.tags import FOLLOWS_TAG, FOUND_TAG, LEFT_TAG, NOWHERE_TAG, runs_of, sync_slot
from crm_pipelines.settings import CrmSettings, load_settings

_INTERVAL_SECONDS = 10
_RUNS_LOOKED_AT = 10


def leave_word(context: dg.OpExecutionContext, destination: Destination, totals: Totals) -> dict[str, Any]:
    """Metadata about the backlog; tags the run if it is to be followed, or if it brought nobody on."""
    with destination.open() as account:
        due, _ = account.queue.waiting()
        pace = account.queue.pace()
        rate = account.rate_limit(account.gate.read()).per_second
        together = account.crm.most_per_request
    got_on = totals.claimed - totals.released > 0
    gave_all_back = totals.claimed > 0 and not got_on
    if (due or gave_all_back) and not was_limited(context.run):
        context.instance.add_run_tags(context.run_id, {LEFT_TAG if got_on else NOWHERE_TAG: str(due)})
    minutes = time_to_empty(due, pace, rate, together=together).total_seconds() / 60
    return {"left": due, "minutes_until_empty": round(minutes, 1)}


def follow_up_sensor(destination: CrmSettings, read: ReadSettings = load_settings) -> dg.SensorDefinition:
    """Starts the next run of the destination's job."""
    job = f"{destination.name}_sync"

    @dg.sensor(
        name=f"{destination.name}_follow_up_sensor",
        job_name=job,
        minimum_interval_seconds=_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Starts the next run of {job} as soon as a run has ended and contacts are still due. Skips, with "
        f"the reason, when nothing is due, and while {job}_schedule is switched off. Reports a run as failed whose "
        "worker has vanished.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if (missing := destination.missing) is not None:
            return dg.SkipReason(f"{missing} is not set: nothing is sent.")
        active = context.instance.get_run_records(runs_of(job, ACTIVE))
        if ended := end_dead_runs(context, active, Destination(destination.name, read)):
            return dg.SkipReason(f"Without a sign of life, and reported as failed: {', '.join(ended)}.")
        records = context.instance.get_run_records(runs_of(job), limit=_RUNS_LOOKED_AT)
        # Somebody who has some contacts sent at once does not end the work on the backlog.
        record = next((one for one in records if not was_limited(one.dagster_run)), None)
        if record is None:
            return dg.SkipReason("No run has taken all that is due yet.")
        if reason := reason_not_to_follow(record, timedelta(minutes=destination.sync_scheduler_interval_minutes)):
            return dg.SkipReason(reason)
        if active:
            return dg.SkipReason("A run is active.")
        if is_switched_off(context.instance, f"{job}_schedule", location_of(context)):
            return dg.SkipReason(f"{job}_schedule is switched off.")
        with Destination(destination.name, read).open() as account:
            gate = account.gate.read()
            if gate.paused:
                return dg.SkipReason(f"Sending is paused: {gate.pause_reason}")
            if not account.queue.anything_due():
                return dg.SkipReason("Nothing is due any more.")
        run = record.dagster_run
        return dg.RunRequest(
            run_key=f"after-{run.run_id}",  # whatever happens, a run is followed once
            tags={**sync_slot(destination.name, 1), FOLLOWS_TAG: run.run_id, FOUND_TAG: run.tags[LEFT_TAG]},
        )

    return sensor


def end_dead_runs(
    context: dg.SensorEvaluationContext, active: Sequence[dg.RunRecord], destination: Destination
) -> list[str]:
    """Report those runs as failed that two looks in a row have found dead; returns their ids.

    One look is not enough: after an outage of the database a run that lives takes seconds to renew its leases.
    """
    suspects = [record for record in active if may_be_dead(record)]
    dead: list[dg.RunRecord] = []
    if suspects:
        with destination.open() as account:
            dead = [record for record in suspects if is_dead(record, account.queue)]
    found_before = (context.cursor or "").split()
    ended = [record for record in dead if record.dagster_run.run_id in found_before]
    for record in ended:
        bury(context.instance, record)
    context.update_cursor(" ".join(record.dagster_run.run_id for record in dead))
    return [record.dagster_run.run_id for record in ended]


def reason_not_to_follow(record: dg.RunRecord, interval: timedelta) -> str | None:
    """Why the latest run needs no follow-up by what is known of it; None when it may need one."""
    run = record.dagster_run
    if run.status is not dg.DagsterRunStatus.SUCCESS:
        return f"Run {run.run_id} is active, was stopped or has failed."
    left = run.tags.get(LEFT_TAG)
    if not left:
        return f"Run {run.run_id} left nothing due, or delivered nothing."
    if record.end_time is None or time.time() - record.end_time > interval.total_seconds():
        return f"Run {run.run_id} ended long ago: the schedule goes on."
    found = run.tags.get(FOUND_TAG)
    # A long one was busy all the time, and contacts came in faster than it could send.
    was_short = record.end_time - (record.start_time or record.end_time) < interval.total_seconds() / 2
    if found is not None and int(left) >= int(found) and was_short:
        return f"The backlog does not shrink ({found} before, {left} after run {run.run_id}): the schedule goes on."
    return None
