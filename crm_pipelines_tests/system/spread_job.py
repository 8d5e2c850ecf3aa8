"""The job with four processes and batches of ten, as the processes of its steps load it."""

import multiprocessing
import os

import dagster as dg

from crm_pipelines.delivery import planning
from crm_pipelines.orchestration.sync.jobs import sync_job
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.worker import be_poisoned_by

if multiprocessing.parent_process() is not None:
    planning._BATCH_SECONDS = 0  # in the processes of the steps: the smallest batch is the setting's
    if poison := os.environ.get("CRM_PIPELINES_TEST_POISON"):
        be_poisoned_by(poison)


def spread_job() -> dg.JobDefinition:
    brevo = load_settings().destination("brevo")
    return sync_job(brevo.model_copy(update={"sync_processes": 4}))
