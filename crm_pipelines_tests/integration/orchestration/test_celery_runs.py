"""The launcher for workers of Celery; what workers make of it: system/test_celery.py."""

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.test_utils import create_run_for_test

from crm_pipelines.orchestration.build import build_definitions
from crm_pipelines.orchestration.celery_runs import DestinationQueuesLauncher
from crm_pipelines.settings import load_settings

TASK = {"dagster-celery/task_id": "5b1f0a4e"}


@pytest.fixture
def launcher(instance: dg.DagsterInstance) -> DestinationQueuesLauncher:
    """With messages in memory, which nobody takes."""
    launcher = DestinationQueuesLauncher(default_queue="dagster", broker="memory://", backend="cache+memory://")
    launcher.register_instance(instance)
    return launcher


def test_a_run_that_somebody_cancels_is_known_to_be_cancelled_before_its_process_hears_of_it(
    instance: dg.DagsterInstance, launcher: DestinationQueuesLauncher
) -> None:
    run = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED, tags=TASK)
    assert launcher.terminate(run.run_id)
    cancelled = instance.get_run_by_id(run.run_id)
    assert cancelled is not None
    assert cancelled.status is dg.DagsterRunStatus.CANCELING


@pytest.mark.parametrize(
    ("status", "tags"),
    [(dg.DagsterRunStatus.SUCCESS, TASK), (dg.DagsterRunStatus.STARTED, {})],
    ids=["ended", "no task"],
)
def test_a_run_that_cannot_be_stopped_is_left_as_it_is(
    instance: dg.DagsterInstance, launcher: DestinationQueuesLauncher, status: dg.DagsterRunStatus, tags: dict[str, str]
) -> None:
    run = create_run_for_test(instance, status=status, tags=tags)
    assert not launcher.terminate(run.run_id)
    left = instance.get_run_by_id(run.run_id)
    assert left is not None
    assert left.status is status


def test_a_run_of_which_redis_knows_nothing_is_not_ended(
    instance: dg.DagsterInstance, launcher: DestinationQueuesLauncher
) -> None:
    run = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED, tags=TASK)
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING


@pytest.mark.usefixtures("brevo_environment")
def test_every_job_of_a_destination_bears_its_name_which_is_that_of_its_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo,hubspot")
    jobs = build_definitions(load_settings()).get_repository_def().get_all_jobs()
    named = {job.name: job.tags.get("crm-pipelines/destination") for job in jobs if not job.name.startswith("__")}
    of_none = {"daily_report", "prune_history"}
    assert {name for name, destination in named.items() if destination is None} == of_none
    assert all(name.startswith(f"{destination}_") for name, destination in named.items() if name not in of_none)
