"""Puts jobs, schedules, sensors, assets and checks together."""

import dagster as dg

from crm_pipelines.orchestration.assets import brevo_account, brevo_contacts, brevo_queue, brevo_read_back, contacts
from crm_pipelines.orchestration.checks import build_brevo_checks_sensor, how_deliveries_stand, sums_add_up
from crm_pipelines.orchestration.daily_report import brevo_daily_report, daily_report, daily_report_schedule
from crm_pipelines.orchestration.fidelity import brevo_fidelity, build_brevo_fidelity_schedule, fidelity
from crm_pipelines.orchestration.following import build_brevo_follow_up_sensor
from crm_pipelines.orchestration.jobs import build_brevo_sync
from crm_pipelines.orchestration.operator_jobs import (
    OPERATOR_JOBS,
    attributes_exist,
    build_brevo_check_account_schedule,
)
from crm_pipelines.orchestration.pruning import prune_history, prune_history_schedule
from crm_pipelines.orchestration.resources import Destination, resource_of
from crm_pipelines.orchestration.schedules import build_brevo_sync_schedule
from crm_pipelines.orchestration.sensors import build_brevo_error_backlog_sensor, build_run_failure_alert_sensor
from crm_pipelines.settings import Settings


def build_definitions(settings: Settings) -> dg.Definitions:
    """Everything that Dagster shows and runs, for these settings."""
    destination, brevo = Destination("brevo"), settings.destination("brevo")
    return dg.Definitions(
        assets=[contacts, brevo_queue, brevo_account, brevo_contacts, brevo_read_back, brevo_daily_report],
        asset_checks=[sums_add_up, how_deliveries_stand, attributes_exist, fidelity],
        jobs=[
            build_brevo_sync(brevo.sync_processes),
            *OPERATOR_JOBS,
            brevo_fidelity,
            prune_history,
            daily_report,
        ],
        schedules=[
            build_brevo_sync_schedule(brevo, destination),
            build_brevo_fidelity_schedule(brevo, destination),
            build_brevo_check_account_schedule(brevo),
            daily_report_schedule,
            prune_history_schedule,
        ],
        sensors=[
            build_brevo_error_backlog_sensor(settings, destination),
            build_run_failure_alert_sensor(
                settings, ["brevo_sync", "brevo_check_account", "brevo_fidelity", "daily_report", "prune_history"]
            ),
            build_brevo_follow_up_sensor(brevo, destination),
            build_brevo_checks_sensor(destination, enabled=brevo.missing is None),
        ],
        resources={"destination": resource_of("brevo")},
        # For what is launched from an asset's page; a process per step would cost more than the step.
        executor=dg.in_process_executor,
    )
