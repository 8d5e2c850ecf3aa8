"""The tags by which runs of the main job know each other, and by which the list of runs tells what each did."""

from collections.abc import Sequence

import dagster as dg

from crm_pipelines.orchestration.sync.stops import STOPPED_TAG, note_stopped

JOB_TAG = "crm-pipelines/job"
"""On every run of a job of ours; its value is the job's name. Another code location may have a job of that name."""

SYNC_SLOT_TAG = "crm-pipelines/sync"
"""Dagster runs one at a time per value of this tag (dagster.yaml)."""

DESTINATION_TAG = "crm-pipelines/destination"
"""On the runs of a destination's jobs; its value is the destination's name."""

GATE_TAG = "crm-pipelines/gate"
"""On a run that failed since the gate was closed; its value is the kind of the pause."""

OUTCOME_TAG = "outcome"
"""On a run that has come to its end: what became of its contacts, in words, such as `291 delivered, 3 failed`.

Without our prefix, for which the list of runs has no room.
"""

PUT_FIRST_TAG = "crm-pipelines/put-first"
"""On a run for the contacts that somebody has put first; its value is the CRM. One at most waits for its turn."""

LEFT_TAG = "crm-pipelines/left"
"""On a run that got on and left due contacts behind: how many. The follow-up sensor reads it."""

FOLLOWS_TAG = "crm-pipelines/follows"
"""On a run that works on what another one left; its value is that run's id."""

FOUND_TAG = "crm-pipelines/found"
"""On such a run: how many due contacts it was started for."""

NOWHERE_TAG = "crm-pipelines/got-nowhere"
"""On a run that ended well, and brought none on of those that it took or that are due: how many it left due.

The prompt sensor reads it.
"""

EXECUTED_TWICE_TAG = "crm-pipelines/executed-twice"
"""On a run that two processes execute, or have executed. Each tells what it did itself, and the last word stays."""

_EXECUTED_TWICE = "another process executed this run as well"


_MOST_SLOTS = 50  # the most that …_SYNC_SCHEDULER_MAX_INSTANCES can be


def of_destination(name: str) -> dict[str, str]:
    """The tag of the jobs of this destination."""
    return {DESTINATION_TAG: name}


def sync_slot(crm: str, number: int) -> dict[str, str]:
    """The tag of the numbered place among the runs that may go on at the same time."""
    return {SYNC_SLOT_TAG: f"{crm}-{number}"}


def runs_of(job: str, statuses: Sequence[dg.DagsterRunStatus] | None = None) -> dg.RunsFilter:
    """The runs of our job with this name, and none of a foreign job that is named so in another code location."""
    crm = job.removesuffix("_sync")
    # By the tag that the main job has always had: a run of the version before is known, too.
    mark: dict[str, str | list[str]] = (
        {SYNC_SLOT_TAG: [slot for number in range(1, _MOST_SLOTS + 1) for slot in sync_slot(crm, number).values()]}
        if crm != job
        else {JOB_TAG: job}
    )
    return dg.RunsFilter(job_name=job, statuses=statuses, tags=mark)


def tell_outcome(context: dg.OpExecutionContext, words: str) -> None:
    """Tag the run with what it did."""
    run = context.instance.get_run_by_id(context.run_id)
    if run is not None and run.tags.get(EXECUTED_TWICE_TAG):
        words = f"{words} ({_EXECUTED_TWICE})"
    context.instance.add_run_tags(context.run_id, {OUTCOME_TAG: words})


def tell_stopped(run_id: str, instance: dg.DagsterInstance) -> None:
    """Note on the run that its process was told to end; to be called by one that has nothing else to tell."""
    note_stopped(run_id, instance)
    instance.add_run_tags(run_id, {OUTCOME_TAG: "stopped"})


def warn_of_another_process(context: dg.OpExecutionContext, what: str) -> None:
    """Say that this run is executed twice, and what this process has seen of that."""
    context.instance.add_run_tags(context.run_id, {EXECUTED_TWICE_TAG: "yes"})
    context.log.warning(
        f"Another process executes this run as well, or has begun to. {what} Each contact is sent by one of them only; "
        "the counts are those of this process."
    )


def begin_anew(run: dg.DagsterRun, instance: dg.DagsterInstance) -> None:
    """A retry, or a run that is executed again, inherits the tags of the one before: what that one came to is not said.

    Dagster takes no tag away, so they are blank.
    """
    inherited = {OUTCOME_TAG: "not known yet"}
    inherited |= dict.fromkeys((GATE_TAG, LEFT_TAG, NOWHERE_TAG, EXECUTED_TWICE_TAG, STOPPED_TAG), "")
    if run.parent_run_id is None or run.is_finished:  # then they are its own
        return
    if found := inherited.keys() & run.tags.keys():
        instance.add_run_tags(run.run_id, {tag: inherited[tag] for tag in found})
