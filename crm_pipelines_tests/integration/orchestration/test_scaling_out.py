"""More processes for a run share one gate; a run of many contacts makes no more events than one of few."""

from collections import Counter
from collections.abc import Iterator
from multiprocessing import forkserver

import dagster as dg
import pytest

from crm_pipelines.delivery import planning
from crm_pipelines.orchestration.build import build_definitions
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.orchestration.spread_job import spread_job

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
    assert Counter(request["status"] for request in brevo_environment.requests()) == {201: 40}


def test_the_setting_gives_the_steps_of_the_scheduled_job_processes_of_their_own(
    monkeypatch: pytest.MonkeyPatch, brevo_environment: BrevoSandbox
) -> None:
    assert executor_of() == "in_process"
    monkeypatch.setenv("BREVO_SYNC_PROCESSES", "4")
    assert executor_of() == "multiprocess"


def executor_of() -> str:
    return build_definitions(load_settings()).get_job_def("brevo_sync").executor_def.name


@pytest.mark.parametrize("contacts", [130, 390])
def test_a_run_makes_at_most_twelve_batches_and_400_events(
    people: People, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, contacts: int
) -> None:
    monkeypatch.setattr(planning, "_BATCH_SECONDS", 0)
    people.run(
        "INSERT INTO crm_contacts (email) SELECT 'c' || n || '@example.com' FROM generate_series(1, :n) n", n=contacts
    )
    people.run("SELECT crm_select('brevo', array_agg(id)) FROM crm_contacts")
    run = pipeline.run()
    assert run.counts == {"claimed": contacts, "synced": contacts}
    steps = {event.step_key for event in run.result.all_events if event.is_step_start}
    assert 10 <= sum(step.startswith("sync_batch") for step in steps if step) <= 12
    assert len(pipeline.instance.all_logs(run.result.run_id)) <= 400
