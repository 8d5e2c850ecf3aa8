"""Puts jobs, schedules, sensors, assets and checks together: those of each destination, and what they share."""

import dagster as dg

from crm_pipelines.orchestration.assets import assets_of, contacts
from crm_pipelines.orchestration.checks import checks_of, checks_sensor
from crm_pipelines.orchestration.sync.following import follow_up_sensor
from crm_pipelines.orchestration.sync.jobs import sync_job
from crm_pipelines.orchestration.sync.schedules import sync_schedule
from crm_pipelines.orchestration.upkeep.operator_jobs import attributes_check, check_account_schedule, operator_jobs
from crm_pipelines.orchestration.upkeep.pruning import prune_history, prune_history_schedule
from crm_pipelines.orchestration.watching.daily_report import daily_report, daily_report_of, daily_report_schedule
from crm_pipelines.orchestration.watching.fidelity import fidelity_check, fidelity_schedule
from crm_pipelines.orchestration.watching.sensors import error_backlog_sensor, run_failure_alert_sensor
from crm_pipelines.settings import CrmSettings, Settings

# Of a destination, what runs by itself. Who launches another job sees it fail.
_WATCHED = ("sync", "check_account", "fidelity")


def build_definitions(settings: Settings) -> dg.Definitions:
    """Everything that Dagster shows and runs, for these settings."""
    watched = [f"{name}_{job}" for name in settings.destinations for job in _WATCHED]
    shared = dg.Definitions(
        assets=[contacts],
        jobs=[prune_history, daily_report],
        schedules=[daily_report_schedule, prune_history_schedule],
        sensors=[run_failure_alert_sensor(settings, [*watched, "daily_report", "prune_history"])],
        # For what is launched from an asset's page; a process per step would cost more than the step.
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(shared, *(definitions_of(one, settings) for one in settings.destinations.values()))


def definitions_of(destination: CrmSettings, settings: Settings) -> dg.Definitions:
    """What Dagster shows and runs for one destination: all names begin with its own."""
    return dg.Definitions(
        assets=[*assets_of(destination), daily_report_of(destination)],
        asset_checks=[*checks_of(destination), attributes_check(destination), fidelity_check(destination)],
        jobs=[sync_job(destination), *operator_jobs(destination)],
        schedules=[sync_schedule(destination), fidelity_schedule(destination), check_account_schedule(destination)],
        sensors=[
            error_backlog_sensor(destination, settings),
            follow_up_sensor(destination),
            checks_sensor(destination),
        ],
    )
