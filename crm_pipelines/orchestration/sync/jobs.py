"""The job that delivers the contacts queued for a destination."""

from functools import partial

import dagster as dg

from crm_pipelines.delivery.planning import MAX_RUNTIME
from crm_pipelines.orchestration.launch_config import checked
from crm_pipelines.orchestration.resources import ReadSettings, resource_of
from crm_pipelines.orchestration.sync.batches import FetchConfig
from crm_pipelines.orchestration.sync.ops import fetch_queued_contacts, report_run, sync_batch, write_statuses
from crm_pipelines.orchestration.sync.own_batches import own_batches
from crm_pipelines.orchestration.sync.reexecution import sent_batches
from crm_pipelines.orchestration.sync.tags import JOB_TAG, begin_anew, of_destination, sync_slot, tell_stopped
from crm_pipelines.settings import CrmSettings, load_settings


def sync_job(destination: CrmSettings, read: ReadSettings = load_settings) -> dg.JobDefinition:
    """The job of a destination; with more than one process, each step has one of its own, so many at a time."""

    @dg.graph(
        name=f"{destination.name}_sync",
        description=f"Delivers contacts queued for {destination.title} and writes back what became of each.",
    )
    def sync() -> None:
        report_run(fetch_queued_contacts().map(sync_batch).map(write_statuses).collect())

    # A process per step costs a second and more each; claims and gate allow it to those who outgrow one.
    executor = dg.in_process_executor
    if destination.sync_processes > 1:
        preload = {"forkserver": {"preload_modules": ["crm_pipelines.orchestration.build"]}}
        executor = dg.multiprocess_executor.configured(
            {"max_concurrent": destination.sync_processes, "start_method": preload}
        )
    make = partial(
        sync.to_job,
        executor_def=executor,
        resource_defs={
            "destination": resource_of(destination.name, begin_anew, tell_stopped, read),
            "io_manager": own_batches,
            "sent_batches": sent_batches,
        },
        tags={
            **of_destination(destination.name),
            **sync_slot(destination.name, 1),
            JOB_TAG: f"{destination.name}_sync",
            # Ends a run whose worker no longer answers, and with it what waits for that run. Shorter than a claim's
            # lease.
            "dagster/max_runtime": str(int(MAX_RUNTIME.total_seconds())),
            # Only for a worker that crashed: retry_on_asset_or_op_failure is off in dagster.yaml, the next tick does
            # that.
            "dagster/max_retries": "1",
            # The queue must be read again; outputs of the dead run are claims that are no longer its own.
            "dagster/retry_strategy": "ALL_STEPS",
        },
    )
    return checked(make, {"fetch_queued_contacts": FetchConfig})
