"""Two processes execute one run, as after a message broker that delivers it twice or a pod that is made anew.

Dagster's own guard reads and then acts, so they may. No contact is sent by both, whatever folder they share.
"""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from crm_pipelines.orchestration.sync.tags import EXECUTED_TWICE_TAG, OUTCOME_TAG
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import DELIVERIES, BrevoSandbox
from crm_pipelines_tests.worker import Worker, job_to_execute

CONTACTS = 24
_PASSED_ON = ("CRM_DATABASE_URL", "BREVO_API_KEY", "BREVO_API_BASE_URL", "BREVO_RATE_LIMIT_PER_SECOND")

Start = Callable[..., Worker]


@pytest.fixture
def start(brevo_environment: BrevoSandbox, tmp_path: Path) -> Iterator[Start]:
    """Start a process that executes the run, in batches of four."""
    workers: list[Worker] = []

    def start(run_id: str, home: str | None = None, **more: str) -> Worker:
        fault = more.pop("fault", "")
        own = {name: os.environ[name] for name in _PASSED_ON}
        own |= {"BREVO_SYNC_SCHEDULER_BATCH_SIZE": "4", "CRM_PIPELINES_TEST_RUN": run_id, **more}
        own |= {"DAGSTER_HOME": home} if home else {}
        workers.append(Worker(own, tmp_path, fault=fault))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


def sends(sandbox: BrevoSandbox) -> Counter[str]:
    """How often each contact was sent."""
    return Counter(json.loads(request["body"])["email"] for request in sandbox.requests(path=DELIVERIES, method="POST"))


def created(instance: dg.DagsterInstance) -> str:
    return instance.create_run_for_job(job_to_execute()).run_id


def executed_by_two(
    start: Start, sandbox: BrevoSandbox, people: People, run_id: str, *homes: str | None, **more: str
) -> None:
    """The first stands in the midst of its first batch until the second has begun one; then both go on."""
    people.add(CONTACTS)
    workers = []
    for home in homes:
        workers.append(start(run_id, home, fault="before_send:stop", **more))
        workers[-1].wait_until_stopped()
    sandbox.fault("latency", seconds=0.3, times=10 * CONTACTS, path=DELIVERIES)  # both have requests under way
    for worker in workers:
        worker.send(signal.SIGCONT)
    assert [worker.wait() for worker in workers] == [0, 0]
    assert set(sends(sandbox).values()) == {1}, "no contact is sent by both"
    assert people.states() == {"synced": CONTACTS}


def test_with_folders_of_their_own(start: Start, brevo_environment: BrevoSandbox, people: People) -> None:
    executed_by_two(start, brevo_environment, people, str(uuid4()), None, None)


def test_with_one_folder(
    start: Start, brevo_environment: BrevoSandbox, people: People, instance: dg.DagsterInstance
) -> None:
    home = instance.root_directory
    run_id = created(instance)
    executed_by_two(start, brevo_environment, people, run_id, home, home)
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert run.tags[EXECUTED_TWICE_TAG]
    assert "another process executed this run as well" in run.tags[OUTCOME_TAG]
