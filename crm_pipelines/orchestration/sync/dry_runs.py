"""What a dry run shows in Dagster's pages: ids and counts. Names and values are for the command line alone."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import dagster as dg

from crm_pipelines.delivery.previewing import Foreseen, foreseen_in_words
from crm_pipelines.orchestration.assets import describe
from crm_pipelines.orchestration.sync.tags import tell_outcome
from crm_pipelines.statistics.left_out import LeftOut
from crm_pipelines.vocabulary import counted

_LEFT_OUT = "left_out"


def dry_run_output(context: dg.OpExecutionContext, foreseen: Foreseen) -> dg.Output[dict[str, int]]:
    """The output of report_run; tags the run, and tells its log."""
    counts = foreseen.counts()
    words = foreseen_in_words(counts) or "nothing is due"
    tell_outcome(context, f"dry run: {words}")
    context.log.info(f"Dry run: {words}. Nothing was sent.")
    metadata: dict[str, Any] = {**describe(foreseen.totals), **counts}
    metadata["first_contacts"] = [str(one) for one in foreseen.first]
    left_out = [dg.TableRecord(asdict(one)) for one in foreseen.left_out()]
    if left_out:
        metadata[_LEFT_OUT] = dg.MetadataValue.table(left_out)
        for one in foreseen.left_out():
            context.log.info(f"{one.field} would be left out of {counted(one.contacts, 'contact')}: {one.reason}")
    return dg.Output(counts, metadata=metadata)


def left_out_told(events: Iterable[dg.DagsterEvent]) -> tuple[LeftOut, ...]:
    """What a dry run told in the metadata of its output; nothing of another run."""
    tables = [
        event.step_output_data.metadata[_LEFT_OUT]
        for event in events
        if event.is_successful_output and _LEFT_OUT in event.step_output_data.metadata
    ]
    return tuple(LeftOut(**one.data) for table in tables for one in table.records)  # type: ignore[attr-defined]
