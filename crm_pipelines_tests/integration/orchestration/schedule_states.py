"""Dagster's record of whether the schedule is on, as its daemon and its pages would write it."""

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, ScheduleInstigatorData
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

SCHEDULE = "brevo_sync_schedule"


def switch(instance: dg.DagsterInstance, status: InstigatorStatus, location: str = "crm_pipelines") -> InstigatorState:
    """Record this status for the first time."""
    target = LoadableTargetOrigin(module_name="crm_pipelines.definitions")
    origin = InProcessCodeLocationOrigin(target, location_name=location)
    state = InstigatorState(
        RemoteRepositoryOrigin(origin, "__repository__").get_instigator_origin(SCHEDULE),
        InstigatorType.SCHEDULE,
        status,
        ScheduleInstigatorData("*/5 * * * *"),
    )
    return instance.add_instigator_state(state)
