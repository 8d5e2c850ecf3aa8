"""The job with four processes and batches of ten, as the processes of its steps load it."""

import multiprocessing

import dagster as dg

from crm_pipelines.delivery import planning
from crm_pipelines.orchestration.jobs import build_brevo_sync

if multiprocessing.parent_process() is not None:
    planning._BATCH_SECONDS = 0  # in the processes of the steps: the smallest batch is the setting's


def spread_job() -> dg.JobDefinition:
    return build_brevo_sync(4)
