"""Puts jobs, schedules, sensors, assets and checks together: those of each destination, and what they share."""

import dagster as dg

from crm_pipelines.orchestration.assets import contacts
from crm_pipelines.orchestration.daily_report import daily_report, daily_report_schedule
from crm_pipelines.orchestration.per_destination import WATCHED_JOBS, definitions_of
from crm_pipelines.orchestration.pruning import prune_history, prune_history_schedule
from crm_pipelines.orchestration.sensors import run_failure_alert_sensor
from crm_pipelines.settings import Settings


def build_definitions(settings: Settings) -> dg.Definitions:
    """Everything that Dagster shows and runs, for these settings."""
    watched = [f"{name}_{job}" for name in settings.destinations for job in WATCHED_JOBS]
    shared = dg.Definitions(
        assets=[contacts],
        jobs=[prune_history, daily_report],
        schedules=[daily_report_schedule, prune_history_schedule],
        sensors=[run_failure_alert_sensor(settings, [*watched, "daily_report", "prune_history"])],
        # For what is launched from an asset's page; a process per step would cost more than the step.
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(shared, *(definitions_of(one, settings) for one in settings.destinations.values()))
