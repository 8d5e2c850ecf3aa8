"""Whether deliveries go on, as seen from outside: for cron or a monitor.

A daemon that has died tells nobody, and neither do its sensors. This asks Dagster's storage and the contacts database;
it needs no web server, no code server and no daemon.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import dagster as dg
import sqlalchemy as sa
from dagster._core.scheduler.instigation import InstigatorStatus, TickStatus

from crm_pipelines.alerts.messages import in_words
from crm_pipelines.delivery.standings import standing_at
from crm_pipelines.orchestration.sync.schedule_state import schedule_state
from crm_pipelines.orchestration.sync.stops import was_stopped
from crm_pipelines.orchestration.sync.tags import runs_of
from crm_pipelines.orchestration.watching.findings import is_dry, run_finding
from crm_pipelines.settings import Settings
from crm_pipelines.statistics.standing import Colour, Condition

# Daemons write one every 30 s, and less often while they are busy.
_OLDEST_HEARTBEAT = timedelta(minutes=5)
_MISSED_TICKS = 3


@dataclass(frozen=True, kw_only=True)
class HealthCheck:
    """One thing that was looked at; `detail` is a sentence, `action` what to do about it, where that is known.

    `condition` and `colour` are those of `statistics.standing`; None but for how deliveries stand.
    """

    subject: str
    ok: bool
    detail: str
    action: str | None = None
    condition: Condition | None = None
    colour: Colour | None = None


def health(instance: dg.DagsterInstance, engine: sa.Engine, settings: Settings, crm: str) -> list[HealthCheck]:
    """Everything that must be well for contacts to get through to the CRM."""
    every = timedelta(minutes=settings.destination(crm).sync_scheduler_interval_minutes)
    return [
        *_daemons(instance),
        _schedule(instance, f"{crm}_sync_schedule", every, _location(instance, f"{crm}_sync")),
        _runs(instance, f"{crm}_sync"),
        _deliveries(engine, settings, crm),
    ]


def _daemons(instance: dg.DagsterInstance) -> Iterator[HealthCheck]:
    heartbeats = instance.get_daemon_heartbeats()
    for daemon in sorted(instance.get_required_daemon_types()):
        heartbeat = heartbeats.get(daemon)
        if heartbeat is None:
            yield HealthCheck(subject=f"daemon {daemon}", ok=False, detail="It has never given a sign of life.")
            continue
        age = _since(heartbeat.timestamp)
        alive = age <= _OLDEST_HEARTBEAT
        detail = f"Its last sign of life is {in_words(age)} old{'' if alive else ': the daemon is down or stuck'}."
        yield HealthCheck(subject=f"daemon {daemon}", ok=alive, detail=detail)


def _location(instance: dg.DagsterInstance, job: str) -> str | None:
    """The code location that our latest run came from: another one may have a schedule of that name."""
    for record in instance.get_run_records(runs_of(job), limit=25):
        origin = record.dagster_run.remote_job_origin
        if origin is not None:
            return origin.repository_origin.code_location_origin.location_name
    return None


def _schedule(instance: dg.DagsterInstance, name: str, every: timedelta, location: str | None) -> HealthCheck:
    ok, detail = _schedule_detail(instance, name, every, location)
    return HealthCheck(subject=f"schedule {name}", ok=ok, detail=detail)


def _schedule_detail(
    instance: dg.DagsterInstance, name: str, every: timedelta, location: str | None
) -> tuple[bool, str]:
    found = schedule_state(instance, name, location)
    if found is None:
        return False, "Dagster does not know it: the daemon has not loaded the code yet."
    state, tick = found
    if state.status is InstigatorStatus.STOPPED:
        return False, "Somebody switched it off in Dagster's pages: nothing is delivered."
    if tick is None:
        return True, "It is on and has not ticked yet."
    age = _since(tick.timestamp)
    if age > _MISSED_TICKS * every + timedelta(minutes=1):
        return False, f"Its last tick was {in_words(age)} ago; there should be one every {in_words(every)}."
    if tick.status is TickStatus.FAILURE:
        return False, f"Its last tick, {in_words(age)} ago, failed: see the schedule in Dagster's pages."
    return True, f"Its last tick was {in_words(age)} ago."


def _runs(instance: dg.DagsterInstance, job: str) -> HealthCheck:
    """A success may be old: without work there are no runs."""
    records = instance.get_run_records(runs_of(job, [dg.DagsterRunStatus.SUCCESS]), limit=25)
    told = (record for record in records if not is_dry(record.dagster_run) and not was_stopped(record.dagster_run))
    ended = next((record.end_time for record in told), None)
    last = f"The last successful run ended {in_words(_since(ended))} ago." if ended else "No run has succeeded yet."
    failing = run_finding(instance, job)
    return HealthCheck(subject=f"runs of {job}", ok=failing is None, detail=failing.headline if failing else last)


def _deliveries(engine: sa.Engine, settings: Settings, crm: str) -> HealthCheck:
    standing = standing_at(engine, settings, crm)
    return HealthCheck(
        subject=f"deliveries to {crm}",
        ok=standing.is_well,
        detail=standing.sentence,
        action=standing.action,
        condition=standing.condition,
        colour=standing.colour,
    )


def _since(timestamp: float) -> timedelta:
    return timedelta(seconds=max(0.0, time.time() - timestamp))
