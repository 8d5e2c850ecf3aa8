"""Who is told when contacts do not get through.

The sensors look at what is, not at events that went by: a failed run counts for as long as none has succeeded since.
So an evaluation that fails loses nothing, which a sensor of Dagster's for run failures would: its cursor moves on all
the same. What people know, and what a channel has not taken yet, is in the cursor.
"""

from collections.abc import Callable, Sequence, Set
from datetime import UTC, datetime, timedelta
from functools import partial

import dagster as dg
import sqlalchemy as sa

from crm_pipelines.alerts.channels import channels_of
from crm_pipelines.alerts.memory import Memory
from crm_pipelines.alerts.outbox import post, troubles
from crm_pipelines.alerts.states import AlertCondition, news
from crm_pipelines.database.connection_problems import DatabaseUnreachable, connection_problem
from crm_pipelines.database.migrating import SchemaOutdated
from crm_pipelines.orchestration.resources import Destination, ReadSettings
from crm_pipelines.orchestration.watching.findings import database_finding, look, run_finding
from crm_pipelines.settings import CrmSettings, Settings, load_settings
from crm_pipelines.statistics.history import note_depth

Clock = Callable[[], datetime]

# People are told of an outage within a minute of its beginning.
_INTERVAL_SECONDS = 30
_NOW: Clock = partial(datetime.now, UTC)


def error_backlog_sensor(
    destination: CrmSettings, settings: Settings, read: ReadSettings = load_settings, *, clock: Clock = _NOW
) -> dg.SensorDefinition:
    """Alerts on failed contacts, failed attempts, contacts that wait, sending that stands, a database that is gone."""

    @dg.sensor(
        name=f"{destination.name}_error_backlog_sensor",
        minimum_interval_seconds=_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells people, once each, when failed contacts pile up, when many attempts fail, when due contacts "
        "wait too long, and when sending is stopped or paused; reminds them; and tells them once more when it is over.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        memory, now = Memory.read(context.cursor), clock()
        if (missing := destination.missing) is not None:
            # Nobody looks, and what was told holds; what a channel has not taken is still sent.
            return _kept(_tell(memory, [], settings, now, unjudged=memory.told.keys()), f"{missing} is not set.")
        try:
            with Destination(destination.name, read).open() as account:
                note_depth(account.engine, account.queue.crm)
                seen = look(account, now=now)
                return _kept(_tell(memory, seen.findings, settings, now, unjudged=seen.unjudged), seen.figures)
        except (DatabaseUnreachable, SchemaOutdated) as error:
            problem = str(error)
        except sa.exc.DBAPIError as error:  # its text may hold values of a row
            url = sa.make_url(settings.storage.crm_database_url or "postgresql://")
            problem = connection_problem(error, url) or (
                f"The contacts database did not answer as it should ({type(error.orig).__name__})."
            )
        found = [database_finding(destination.name, destination.title, problem)]
        return _kept(_tell(memory, found, settings, now, unjudged=memory.told.keys()), problem)

    return sensor


def run_failure_alert_sensor(
    settings: Settings, jobs: Sequence[str], *, prefix: str = "", clock: Clock = _NOW
) -> dg.SensorDefinition:
    """Alerts on runs of the jobs with these names that failed for good; see `run_finding` for what counts."""

    @dg.sensor(
        name=f"{prefix}run_failure_alert_sensor",
        minimum_interval_seconds=_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells people when a run has failed and no retry of it will follow, and when a later one succeeds.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        found = [finding for job in jobs if (finding := run_finding(context.instance, job))]
        memory = _tell(Memory.read(context.cursor), found, settings, clock())
        return _kept(memory, " ".join(finding.headline for finding in found) or "No run has failed.")

    return sensor


def _tell(
    memory: Memory,
    findings: Sequence[AlertCondition],
    settings: Settings,
    now: datetime,
    *,
    unjudged: Set[str] = frozenset(),
) -> Memory:
    """Tell what is new; of the states in `unjudged`, what was told still holds."""
    told, alerts = news(
        memory.told,
        [*findings, *troubles(memory.boxes)],
        unjudged=unjudged,
        now=now,
        reminder=timedelta(minutes=settings.alerts.reminder_minutes),
        hide=settings.secrets,
    )
    boxes = post(memory.boxes, channels_of(settings.channels), alerts, now=now)
    return Memory(told=told, boxes=boxes)


def _kept(memory: Memory, figures: str) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=figures, cursor=memory.write())
