"""Which of the runs that hold claims have ended, by Dagster's word."""

import time
from collections.abc import Iterable
from datetime import UTC

import dagster as dg
from dagster._core.executor.child_process_executor import ChildProcessCrashException

from crm_pipelines.queue.claims import Queue

# Starting, claiming and reporting take seconds; in between a run that lives renews leases all the time.
_SILENT_SECONDS = 120
# Dagster's own monitoring gives a run three minutes to start or to stop, where it is on. A machine may have to load an
# image first.
_STUCK_SECONDS = 900
_STUCK = {dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELING}
_TELLING = {
    dg.DagsterEventType.PIPELINE_CANCELING,
    dg.DagsterEventType.STEP_START,
    dg.DagsterEventType.STEP_UP_FOR_RETRY,
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.STEP_SKIPPED,
}


def ended_runs(instance: dg.DagsterInstance, run_ids: Iterable[str]) -> tuple[list[str], list[str]]:
    """The runs that ended in an orderly way (by themselves, cancelled, or with a failed op), and those that crashed.

    A run has crashed when the process of one of its steps died, or its only one. Runs that this instance does not know
    are in neither list: their claims come back when their leases end.
    """
    orderly: list[str] = []
    crashed: list[str] = []
    for run_id in run_ids:
        run = instance.get_run_by_id(run_id)
        if run is not None and run.is_finished:
            (crashed if _has_crashed(instance, run) else orderly).append(run_id)
    return orderly, crashed


def _has_crashed(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    by_order, failed, unfinished = False, False, set()
    for record in instance.all_logs(run.run_id, of_type=_TELLING):
        event = record.get_dagster_event()
        if event.event_type is dg.DagsterEventType.PIPELINE_CANCELING:
            by_order = True
        elif event.is_step_start:
            unfinished.add(event.step_key)
        else:
            unfinished.discard(event.step_key)
            failed = failed or event.is_step_failure
            if event.is_step_failure and not by_order and _process_died(event):
                return True
    return run.status is dg.DagsterRunStatus.FAILURE and (not failed or bool(unfinished))


def _process_died(failure: dg.DagsterEvent) -> bool:
    """Whether the step failed since it ended without a word, as Dagster says of a process per step."""
    error = failure.step_failure_data.error
    return error is not None and error.cls_name == ChildProcessCrashException.__name__


def may_be_dead(record: dg.RunRecord) -> bool:
    """Whether the run has gone on for so long that its contacts must tell if it lives."""
    return _is_stuck(record) or _has_started_long_ago(record)


def is_dead(record: dg.RunRecord, queue: Queue) -> bool:
    """Whether the run's worker has vanished without Dagster's notice, or the run neither starts nor stops."""
    return may_be_dead(record) and not queue.is_delivering(record.dagster_run.run_id)


def bury(instance: dg.DagsterInstance, record: dg.RunRecord) -> None:
    """Report a dead run as over: as failed, or as cancelled if somebody had asked for its end.

    After a power cut Dagster keeps such a run as started until its max_runtime is over, and everything that waits for
    it stands still. Should the worker live after all (stopped, say), its leases are over and it sends nothing more.
    So it is with one that neither starts nor stops, on an instance without run monitoring.
    """
    if _is_stuck(record):
        reason = "The run has neither started nor ended for 15 minutes; the next one takes its place."
    else:
        reason = "The run's worker has given no sign of life for two minutes; its contacts return to the queue."
    cancelled = record.dagster_run.status is dg.DagsterRunStatus.CANCELING
    report = instance.report_run_canceled if cancelled else instance.report_run_failed
    report(record.dagster_run, reason)


def bury_if_dead(instance: dg.DagsterInstance, record: dg.RunRecord, queue: Queue) -> bool:
    """Report the run as over if it is dead; returns whether it was."""
    if not is_dead(record, queue):
        return False
    bury(instance, record)
    return True


def _has_started_long_ago(record: dg.RunRecord) -> bool:
    if record.dagster_run.status is not dg.DagsterRunStatus.STARTED or record.start_time is None:
        return False
    return time.time() - record.start_time >= _SILENT_SECONDS


def _is_stuck(record: dg.RunRecord) -> bool:
    since = record.update_timestamp.replace(tzinfo=UTC).timestamp()  # kept in UTC, with or without saying so
    return record.dagster_run.status in _STUCK and time.time() - since > _STUCK_SECONDS
