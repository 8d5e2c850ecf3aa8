"""What a dry run shows in Dagster's pages: ids and counts. Names and values are for the command line alone."""

from dataclasses import asdict

import dagster as dg

from crm_pipelines.delivery.previewing import Foreseen, foreseen_in_words
from crm_pipelines.orchestration.assets import describe
from crm_pipelines.orchestration.sync.tags import tell_outcome
from crm_pipelines.vocabulary import counted

LEFT_OUT = "left_out"
"""The metadata of a dry run that holds the values that would be left out, by field and reason."""


def dry_run_output(context: dg.OpExecutionContext, foreseen: Foreseen) -> dg.Output[dict[str, int]]:
    """The output of report_run; tags the run, and tells its log."""
    counts = foreseen.counts()
    words = foreseen_in_words(counts)
    tell_outcome(context, f"dry run: {words or 'nothing to do'}")
    context.log.info(f"Dry run: {words or 'nothing to do'}. Nothing was sent.")
    metadata = {**describe(foreseen.totals), **counts, "first_contacts": [str(one) for one in foreseen.first]}
    left_out = [dg.TableRecord(asdict(one)) for one in foreseen.left_out()]
    if left_out:
        metadata[LEFT_OUT] = dg.MetadataValue.table(left_out)
        for one in foreseen.left_out():
            context.log.info(f"{one.field} would be left out of {counted(one.contacts, 'contact')}: {one.reason}")
    return dg.Output(counts, metadata=metadata)
