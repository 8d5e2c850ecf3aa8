"""Whether a schedule is on and when it ticked, by Dagster's records."""

from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType

if TYPE_CHECKING:  # it takes an eighth of a second to load, which each run would pay
    from dagster._core.scheduler.instigation import InstigatorState, InstigatorTick


def schedule_state(
    instance: dg.DagsterInstance, name: str, location: str | None = None
) -> "tuple[InstigatorState, InstigatorTick | None] | None":
    """The schedule's state and latest tick; None when no daemon has loaded it yet.

    `location`: the code location that it is in; None where nobody knows.
    """
    states = instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
    # More than one when the code location was renamed: the one that ticks is in use.
    named = [state for state in states if state.instigator_name == name]
    found = [(state, _latest_tick(instance, state)) for state in named if location in {None, _location(state)}]
    return max(found, key=lambda one: one[1].timestamp if one[1] else 0.0, default=None)


def is_switched_off(instance: dg.DagsterInstance, name: str, location: str | None) -> bool:
    """Whether somebody has switched the schedule off in Dagster's pages."""
    found = schedule_state(instance, name, location)
    return found is not None and found[0].status.value == "STOPPED"


def location_of(context: dg.SensorEvaluationContext) -> str | None:
    """The code location that a sensor is evaluated for; None outside one."""
    origin = context.code_location_origin
    return None if origin is None else origin.location_name


def _location(state: "InstigatorState") -> str:
    return state.origin.repository_origin.code_location_origin.location_name


def _latest_tick(instance: dg.DagsterInstance, state: "InstigatorState") -> "InstigatorTick | None":
    ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
    return ticks[0] if ticks else None
