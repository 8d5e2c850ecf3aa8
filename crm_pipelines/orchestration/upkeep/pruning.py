"""The job that keeps the databases from growing for ever.

Old ticks are Dagster's own business (`retention` in dagster.yaml); it has none for runs, their events, what sensors
reported of assets, and evaluations of checks. These go here, and what is old in the ledger and
the audit log with them.
"""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import sqlalchemy as sa
from dagster._core.instance.utils import RUNLESS_RUN_ID
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from pydantic import Field

from crm_pipelines.access import api_writes
from crm_pipelines.delivery.account.opening import database_of
from crm_pipelines.destinations.registered import known_destinations
from crm_pipelines.orchestration.resources import sentences
from crm_pipelines.queue.ledger import Ledger
from crm_pipelines.settings import load_settings
from crm_pipelines.vocabulary import counted

NEWEST_KEPT = 50
"""Runs of each job that stay however old they are: alerts look at the latest 25, people at what came before."""

_RUNS_AT_A_TIME = 50
_ROWS_AT_A_TIME = 1000


class PruneConfig(dg.Config):
    """How old is old. Left as it is: as KEEP_RUNS_DAYS, KEEP_ATTEMPTS_DAYS and KEEP_AUDIT_DAYS say."""

    dry_run: bool = Field(False, description="true: only count, delete nothing.")


@dg.op(
    description="Deletes old runs with their events, old evaluations of checks, and what is old in the ledger and the "
    "audit log."
)
def delete_old(context: dg.OpExecutionContext, config: PruneConfig) -> None:
    settings = load_settings()
    keep = settings.retention
    before = datetime.now(UTC) - timedelta(days=keep.runs_days)
    runs = old_runs(context.instance, before)
    for run_id in [] if config.dry_run else runs:
        context.instance.delete_run(run_id)
        # What its ops handed on, and what they printed; Dagster leaves both behind.
        shutil.rmtree(Path(context.instance.storage_directory()) / run_id, ignore_errors=True)
    loose = 0 if config.dry_run else delete_loose_rows(context.instance, before)
    with sentences(), database_of(settings, "crm-pipelines prune") as engine:
        with engine.connect() as connection:
            ledgers = [Ledger(engine, crm) for crm in known_destinations(connection)]
        attempts = sum(
            ledger.count_older(keep.attempts_days) if config.dry_run else ledger.prune(keep.attempts_days)
            for ledger in ledgers
        )
        audit_lines = (api_writes.count_older if config.dry_run else api_writes.prune)(engine, keep.audit_days)
    done = "Would be deleted" if config.dry_run else "Deleted"
    context.log.info(
        "%s: %s older than %d days, %s, %s older than %d days, %s of the audit log older than %d days.",
        done,
        counted(len(runs), "run"),
        keep.runs_days,
        counted(loose, "report or evaluation", "reports and evaluations"),
        counted(attempts, "attempt"),
        keep.attempts_days,
        counted(audit_lines, "line"),
        keep.audit_days,
    )
    context.add_output_metadata(
        {
            "runs": len(runs),
            "reports_and_evaluations": loose,
            "attempts": attempts,
            "audit_lines": audit_lines,
            "dry_run": config.dry_run,
        }
    )


def old_runs(instance: dg.DagsterInstance, before: datetime) -> list[str]:
    """Runs that have ended and were last touched before then, the oldest first; never one of the newest of its job."""
    kept: dict[str, set[str]] = {}
    found: list[str] = []
    cursor = None
    ended = dg.RunsFilter(statuses=FINISHED_STATUSES, updated_before=before)
    while records := instance.get_run_records(ended, limit=_RUNS_AT_A_TIME, cursor=cursor, ascending=True):
        cursor = records[-1].dagster_run.run_id
        for record in records:
            job, run_id = record.dagster_run.job_name, record.dagster_run.run_id
            if job not in kept:
                newest = instance.get_run_records(dg.RunsFilter(job_name=job), limit=NEWEST_KEPT)
                kept[job] = {one.dagster_run.run_id for one in newest}
            if run_id not in kept[job]:
                found.append(run_id)
    return found


def delete_loose_rows(instance: dg.DagsterInstance, before: datetime) -> int:
    """Old events without a run, and old evaluations of checks but for the latest of each; returns how many."""
    events, checks = SqlEventLogStorageTable, AssetCheckExecutionsTable
    moment = before.replace(tzinfo=None)
    latest = sa.select(sa.func.max(checks.c.id)).group_by(checks.c.asset_key, checks.c.check_name)
    old_checks = sa.select(checks.c.id).where(checks.c.evaluation_event_timestamp < moment, checks.c.id.not_in(latest))
    last_report = (
        sa.select(sa.func.max(events.c.id))
        .where(events.c.run_id == RUNLESS_RUN_ID)
        .group_by(events.c.asset_key, events.c.dagster_event_type)
    )
    old_events = sa.select(events.c.id).where(
        events.c.run_id == RUNLESS_RUN_ID, events.c.timestamp < moment, events.c.id.not_in(last_report)
    )
    return _delete(instance, checks, old_checks) + _delete(instance, events, old_events)


def _delete(instance: dg.DagsterInstance, table: sa.Table, old: sa.Select[tuple[int]]) -> int:
    part = sa.delete(table).where(table.c.id.in_(old.order_by(table.c.id).limit(_ROWS_AT_A_TIME)))
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    gone = 0
    while True:
        with storage.index_connection() as connection:
            deleted: int = connection.execute(part).rowcount
        gone += deleted
        if deleted < _ROWS_AT_A_TIME:
            return gone


@dg.job(
    executor_def=dg.in_process_executor,
    tags={"dagster/max_runtime": "3600", "dagster/max_retries": "0"},
    description="Deletes what is older than KEEP_RUNS_DAYS (runs, their events, evaluations of checks), "
    "KEEP_ATTEMPTS_DAYS (the ledger of deliveries) and KEEP_AUDIT_DAYS (the audit log). Never a run that is active, "
    "nor one of the 50 newest of its job.",
)
def prune_history() -> None:
    delete_old()


prune_history_schedule = dg.ScheduleDefinition(
    name="prune_history_schedule",
    job=prune_history,
    cron_schedule="20 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Daily, at night.",
)
