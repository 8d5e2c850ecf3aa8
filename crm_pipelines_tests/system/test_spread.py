"""A run whose steps have processes of their own: they share one gate."""

from collections import Counter
from collections.abc import Iterator
from multiprocessing import forkserver

import dagster as dg
import pytest

from crm_pipelines.queue.claims import MAX_CRASHES
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.system.spread_job import spread_job

LIMIT = 20


@pytest.fixture
def fresh_fork_server() -> Iterator[None]:
    """Its processes get the environment that it was started with, which may be that of a test before."""
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    yield
    forkserver._forkserver._stop()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("fresh_fork_server")
def test_four_processes_of_one_run_share_the_accounts_limit(
    people: People, instance: dg.DagsterInstance, brevo_environment: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREVO_RATE_LIMIT_PER_SECOND", str(LIMIT))
    brevo_environment.configure(contacts_per_second=LIMIT)
    people.add(40)
    with dg.execute_job(dg.reconstructable(spread_job), instance=instance) as result:
        assert result.success
        batches = {
            event.step_key: event.pid
            for event in result.all_events
            if event.is_step_start and (event.step_key or "").startswith("sync_batch")
        }
    assert len(batches) == 4
    assert len(set(batches.values())) == 4, "each in a process of its own"
    assert people.states() == {"synced": 40}
    requests = brevo_environment.requests()
    assert Counter(request["status"] for request in requests)[201] == 40
    moments = [request["arrived_monotonic"] for request in requests]
    assert max(moments) - min(moments) > 1, "each at the whole limit, they would need half a second"


@pytest.mark.usefixtures("fresh_fork_server", "brevo_environment")
def test_a_contact_that_kills_the_process_of_its_step_is_given_up_and_its_neighbours_are_delivered(
    people: People, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREVO_SYNC_SCHEDULER_BATCH_SIZE", "3")
    poison = people.add(9)[4]
    monkeypatch.setenv("CRM_PIPELINES_TEST_POISON", str(poison))
    for _ in range(MAX_CRASHES + 1):
        with dg.execute_job(dg.reconstructable(spread_job), instance=instance):
            people.expire_leases()
            people.make_due()
    assert people.states() == {"synced": 8, "failed": 1}
    given_up = people.sync(poison)
    assert (given_up["crashes"], given_up["last_error_kind"]) == (MAX_CRASHES, "crash")
