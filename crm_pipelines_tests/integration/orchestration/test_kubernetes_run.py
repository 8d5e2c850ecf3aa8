"""The command that the pod of a run executes, executed here: as the values for Dagster's chart have it."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml  # type: ignore[import-untyped]

from crm_pipelines.orchestration.sync.tags import OUTCOME_TAG
from crm_pipelines_tests.fixtures.kubernetes import Manifest, instance_config, launched, launcher_config, values
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.patience import PATIENCE
from crm_pipelines_tests.programs import program


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """As the chart sets it up, but for where it keeps its records; outside any cluster."""
    assert "KUBERNETES_SERVICE_HOST" not in os.environ
    noop = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
    launcher = {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": launcher_config(values())}
    written = {**instance_config(values()), "run_launcher": launcher, "compute_logs": noop}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as opened:
        yield opened


@pytest.fixture
def job(instance: dg.DagsterInstance) -> Manifest:
    """Of a run that was launched, and that nobody executes yet."""
    return launched(instance, launcher_config(values()), "crm-pipelines:test")


def _command(job: Manifest) -> list[str]:
    [container] = job["spec"]["template"]["spec"]["containers"]
    python, *arguments = container["args"]
    assert python == "python"
    return [sys.executable, *arguments]


def test_the_command_of_a_runs_pod_delivers_without_a_token_of_the_cluster(
    people: People, brevo_environment: BrevoSandbox, instance: dg.DagsterInstance, job: Manifest
) -> None:
    people.add(3)
    with program(_command(job)) as pod:
        assert pod.wait(PATIENCE) == 0
    [run] = instance.get_runs()
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert people.states() == {"synced": 3}
    assert len(brevo_environment.sent()) == 3


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_pod_that_is_evicted_writes_back_what_is_under_way_gives_back_the_rest_and_leaves_it_to_the_next_tick(
    people: People,
    brevo_environment: BrevoSandbox,
    instance: dg.DagsterInstance,
    job: Manifest,
    monkeypatch: pytest.MonkeyPatch,
    processes: str,
) -> None:
    monkeypatch.setenv("BREVO_SYNC_PROCESSES", processes)
    monkeypatch.setenv("BREVO_RATE_LIMIT_PER_SECOND", "3")  # so slow that the signal is there long before the end
    people.add(60)
    with program(_command(job)) as pod:
        brevo_environment.wait_for_requests(1, method="POST", path="/contacts$")
        pod.send_signal(signal.SIGTERM)
        pod.wait(PATIENCE)
    [run] = instance.get_runs()
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert run.tags["dagster/will_retry"] == "false"
    assert run.tags[OUTCOME_TAG] == "stopped"
    states = people.states()
    assert set(states) <= {"synced", "queued"}, "no contact is held by a pod that is gone"
    assert 0 < states["synced"] <= len(brevo_environment.sent()) < 60
