"""A backlog is worked on continuously: a run that leaves due contacts behind is followed at once, not at the next tick.

Each run leaves word in its tags; a sensor reads them. It follows a run only if that one ended well and got on, so a
defect cannot keep runs going: what a follow-up leaves must be less than what it found, else the schedule goes on.
"""

import time
from datetime import timedelta

import dagster as dg

from crm_pipelines.orchestration.jobs import sync_slot
from crm_pipelines.orchestration.resources import Destination
from crm_pipelines.orchestration.schedules import ACTIVE
from crm_pipelines.orchestration.words import LEFT_TAG
from crm_pipelines.settings import BrevoSettings

FOLLOWS_TAG = "crm-pipelines/follows"
"""On a run that works on what another one left; its value is that run's id."""

FOUND_TAG = "crm-pipelines/found"
"""On such a run: how many due contacts it was started for."""

_INTERVAL_SECONDS = 10


def build_brevo_follow_up_sensor(brevo: BrevoSettings, destination: Destination) -> dg.SensorDefinition:
    @dg.sensor(
        name="brevo_follow_up_sensor",
        job_name="brevo_sync",
        minimum_interval_seconds=_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts the next run of brevo_sync as soon as one has ended that left due contacts behind. Skips, "
        "with the reason, when there is no backlog.",
    )
    def brevo_follow_up_sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if brevo.api_key is None:
            return dg.SkipReason("BREVO_API_KEY is not set: nothing is claimed.")
        latest = context.instance.get_run_records(dg.RunsFilter(job_name="brevo_sync"), limit=1)
        if not latest:
            return dg.SkipReason("There was no run yet.")
        record = latest[0]
        if reason := reason_not_to_follow(record, timedelta(minutes=brevo.sync_scheduler_interval_minutes)):
            return dg.SkipReason(reason)
        if context.instance.get_run_records(dg.RunsFilter(job_name="brevo_sync", statuses=ACTIVE), limit=1):
            return dg.SkipReason("A run is active.")
        with destination.open() as account:
            gate = account.gate.read()
            if gate.paused:
                return dg.SkipReason(f"The gate is paused: {gate.pause_reason}")
            if not account.queue.anything_due():
                return dg.SkipReason("Nothing is due any more.")
        run = record.dagster_run
        return dg.RunRequest(
            run_key=f"after-{run.run_id}",  # whatever happens, a run is followed once
            tags={**sync_slot("brevo", 1), FOLLOWS_TAG: run.run_id, FOUND_TAG: run.tags[LEFT_TAG]},
        )

    return brevo_follow_up_sensor


def reason_not_to_follow(record: dg.RunRecord, interval: timedelta) -> str | None:
    """Why the latest run needs no follow-up by what is known of it; None when it may need one."""
    run = record.dagster_run
    if run.status is not dg.DagsterRunStatus.SUCCESS:
        return f"Run {run.run_id} is active or has failed."
    left = run.tags.get(LEFT_TAG)
    if left is None:
        return f"Run {run.run_id} left nothing behind."
    if record.end_time is None or time.time() - record.end_time > interval.total_seconds():
        return f"Run {run.run_id} is long over: the schedule goes on."
    found = run.tags.get(FOUND_TAG)
    if found is not None and int(left) >= int(found):
        return f"The backlog does not shrink ({found} before, {left} after run {run.run_id}): the schedule goes on."
    return None
