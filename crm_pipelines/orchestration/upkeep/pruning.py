"""The job that keeps the databases from growing for ever.

Old ticks are Dagster's own business (`retention` in dagster.yaml); it has none for runs, their events, what sensors
reported of assets, and evaluations of checks. These go here, and what is old in the ledger and
the audit log with them. On an instance that others use, too, what is theirs stays.
"""

import shutil
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import sqlalchemy as sa
from dagster._core.instance.utils import RUNLESS_RUN_ID
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG
from pydantic import Field

from crm_pipelines.access import api_writes
from crm_pipelines.delivery.account.opening import database_of
from crm_pipelines.destinations.registered import known_destinations
from crm_pipelines.orchestration.assets import CONTACTS, keys_of
from crm_pipelines.orchestration.resources import sentences
from crm_pipelines.orchestration.sync.tags import JOB_TAG, runs_of
from crm_pipelines.queue.ledger import Ledger
from crm_pipelines.settings import KINDS, load_settings
from crm_pipelines.vocabulary import counted

NEWEST_KEPT = 50
"""Runs of each job that stay however old they are: alerts look at the latest 25, people at what came before."""

_RUNS_AT_A_TIME = 50
_ROWS_AT_A_TIME = 1000


class PruneConfig(dg.Config):
    """How old is old. Left as it is: as KEEP_RUNS_DAYS, KEEP_ATTEMPTS_DAYS and KEEP_AUDIT_DAYS say."""

    dry_run: bool = Field(False, description="true: only count, delete nothing.")


def prune_history_job(
    jobs: Sequence[str], prefix: str = "", *, contacts: dg.AssetKey = CONTACTS, all_of_location: bool = True
) -> dg.JobDefinition:
    """`prune_history`: of the runs, those of `jobs` and its own, or of all jobs in this code location.

    Runs that Dagster makes for an asset or a check of a page are of its job `__ASSET_JOB`, which a location has once:
    they go only where the whole location is ours.
    """
    name = f"{prefix}prune_history"

    @dg.op(
        description="Deletes old runs with their events, old evaluations of checks, and what is old in the ledger and "
        "the audit log."
    )
    def delete_old(context: dg.OpExecutionContext, config: PruneConfig) -> None:
        label = _label_of(context.run)
        scopes = [runs_of(job) for job in (*jobs, name)]
        if all_of_location and label is not None:
            scopes.append(dg.RunsFilter(tags={REPOSITORY_LABEL_TAG: label}))
        _delete_old(context, scopes, label, contacts, dry_run=config.dry_run)

    @dg.job(
        name=name,
        executor_def=dg.in_process_executor,
        tags={"dagster/max_runtime": "3600", "dagster/max_retries": "0", JOB_TAG: name},
        description="Deletes what is older than KEEP_RUNS_DAYS (runs, their events, evaluations of checks), "
        "KEEP_ATTEMPTS_DAYS (the ledger of deliveries) and KEEP_AUDIT_DAYS (the audit log). Never a run that is "
        "active, nor one of the 50 newest of its job, nor one of another code location.",
    )
    def prune_history() -> None:
        delete_old()

    return prune_history


def _delete_old(
    context: dg.OpExecutionContext,
    scopes: Sequence[dg.RunsFilter],
    label: str | None,
    contacts: dg.AssetKey,
    *,
    dry_run: bool,
) -> None:
    settings = load_settings()
    keep = settings.retention
    before = datetime.now(UTC) - timedelta(days=keep.runs_days)
    runs = old_runs(context.instance, before, scopes, label)
    for run_id in [] if dry_run else runs:
        context.instance.delete_run(run_id)
        # What its ops handed on, and what they printed; Dagster leaves both behind.
        shutil.rmtree(Path(context.instance.storage_directory()) / run_id, ignore_errors=True)
    assets = [contacts, *(key for name in {*KINDS, *settings.destinations} for key in keys_of(name))]
    loose = 0 if dry_run else delete_loose_rows(context.instance, before, assets)
    with sentences(), database_of(settings, "crm-pipelines prune") as engine:
        with engine.connect() as connection:
            ledgers = [Ledger(engine, crm) for crm in known_destinations(connection)]
        attempts = sum(
            ledger.count_older(keep.attempts_days) if dry_run else ledger.prune(keep.attempts_days)
            for ledger in ledgers
        )
        audit_lines = (api_writes.count_older if dry_run else api_writes.prune)(engine, keep.audit_days)
    done = "Would be deleted" if dry_run else "Deleted"
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
            "dry_run": dry_run,
        }
    )


def _label_of(run: dg.DagsterRun) -> str | None:
    """Its repository and code location; None of a run that was made without one, in a process of ours."""
    return None if run.remote_job_origin is None else run.remote_job_origin.repository_origin.get_label()


def old_runs(
    instance: dg.DagsterInstance, before: datetime, scopes: Sequence[dg.RunsFilter], label: str | None
) -> list[str]:
    """Runs that have ended and were last touched before then, the oldest first; never one of the newest of its job.

    Of another code location than the one with this label there is none among them.
    """
    return list(dict.fromkeys(run_id for scope in scopes for run_id in _old(instance, before, scope, label)))


def _old(instance: dg.DagsterInstance, before: datetime, scope: dg.RunsFilter, label: str | None) -> Iterator[str]:
    kept: dict[str, set[str]] = {}
    cursor = None
    ended = dg.RunsFilter(job_name=scope.job_name, tags=scope.tags, statuses=FINISHED_STATUSES, updated_before=before)
    while records := instance.get_run_records(ended, limit=_RUNS_AT_A_TIME, cursor=cursor, ascending=True):
        cursor = records[-1].dagster_run.run_id
        for run in (record.dagster_run for record in records):
            if _label_of(run) not in {None, label}:
                continue
            if run.job_name not in kept:
                of_job = dg.RunsFilter(job_name=run.job_name, tags=scope.tags)
                newest = instance.get_run_records(of_job, limit=NEWEST_KEPT)
                kept[run.job_name] = {one.dagster_run.run_id for one in newest}
            if run.run_id not in kept[run.job_name]:
                yield run.run_id


def delete_loose_rows(instance: dg.DagsterInstance, before: datetime, assets: Collection[dg.AssetKey]) -> int:
    """Old events without a run, and old evaluations of checks but for the latest of each; returns how many.

    Of these assets and their checks alone.
    """
    ours = [key.to_string() for key in assets]
    events, checks = SqlEventLogStorageTable, AssetCheckExecutionsTable
    moment = before.replace(tzinfo=None)
    latest = sa.select(sa.func.max(checks.c.id)).group_by(checks.c.asset_key, checks.c.check_name)
    old_checks = sa.select(checks.c.id).where(
        checks.c.evaluation_event_timestamp < moment, checks.c.asset_key.in_(ours), checks.c.id.not_in(latest)
    )
    last_report = (
        sa.select(sa.func.max(events.c.id))
        .where(events.c.run_id == RUNLESS_RUN_ID)
        .group_by(events.c.asset_key, events.c.dagster_event_type)
    )
    old_events = sa.select(events.c.id).where(
        events.c.run_id == RUNLESS_RUN_ID,
        events.c.asset_key.in_(ours),
        events.c.timestamp < moment,
        events.c.id.not_in(last_report),
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


def prune_history_schedule(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """When that job runs."""
    return dg.ScheduleDefinition(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule="20 3 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Daily, at night.",
    )
