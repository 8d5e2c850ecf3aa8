"""Which of the runs that hold claims have ended, by Dagster's word."""

import time
from collections.abc import Iterable

import dagster as dg

from crm_pipelines.contacts.queue import Queue

# Starting, claiming and reporting take seconds; in between a run that lives renews leases all the time.
_SILENT_SECONDS = 120


def ended_runs(instance: dg.DagsterInstance, run_ids: Iterable[str]) -> tuple[list[str], list[str]]:
    """The runs that ended in an orderly way (by themselves, cancelled, or with a failed op), and those that crashed.

    Runs that this instance does not know are in neither list: their claims come back when their leases end.
    """
    orderly, crashed = [], []
    for run_id in run_ids:
        record = instance.get_run_record_by_id(run_id)
        if record is None or not record.dagster_run.is_finished:
            continue
        failed = record.dagster_run.status is dg.DagsterRunStatus.FAILURE
        if failed and not instance.get_run_stats(run_id).steps_failed:
            crashed.append(run_id)
        else:
            orderly.append(run_id)
    return orderly, crashed


def bury_if_dead(instance: dg.DagsterInstance, record: dg.RunRecord, queue: Queue) -> bool:
    """Report a run as failed whose worker has vanished without Dagster's notice; returns whether it was so.

    After a power cut Dagster keeps such a run as started until its max_runtime is over, and everything that waits for
    it stands still. Should the worker live after all (stopped, say), its leases are over and it sends nothing more.
    """
    if record.dagster_run.status is not dg.DagsterRunStatus.STARTED or record.start_time is None:
        return False
    silent_since = time.time() - record.start_time
    if silent_since < _SILENT_SECONDS or queue.is_delivering(record.dagster_run.run_id):
        return False
    instance.report_run_failed(
        record.dagster_run,
        "The run's worker has given no sign of life for two minutes; its contacts return to the queue.",
    )
    return True
