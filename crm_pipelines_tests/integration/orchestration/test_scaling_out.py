"""What a run costs Dagster does not grow with its contacts; its steps may have processes of their own."""

import os
from collections.abc import Callable

import dagster as dg
import pytest

from crm_pipelines.delivery import planning
from crm_pipelines.orchestration.build import build_definitions
from crm_pipelines.orchestration.sync.ended_runs import ended_runs
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox


def test_the_setting_gives_the_steps_of_the_scheduled_job_processes_of_their_own(
    monkeypatch: pytest.MonkeyPatch, brevo_environment: BrevoSandbox
) -> None:
    assert executor_of() == "in_process"
    monkeypatch.setenv("BREVO_SYNC_PROCESSES", "4")
    assert executor_of() == "multiprocess"


def executor_of() -> str:
    return build_definitions(load_settings()).get_job_def("brevo_sync").executor_def.name


def test_a_run_makes_at_most_twelve_batches_and_400_events_however_many_contacts_are_due(
    people: People, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    contacts = 39
    monkeypatch.setattr(planning, "_BATCH_SECONDS", 0)
    monkeypatch.setenv("BREVO_SYNC_SCHEDULER_BATCH_SIZE", "1")
    people.add(contacts)
    run = pipeline.run()
    assert run.counts == {"claimed": contacts, "synced": contacts}
    steps = {event.step_key for event in run.result.all_events if event.is_step_start}
    assert 10 <= sum(step.startswith("sync_batch") for step in steps if step) <= 12
    assert len(pipeline.instance.all_logs(run.result.run_id)) <= 400


@dg.op
def fails() -> None:
    raise dg.Failure("on purpose")


@dg.op
def dies() -> None:
    os._exit(1)


@dg.job(executor_def=dg.multiprocess_executor.configured({"max_concurrent": 2, "start_method": {"forkserver": {}}}))
def a_step_fails() -> None:
    fails()


@dg.job(executor_def=dg.multiprocess_executor.configured({"max_concurrent": 2, "start_method": {"forkserver": {}}}))
def a_step_fails_and_the_process_of_another_dies() -> None:
    fails()
    dies()


def fails_in_a_process() -> dg.JobDefinition:
    return a_step_fails


def dies_in_a_process() -> dg.JobDefinition:
    return a_step_fails_and_the_process_of_another_dies


@pytest.mark.parametrize(("job", "crashed"), [(fails_in_a_process, False), (dies_in_a_process, True)])
def test_a_run_of_which_the_process_of_a_step_died_has_crashed(
    instance: dg.DagsterInstance, job: Callable[[], dg.JobDefinition], crashed: bool
) -> None:
    with dg.execute_job(dg.reconstructable(job), instance=instance) as result:
        assert not result.success
        run_id = result.run_id
    assert ended_runs(instance, [run_id]) == (([], [run_id]) if crashed else ([run_id], []))
