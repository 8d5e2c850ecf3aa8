"""What Dagster shows and runs for one destination; names begin with the destination's."""

import dagster as dg

from crm_pipelines.orchestration.assets import assets_of
from crm_pipelines.orchestration.checks import checks_of, checks_sensor
from crm_pipelines.orchestration.daily_report import daily_report_of
from crm_pipelines.orchestration.fidelity import fidelity_check, fidelity_schedule
from crm_pipelines.orchestration.following import follow_up_sensor
from crm_pipelines.orchestration.jobs import sync_job
from crm_pipelines.orchestration.operator_jobs import attributes_check, check_account_schedule, operator_jobs
from crm_pipelines.orchestration.schedules import sync_schedule
from crm_pipelines.orchestration.sensors import error_backlog_sensor
from crm_pipelines.settings import CrmSettings, Settings

WATCHED_JOBS = ("sync", "check_account", "fidelity")
"""Those that run by themselves: somebody is told when one fails. Who launches another sees it fail."""


def definitions_of(destination: CrmSettings, settings: Settings) -> dg.Definitions:
    """Everything of this destination; lacks only the asset `contacts`, which all share."""
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
