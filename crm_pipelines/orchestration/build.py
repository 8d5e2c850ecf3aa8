"""Puts jobs, schedules, sensors, assets and checks together."""

import dagster as dg

from crm_pipelines.orchestration.assets import brevo_contacts, sums_add_up
from crm_pipelines.orchestration.following import build_brevo_follow_up_sensor
from crm_pipelines.orchestration.jobs import brevo_sync, build_brevo_sync
from crm_pipelines.orchestration.resources import Destination
from crm_pipelines.orchestration.schedules import build_brevo_sync_schedule
from crm_pipelines.orchestration.sensors import build_brevo_error_backlog_sensor, build_run_failure_alert_sensor
from crm_pipelines.settings import Settings


def build_definitions(settings: Settings) -> dg.Definitions:
    """Everything that Dagster shows and runs, for these settings."""
    brevo = Destination("brevo")
    return dg.Definitions(
        assets=[brevo_contacts],
        asset_checks=[sums_add_up],
        jobs=[build_brevo_sync(settings.brevo.sync_processes)],
        schedules=[build_brevo_sync_schedule(settings.brevo, brevo)],
        sensors=[
            build_brevo_error_backlog_sensor(settings, brevo),
            build_run_failure_alert_sensor(settings, [brevo_sync]),
            build_brevo_follow_up_sensor(settings.brevo, brevo),
        ],
    )
