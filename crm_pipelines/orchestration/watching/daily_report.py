"""The daily report of each destination: an HTML page in the data folder, and its summary in Dagster's pages."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import Field

from crm_pipelines.delivery.account.opening import database_of
from crm_pipelines.orchestration.assets import OWNERS
from crm_pipelines.orchestration.resources import sentences
from crm_pipelines.orchestration.sync.tags import JOB_TAG
from crm_pipelines.queue.ledger import Ledger
from crm_pipelines.reports.files import forget_before, path_of, write
from crm_pipelines.settings import CrmSettings, load_settings
from crm_pipelines.statistics.left_out import values_left_out
from crm_pipelines.statistics.status import unanswered


class ReportConfig(dg.Config):
    """Which days the report is about."""

    days: int = Field(30, ge=1, le=90, description="Days, today included.")


def daily_report_of(
    destination: CrmSettings, *, group: str | None = None, owners: Sequence[str] = OWNERS
) -> dg.AssetsDefinition:
    """The report of a destination."""
    name = destination.name

    @dg.asset(
        name="daily_report",
        key_prefix=[name],
        deps=[[name, "queue"], [name, "contacts"]],
        group_name=group or name,
        kinds={"html", "pandas"},
        owners=owners,
        description=f"How deliveries to {destination.title} went over 30 days, on one page: success rate and "
        "throughput, errors by kind, time from selected to delivered, retries, what failed or was left out and why. It "
        "holds counts, kinds, codes and reasons, and no personal data. The summary is under Metadata, with a "
        "link to the page once STATUS_PAGE_URL is set. The page is a file in the folder `reports` of the data folder, "
        "kept for KEEP_RUNS_DAYS.",
        freshness_policy=dg.FreshnessPolicy.cron(deadline_cron="0 7 * * *", lower_bound_delta=timedelta(hours=3)),
    )
    def daily_report(context: dg.AssetExecutionContext, config: ReportConfig) -> dg.MaterializeResult[None]:
        # Here, since what Dagster loads for every run must stay light.
        from crm_pipelines.reports import page
        from crm_pipelines.reports.figures import figures

        settings, today = load_settings(), datetime.now(UTC).date()
        with sentences(), database_of(settings, "crm-pipelines report") as engine:
            ledger = Ledger(engine, name)
            with engine.connect() as connection:
                silent = unanswered(connection, name)
            found = figures(
                name,
                day=today,
                days=config.days,
                by_day=ledger.by_day(config.days),
                times=ledger.times_to_delivery(config.days),
                delays=ledger.delays(config.days),
                parked=ledger.parked(),
                left_out=[asdict(one) for one in values_left_out(engine, name)],
                unanswered=None if silent is None else silent.contacts,
            )
            path = path_of(settings, name, today)
            write(path, page.html(found))
            # The links to them go with the runs.
            forget_before(settings, name, today - timedelta(days=settings.retention.runs_days))
        context.log.info("%d delivered in %d days; the page is %s.", found.delivered, config.days, path)
        numbers = {
            "delivered": found.delivered,
            "failed_attempts": found.failed,
            "retries": found.retries,
            "parked": found.parked_contacts,
            "values_left_out": found.values_left_out,
            "unanswered": found.unanswered,
            "success_percent": found.success_percent,
            "median_minutes_to_delivery": found.median_minutes,
            "p95_minutes_to_delivery": found.p95_minutes,
            **{f"delay_p{percent}_minutes": minutes for percent, minutes in found.delay_minutes.items()},
        }
        site = settings.channels.status_page_url
        link = {"report": dg.MetadataValue.url(f"{site}/reports/{name}/{today}")} if site else {}
        return dg.MaterializeResult(
            metadata={
                "summary": dg.MetadataValue.md(page.markdown(found)),
                **link,
                "page": dg.MetadataValue.path(path),
                **{name: round(value, 2) for name, value in numbers.items() if value is not None},
            }
        )

    return daily_report


def daily_report_schedule(destinations: Iterable[str], prefix: str = "") -> dg.ScheduleDefinition:
    """When the reports of these destinations are written, and the job that does so: `daily_report`."""
    name = f"{prefix}daily_report"
    job = dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*([one, "daily_report"] for one in destinations)),
        executor_def=dg.in_process_executor,
        tags={"dagster/max_runtime": "1800", "dagster/max_retries": "0", JOB_TAG: name},
        description="Writes the reports of the last 30 days. Reads the databases only; nothing is sent.",
    )
    return dg.ScheduleDefinition(
        name=f"{name}_schedule",
        job=job,
        cron_schedule="0 5 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Daily, before people come to work.",
    )
