"""A process that goes on sending though Dagster says that its run has failed.

With a process per step, those of a killed run live on and finish their work; so does a worker after a forced stop.
"""

from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.test_utils import create_run_for_test

from crm_pipelines_tests.checker import assert_invariants
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import DELIVERIES, BrevoSandbox
from crm_pipelines_tests.system.chaos.conftest import StartWorker


def test_a_process_that_outlives_its_run_delivers_what_it_has_and_nobody_else_sends_it(
    account: BrevoSandbox,
    crew: list[Any],
    start_worker: StartWorker,
    people: People,
    pipeline: Pipeline,
    engine: sa.Engine,
) -> None:
    account.fault("hold_after", path=DELIVERIES)
    worker = start_worker()
    account.wait_for_requests(12)
    [holder] = people.all("SELECT DISTINCT claimed_by AS run_id FROM crm_syncs")
    create_run_for_test(pipeline.instance, job_name="brevo_sync", status=dg.DagsterRunStatus.FAILURE, **holder)
    assert pipeline.run().counts == {}, "what is being delivered waits for its lease, whatever Dagster says"
    account.clear_faults()
    account.release()
    assert worker.wait() == 0
    assert people.states() == {"synced": 12}
    assert_invariants(engine, account, most_sends=1)
