"""When to deliver. A tick without work starts no run and says why."""

from collections.abc import Sequence

import dagster as dg

from crm_pipelines.delivery.account.completeness import go_on_if_complete
from crm_pipelines.delivery.account.opening import Account
from crm_pipelines.delivery.pace.gatekeeping import reopen_if_accepted
from crm_pipelines.orchestration.resources import Destination, ReadSettings
from crm_pipelines.orchestration.sync.batches import was_limited
from crm_pipelines.orchestration.sync.ended_runs import bury_if_dead, ended_runs
from crm_pipelines.orchestration.sync.tags import SYNC_SLOT_TAG, runs_of, sync_slot
from crm_pipelines.settings import CrmSettings, load_settings

ACTIVE = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
"""Runs that are under way, or about to be."""

_AHEAD_OF_CHOSEN = "dagster/priority"


def cron_of(minutes: int) -> str:
    """The cron expression for a tick every so many minutes; settings.py allows only evenly spaced ones."""
    if minutes < 60:
        return f"*/{minutes} * * * *"
    return f"0 */{minutes // 60} * * *" if minutes < 1440 else "0 0 * * *"


def sync_schedule(
    destination: CrmSettings, read: ReadSettings = load_settings, *, on: bool = True
) -> dg.ScheduleDefinition:
    """When the job of the destination runs; unless `on`, only once somebody has switched it on."""
    job = f"{destination.name}_sync"

    @dg.schedule(
        name=f"{job}_schedule",
        cron_schedule=cron_of(destination.sync_scheduler_interval_minutes),
        job_name=job,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if on else dg.DefaultScheduleStatus.STOPPED,
        description=f"Delivers queued contacts to {destination.title}. Skips, with the reason, when there is nothing "
        "to do.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if (missing := destination.missing) is not None:
            return dg.SkipReason(f"{missing} is not set: nothing is sent.")
        with Destination(destination.name, read).open() as account:
            records = context.instance.get_run_records(runs_of(job, ACTIVE))
            alive = [record for record in records if not bury_if_dead(context.instance, record, account.queue)]
            # Those for chosen contacts leave the others where they are, and there may be many of them.
            active = [record for record in alive if not was_limited(record.dagster_run)]
            if len(active) >= destination.sync_scheduler_max_instances:
                return dg.SkipReason(f"Run {active[0].dagster_run.run_id} is still active.")
            if reason := reason_to_wait(account, context.instance):
                return dg.SkipReason(reason)
        return dg.RunRequest(tags=place_of(destination, alive))

    return schedule


def place_of(destination: CrmSettings, alive: Sequence[dg.RunRecord]) -> dict[str, str]:
    """Tags of a run for whatever is due, beside those that are alive; fewer than the most there may be are of its kind.

    It is in nobody's way if it can be, and ahead of those for chosen contacts otherwise.
    """
    numbers = range(1, destination.sync_scheduler_max_instances + 1)
    slots = [sync_slot(destination.name, number) for number in numbers]
    active = [record for record in alive if not was_limited(record.dagster_run)]
    slot = _first_free(slots, alive) or _first_free(slots, active)
    assert slot is not None
    return {**slot, _AHEAD_OF_CHOSEN: "1"}


def _first_free(slots: Sequence[dict[str, str]], records: Sequence[dg.RunRecord]) -> dict[str, str] | None:
    taken = {record.dagster_run.tags.get(SYNC_SLOT_TAG) for record in records}
    return next((slot for slot in slots if slot[SYNC_SLOT_TAG] not in taken), None)


def reason_to_wait(account: Account, instance: dg.DagsterInstance) -> str | None:
    """Why a run started now would have nothing to do; None when there is work."""
    reopen_if_accepted(account.gate, account.crm, account.queue, account.policy)
    gate = go_on_if_complete(account, turn=lambda: None)
    if gate.paused:
        return f"Sending is paused until {gate.paused_until_in_words}: {gate.pause_reason}"
    if gate.account is not None and not gate.knows(account.crm.credentials_fingerprint):
        return None  # the run finds out whose account it is: nothing may be due only because another one has it all
    queue = account.queue
    if queue.anything_due() or queue.anything_parked(account.crm.mapping_version) or queue.anything_edited():
        return None
    if any(ended_runs(instance, queue.holders(except_run=""))):
        return None
    if account.look_is_due:
        return None
    return "Nothing is due."
