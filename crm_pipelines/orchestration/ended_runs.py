"""Which of the runs that hold claims have ended, by Dagster's word."""

import time
from collections.abc import Iterable

import dagster as dg

# A step process may outlive its run's worker and be in the middle of a request; longer than any single request.
_MARGIN_SECONDS = 30


def ended_runs(instance: dg.DagsterInstance, run_ids: Iterable[str]) -> tuple[list[str], list[str]]:
    """The runs that ended in an orderly way (by themselves, cancelled, or with a failed op), and those that crashed.

    Runs that ended less than 30 s ago, and runs that this instance does not know, are in neither list: their claims
    come back when their leases end.
    """
    orderly, crashed = [], []
    for run_id in run_ids:
        record = instance.get_run_record_by_id(run_id)
        if record is None or not record.dagster_run.is_finished or record.end_time is None:
            continue
        if time.time() - record.end_time < _MARGIN_SECONDS:
            continue
        failed = record.dagster_run.status is dg.DagsterRunStatus.FAILURE
        if failed and not instance.get_run_stats(run_id).steps_failed:
            crashed.append(run_id)
        else:
            orderly.append(run_id)
    return orderly, crashed
