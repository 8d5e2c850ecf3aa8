"""Delivers when assets of others have been materialized: those that fill the table of contacts.

The sensor keeps in its cursor which materialization of each it has seen. While a run is active or sending is paused it
keeps it as it is, so that nothing is forgotten. What was materialized several times meanwhile takes one run.
"""

import json
from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from crm_pipelines.delivery.account.opening import Account
from crm_pipelines.orchestration.resources import Destination, ReadSettings, sentences
from crm_pipelines.orchestration.sync.batches import was_limited
from crm_pipelines.orchestration.sync.ended_runs import bury_if_dead
from crm_pipelines.orchestration.sync.schedule_state import is_switched_off, location_of
from crm_pipelines.orchestration.sync.schedules import ACTIVE, reason_to_wait
from crm_pipelines.orchestration.sync.tags import runs_of, sync_slot
from crm_pipelines.settings import CrmSettings, load_settings

_INTERVAL_SECONDS = 15


def upstream_sensor(
    destination: CrmSettings, upstream: Sequence[dg.AssetKey], read: ReadSettings = load_settings
) -> dg.SensorDefinition:
    """Starts a run of the destination's job once something new is there of `upstream`."""
    job = f"{destination.name}_sync"
    names = ", ".join(key.to_user_string() for key in upstream)

    @dg.sensor(
        name=f"{destination.name}_upstream_sensor",
        job_name=job,
        minimum_interval_seconds=_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Starts {job} once {names} {'have' if len(upstream) > 1 else 'has'} been materialized. While a "
        f"run is active or sending is paused, it waits. Skips while {job}_schedule is switched off.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if (missing := destination.missing) is not None:
            return dg.SkipReason(f"{missing} is not set: nothing is sent.")
        seen, found = _read(context.cursor), _materialized(context.instance, upstream)
        new = {name: number for name, number in found.items() if seen.get(name) != number}
        if not new:
            return dg.SkipReason(" ".join((f"Nothing new of {names}.", *_never(upstream, found))))
        if is_switched_off(context.instance, f"{job}_schedule", location_of(context)):
            return dg.SkipReason(f"{job}_schedule is switched off.")
        with sentences(), Destination(destination.name, read).open() as account:
            if (active := _active(account, context.instance, job)) is not None:
                return dg.SkipReason(f"Run {active} is still active.")
            reason = reason_to_wait(account, context.instance)
            if reason and account.gate.read().paused:
                return dg.SkipReason(reason)
        cursor = json.dumps(found, sort_keys=True)
        if reason:
            return dg.SensorResult(skip_reason=f"{reason} New was {', '.join(new)}.", cursor=cursor)
        # Should the cursor not be written, the same request starts no second run.
        run_key = "upstream-" + "-".join(str(number) for _, number in sorted(new.items()))
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=run_key, tags=sync_slot(destination.name, 1))], cursor=cursor
        )

    return sensor


def _active(account: Account, instance: dg.DagsterInstance, job: str) -> str | None:
    """The id of a run that is under way, unless it is for chosen contacts."""
    alive = (
        record.dagster_run
        for record in instance.get_run_records(runs_of(job, ACTIVE))
        if not bury_if_dead(instance, record, account.queue)
    )
    return next((run.run_id for run in alive if not was_limited(run)), None)


def _materialized(instance: dg.DagsterInstance, upstream: Sequence[dg.AssetKey]) -> dict[str, int]:
    """The number of the latest materialization of each that has one, by its name."""
    return {
        record.asset_entry.asset_key.to_user_string(): record.asset_entry.last_materialization_storage_id
        for record in instance.get_asset_records(upstream)
        if record.asset_entry.last_materialization_storage_id is not None
    }


def _never(upstream: Sequence[dg.AssetKey], found: Mapping[str, int]) -> Iterator[str]:
    """Says which have no materialization: a key may be misspelt, and Dagster does not know all code locations."""
    if never := [name for name in (key.to_user_string() for key in upstream) if name not in found]:
        yield f"Never materialized so far: {', '.join(never)}."


def _read(cursor: str | None) -> Mapping[str, int]:
    """What was seen; nothing, of a cursor that somebody has set to something else."""
    try:
        seen = json.loads(cursor or "{}")
    except ValueError:
        return {}
    return seen if isinstance(seen, dict) else {}
