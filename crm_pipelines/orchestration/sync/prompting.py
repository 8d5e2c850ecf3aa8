"""Delivers soon after something is due, where `…_SYNC_PROMPT_SECONDS` asks for it. The schedule goes on beside it.

A sensor starts a run for contacts that a claim would take, and for nothing else: missed edits, claims of dead runs and
imports under way are found by each run, and wait for the schedule. It does not decide twice what is decided elsewhere:
while `…_follow_up_sensor` follows a run, it waits, and whoever switches the schedule off has switched this off too.

What keeps runs from being started for ever: there is at most one in so many seconds, whatever happens. After runs that
failed or brought nobody on, the sensor rests, twice as long each time, up to the interval of the schedule. After a run
that was stopped it rests for an interval. Nothing of that is kept in a cursor: the runs themselves tell.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, timedelta
from itertools import takewhile

import dagster as dg

from crm_pipelines.delivery.account.opening import database_of
from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.orchestration.resources import Destination, ReadSettings
from crm_pipelines.orchestration.sync.batches import was_limited
from crm_pipelines.orchestration.sync.following import reason_not_to_follow
from crm_pipelines.orchestration.sync.schedule_state import is_switched_off, location_of
from crm_pipelines.orchestration.sync.schedules import ACTIVE, place_of
from crm_pipelines.orchestration.sync.stops import was_stopped
from crm_pipelines.orchestration.sync.tags import NOWHERE_TAG, runs_of
from crm_pipelines.queue.claims import Queue
from crm_pipelines.settings import CrmSettings, load_settings

# Dagster's sensor daemon sees every 5 s whose turn it is: a sensor that is a few milliseconds too early waits for 5 s
# more. And a run is created a moment after the look that asked for it.
_LEEWAY_SECONDS = 1
_RUNS_LOOKED_AT = 25

Clock = Callable[[], float]


def prompt_sensor(
    destination: CrmSettings, seconds: int, read: ReadSettings = load_settings, *, clock: Clock = time.time
) -> dg.SensorDefinition:
    """Looks every so many seconds whether a contact is due, and starts a run of the destination's job."""
    job = f"{destination.name}_sync"
    spacing = timedelta(seconds=seconds)
    interval = timedelta(minutes=destination.sync_scheduler_interval_minutes)

    @dg.sensor(
        name=f"{destination.name}_prompt_sensor",
        job_name=job,
        minimum_interval_seconds=seconds - _LEEWAY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Looks every {seconds} seconds whether a contact is due, and starts {job} if no run of it is "
        f"active. Skips, with the reason, when nothing is due, while sending is paused or {job}_schedule is switched "
        "off, and rests after runs that got nowhere.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if (missing := destination.missing) is not None:
            return dg.SkipReason(f"{missing} is not set: nothing is sent.")
        try:
            if not _anyone_takeable(destination.name, read):
                return dg.SkipReason("Nothing is due.")
            if is_switched_off(context.instance, f"{job}_schedule", location_of(context)):
                return dg.SkipReason(f"{job}_schedule is switched off.")
            alive = context.instance.get_run_records(runs_of(job, ACTIVE))
            latest = context.instance.get_run_records(runs_of(job), limit=_RUNS_LOOKED_AT)
            if reason := _held_up(_for_all(alive), _for_all(latest), destination) or reason_to_rest(
                _for_all(latest), spacing=spacing, interval=interval, now=clock()
            ):
                return dg.SkipReason(reason)
            with Destination(destination.name, read).open() as account:
                gate = account.gate.read()
        except CrmPipelinesError as error:
            return dg.SkipReason(str(error))  # people are told of that by the sensor that alerts
        if gate.paused:
            return dg.SkipReason(f"Sending is paused until {gate.paused_until_in_words}: {gate.pause_reason}")
        return dg.RunRequest(
            # Two looks at the same runs start one.
            run_key=f"prompt-after-{latest[0].dagster_run.run_id if latest else 'none'}",
            tags=place_of(destination, alive),
        )

    return sensor


def _anyone_takeable(name: str, read: ReadSettings) -> bool:
    """All that an idle look costs. Raises what `database_of` raises."""
    with database_of(read(), f"crm-pipelines {name}") as engine:
        return Queue(engine, name).anyone_takeable()


def _for_all(records: Sequence[dg.RunRecord]) -> Sequence[dg.RunRecord]:
    """Those for whatever is due: those for chosen contacts leave the others where they are."""
    return [record for record in records if not was_limited(record.dagster_run)]


def _held_up(active: Sequence[dg.RunRecord], latest: Sequence[dg.RunRecord], destination: CrmSettings) -> str | None:
    """Why the work goes on without another run."""
    if active:
        return f"Run {active[0].dagster_run.run_id} is still active."
    interval = timedelta(minutes=destination.sync_scheduler_interval_minutes)
    if latest and reason_not_to_follow(latest[0], interval) is None:
        return f"{destination.name}_follow_up_sensor goes on with what run {latest[0].dagster_run.run_id} left."
    return None


def reason_to_rest(
    latest: Sequence[dg.RunRecord], *, spacing: timedelta, interval: timedelta, now: float
) -> str | None:
    """Why the latest runs, the newest first and none of them active, let none start yet; None if one may. Pure.

    `now` is in seconds since the epoch. Stopped: a person, or a machine that is drained, wants no run at once.
    """
    if not latest:
        return None
    run = latest[0].dagster_run
    ended = latest[0].end_time or _created(latest[0])
    if _was_stopped(run):
        return _rests(run, "was stopped", ended, interval, now)
    if fruitless := sum(1 for _ in takewhile(_got_nowhere, latest)):
        rest = min(spacing * 2**fruitless, max(interval, spacing))
        what = "has failed" if run.status is dg.DagsterRunStatus.FAILURE else "got nowhere with what is due"
        return _rests(run, what, ended, rest, now)
    if now - _created(latest[0]) < spacing.total_seconds() - _LEEWAY_SECONDS:
        return f"Run {run.run_id} was started less than {spacing.total_seconds():.0f} seconds ago."
    return None


def _rests(run: dg.DagsterRun, what: str, ended: float, rest: timedelta, now: float) -> str | None:
    left = ended + rest.total_seconds() - now
    if left <= 0:
        return None
    return f"Run {run.run_id} {what}: for {left:.0f} more seconds only the schedule starts one."


def _was_stopped(run: dg.DagsterRun) -> bool:
    return run.status is dg.DagsterRunStatus.CANCELED or was_stopped(run)


def _got_nowhere(record: dg.RunRecord) -> bool:
    run = record.dagster_run
    return run.status is not dg.DagsterRunStatus.SUCCESS or bool(run.tags.get(NOWHERE_TAG))


def _created(record: dg.RunRecord) -> float:
    return record.create_timestamp.replace(tzinfo=UTC).timestamp()  # kept in UTC, with or without saying so
