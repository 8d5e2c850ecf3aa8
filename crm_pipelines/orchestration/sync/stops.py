"""A run that was told to end stays ended: what it left is for the next tick, not for a retry that Dagster launches.

Dagster retries what has failed without a failed op, and a run that somebody stops may come to that: when its worker is
killed before it has ended, and always with a launcher that does not write down that a person asked (Celery's). So a
process that is told to end says so on the run, for Dagster, which judges by a tag, and for the retry that was launched
before the tag was there. Who executes a stopped run again by hand wants it to send; should it crash, the next tick is
its retry, since the tag for Dagster is inherited, and Dagster counts such a run as the one retry that it allows anyway.
"""

import dagster as dg

STOPPED_TAG = "crm-pipelines/stopped"
"""On a run whose process was told to end, by whomever, and on a retry of it; not if its time was up.

Such a run says nothing of whether deliveries work: people are not told of its failure, and its success is none.
"""

_MAX_RETRIES_TAG = "dagster/max_retries"
_AUTO_RETRY_TAG = "dagster/auto_retry_run_id"
# The beginning of what dagster/_daemon/monitoring/run_monitoring.py says when it ends a run after dagster/max_runtime.
_TIME_IS_UP = "Canceling due to exceeding maximum runtime"


def note_stopped(run_id: str, instance: dg.DagsterInstance) -> None:
    """To be called by a process of the run that is told to end."""
    asked = _words_of_the_request(run_id, instance)
    if asked is None or not asked.startswith(_TIME_IS_UP):
        instance.add_run_tags(run_id, {STOPPED_TAG: "yes", _MAX_RETRIES_TAG: "0"})


def repeats_a_stopped_run(run: dg.DagsterRun, instance: dg.DagsterInstance) -> bool:
    """Whether Dagster has launched this run by itself, after somebody had stopped the one before."""
    parent = instance.get_run_by_id(run.parent_run_id) if run.parent_run_id else None
    # Not by dagster/retry_number, which a run that is executed again by hand may have inherited.
    if parent is None or parent.tags.get(_AUTO_RETRY_TAG) != run.run_id:
        return False
    asked = _words_of_the_request(parent.run_id, instance)
    return bool(parent.tags.get(STOPPED_TAG)) or (asked is not None and not asked.startswith(_TIME_IS_UP))


def was_stopped(run: dg.DagsterRun) -> bool:
    """Whether the run was told to end, or is a retry that sent nothing for that."""
    return bool(run.tags.get(STOPPED_TAG))


def _words_of_the_request(run_id: str, instance: dg.DagsterInstance) -> str | None:
    """What was written down first of whoever asked for the run's end: when time is up, the launcher adds its own."""
    records = instance.all_logs(run_id, of_type=dg.DagsterEventType.PIPELINE_CANCELING)
    return (records[0].get_dagster_event().message or "") if records else None
