"""Runs a CRM's job in this process, to the end; the run shows in Dagster's pages like any other."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import dagster as dg
from dagster._core.execution.plan.objects import StepFailureData

from crm_pipelines.errors import UsageError
from crm_pipelines.orchestration.instance import dagster_instance
from crm_pipelines.orchestration.resources import Destination
from crm_pipelines.orchestration.sync.batches import FetchConfig
from crm_pipelines.orchestration.sync.dry_runs import left_out_told
from crm_pipelines.orchestration.sync.jobs import sync_job
from crm_pipelines.statistics.left_out import LeftOut

# The story is in Dagster's pages; on the terminal the caller says how it ended.
_QUIET = {"console": {"config": {"log_level": "CRITICAL"}}}


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """How the run ended, and its counts by name; `problem` is the sentence of the op that failed.

    `left_out` of a dry run: the values that would be left out.
    """

    run_id: str
    success: bool
    counts: dict[str, int]
    problem: str | None
    left_out: tuple[LeftOut, ...] = ()


def run_now(
    crm: str,
    *,
    limit: int | None = None,
    contact_ids: Sequence[UUID] | None = None,
    dry_run: bool = False,
    destination: Destination | None = None,
) -> RunResult:
    """Run the job; the destination is the one that the environment names unless given.

    Needs DAGSTER_POSTGRES_URL and DAGSTER_HOME in the environment, and CRM_DATABASE_URL without a destination. Raises
    UsageError, NotConfigured, DatabaseUnreachable, SchemaOutdated or SettingsError before a run is made, and
    DagsterStorageUnreachable.
    """
    if contact_ids is not None and not contact_ids:
        raise UsageError("No contacts were chosen, so nothing was run.")
    chosen = [str(one) for one in contact_ids or []]
    config = FetchConfig(limit=limit, emails=[], contact_ids=chosen, put_first=False, dry_run=dry_run)
    with (destination or Destination(crm)).held() as held, held.open() as account, dagster_instance() as instance:
        result = sync_job(account.destination).execute_in_process(
            run_config=dg.RunConfig(ops={"fetch_queued_contacts": config}, loggers=_QUIET),
            instance=instance,
            raise_on_error=False,
            resources={"destination": held},
        )
        problems = [sentence_of(event.step_failure_data) for event in result.all_events if event.is_step_failure]
        counts = result.output_for_node("report_run") if result.success else {}
        left_out = left_out_told(result.events_for_node("report_run"))
    return RunResult(
        run_id=result.run_id,
        success=result.success,
        counts=counts,
        problem=problems[0] if problems else None,
        left_out=left_out,
    )


def sentence_of(failure: StepFailureData) -> str:
    """Why the op failed, in a sentence of ours; of an unexpected exception only its class."""
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description
    error = failure.error
    while error and error.cause:
        error = error.cause
    # The text of an unexpected exception may hold a contact's data.
    return f"Unexpected {error.cls_name if error else 'failure'}: see the run in Dagster's pages."
