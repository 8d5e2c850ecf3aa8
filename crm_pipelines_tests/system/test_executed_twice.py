"""Two processes execute one run, as after a message broker that delivers it twice or a pod that is made anew.

Dagster's own guard reads and then acts, so they may. No contact is sent by both, whatever folder they share.
"""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import dagster as dg
import psutil
import pytest

from crm_pipelines.orchestration.sync.tags import EXECUTED_TWICE_TAG, OUTCOME_TAG
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import DELIVERIES, BrevoSandbox
from crm_pipelines_tests.patience import wait_until
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
    assert_told(instance, run_id)
    counted = [sums_of(instance, run_id, name) for name in ("claimed", "synced")]
    assert counted == [CONTACTS, CONTACTS], "each is counted by one of them"


def test_with_one_folder_and_a_process_for_each_step(
    start: Start, brevo_environment: BrevoSandbox, people: People, instance: dg.DagsterInstance
) -> None:
    people.add(CONTACTS)
    run_id, processes = created(instance), {"CRM_PIPELINES_TEST_PROCESSES": "3"}
    first = start(run_id, instance.root_directory, fault="before_send:stop", **processes)
    wait_until(lambda: standing_still(first), "a step of the first one stands still")
    second = start(run_id, instance.root_directory, **processes)
    assert second.wait() == 0
    wait_until(lambda: has_ended(first), "the first one ends")
    assert first.wait() == 0
    assert_told(instance, run_id)
    Pipeline(instance).run()
    assert people.states() == {"synced": CONTACTS}
    assert set(sends(brevo_environment).values()) == {1}, "no contact is sent by both"


def standing_still(worker: Worker) -> list[psutil.Process]:
    children = psutil.Process(worker.pid).children(recursive=True)
    return [one for one in children if one.is_running() and one.status() == psutil.STATUS_STOPPED]


def has_ended(worker: Worker) -> bool:
    """Until it has, all of its steps that stand still go on."""
    with suppress(psutil.NoSuchProcess):
        for one in standing_still(worker):
            one.resume()
    return not worker.alive


def test_the_first_one_dies_and_the_second_goes_on(
    start: Start, brevo_environment: BrevoSandbox, people: People, instance: dg.DagsterInstance
) -> None:
    people.add(CONTACTS)
    run_id = created(instance)
    first = start(run_id, instance.root_directory, fault="before_send:stop")
    first.wait_until_stopped()
    first.send(signal.SIGKILL)
    first.wait()
    assert start(run_id, instance.root_directory).wait() == 0
    begun = people.states()["claimed"]
    assert people.states() == {"synced": CONTACTS - begun, "claimed": begun}
    assert begun == 4, "their leases tell when nobody can be sending them any more"
    assert_told(instance, run_id)
    assert set(sends(brevo_environment).values()) == {1}


def test_in_bulk(start: Start, brevo_environment: BrevoSandbox, people: People, instance: dg.DagsterInstance) -> None:
    people.add(CONTACTS)
    run_id = created(instance)
    first = start(run_id, instance.root_directory, BREVO_BULK_THRESHOLD="20", fault="after_intend:stop")
    first.wait_until_stopped()
    people.add(CONTACTS)
    second = start(run_id, instance.root_directory, BREVO_BULK_THRESHOLD="20")
    assert second.wait() == 0
    first.send(signal.SIGCONT)
    assert first.wait() == 0
    assert people.states() == {"synced": 2 * CONTACTS}
    assert [request["method"] for request in brevo_environment.requests(path="/contacts/import$")] == ["POST", "POST"]
    assert sums_of(instance, run_id, "synced") == 2 * CONTACTS


def assert_told(instance: dg.DagsterInstance, run_id: str) -> None:
    """In the tag, in the log, and by the run's success."""
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert run.tags[EXECUTED_TWICE_TAG]
    assert run.tags[OUTCOME_TAG].endswith("(another process executed this run as well)")
    said = [entry.user_message for entry in instance.all_logs(run_id)]
    assert any(one.startswith("Another process executes this run as well, or has begun to.") for one in said)


def sums_of(instance: dg.DagsterInstance, run_id: str, count: str) -> int:
    """Of what both have told Dagster."""
    told = [entry.get_dagster_event().step_materialization_data for entry in materializations(instance, run_id)]
    numbers = [one.materialization.metadata.get(count) for one in told]
    return sum(number.value for number in numbers if isinstance(number, dg.IntMetadataValue) and number.value)


def materializations(instance: dg.DagsterInstance, run_id: str) -> Sequence[dg.EventLogEntry]:
    return instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
