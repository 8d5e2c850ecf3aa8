"""What a run that is executed again from its failure finds of the run before."""

from typing import Any

import dagster as dg

from crm_pipelines.delivery.totals import Totals
from crm_pipelines.orchestration.sync.batches import Batch, SentBatch


@dg.input_manager(
    required_resource_keys={"io_manager"},
    description="A batch as it was sent; an empty one for a batch that the run before had not come to.",
)
def sent_batches(context: dg.InputContext) -> Any:
    """A SentBatch.

    Of a killed run, Dagster executes again what had begun, and what is behind any batch. It leaves out the delivery of
    batches that had not begun, so nobody has their output.
    """
    upstream = context.upstream_output
    assert upstream is not None
    if _is_kept(upstream):
        return context.resources.io_manager.load_input(context)
    context.log.info(
        "%s was executed by no run. Nothing is sent: its contacts return to the queue by themselves.",
        upstream.step_key,
    )
    return SentBatch(batch=Batch(number=0, run_id=""), totals=Totals())


def _is_kept(output: dg.OutputContext) -> bool:
    try:
        return bool(output.run_id)
    except dg.DagsterInvariantViolationError:  # of no run, then
        return False
