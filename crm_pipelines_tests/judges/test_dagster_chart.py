"""What Dagster's own Helm chart makes of deploy/kubernetes/values.yaml, rendered by Helm's own library.

The chart is not kept here. Where Helm's repository is reached, `helm pull dagster --repo
https://dagster-io.github.io/helm --version 1.13.27` brings it; CRM_PIPELINES_DAGSTER_CHART names the archive, or the
folder that it was unpacked into. Without it these tests are skipped. Helm's library is a wheel for Linux on x86-64.
"""

import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml  # type: ignore[import-untyped]

from crm_pipelines_tests.fixtures.compose import load_yaml
from crm_pipelines_tests.fixtures.kubernetes import (
    NAMESPACE,
    RELEASE,
    VERSIONS,
    Manifest,
    Pod,
    instance_config,
    is_restricted,
    launcher_config,
    manifests,
    may_reach,
    pods,
    run_job,
    values,
)
from crm_pipelines_tests.fixtures.postgres import temporary_folder

helm = pytest.importorskip("helm_python", reason="Helm's library is not to be had for this machine")

_VARIABLE = "CRM_PIPELINES_DAGSTER_CHART"


@pytest.fixture(scope="module")
def chart() -> Iterator[Any]:
    """The chart, whose schema asks nothing of the network.

    It names Kubernetes' schemas by URL. What they say is asked of the rendered objects, by kubernetes-validate.
    """
    given = os.environ.get(_VARIABLE)
    if not given:
        pytest.skip(f"{_VARIABLE} names no chart: the docstring of {Path(__file__).name} says where it is to be had.")
    with temporary_folder() as folder:
        if Path(given).is_dir():
            shutil.copytree(given, folder / "dagster")
        else:
            with tarfile.open(given) as archive:
                archive.extractall(folder, filter="data")
        for schema in folder.rglob("values.schema.json"):
            read = json.loads(schema.read_text(encoding="utf-8"))
            schema.write_text(json.dumps(_without_urls(read)), encoding="utf-8")
        with helm.Chart.load(folder / "dagster") as loaded:
            yield loaded


@pytest.fixture(scope="module")
def rendered(chart: Any) -> list[Manifest]:
    """Every object that `helm install` would make."""
    files = chart.render(values(), name=RELEASE, namespace=NAMESPACE)
    return [
        one
        for name, text in files.items()
        if name.endswith(".yaml")
        for one in yaml.safe_load_all(text)
        if one is not None
    ]


@pytest.fixture(scope="module")
def made(rendered: list[Manifest]) -> dict[str, Pod]:
    names = {"dagster-daemon": "daemon", "dagster-dagster-user-deployments-crm-pipelines-code": "code"}
    return {names.get(pod.name, pod.name): pod for pod in pods(rendered)}


def _config(rendered: list[Manifest], name: str) -> Manifest:
    [found] = [one["data"] for one in rendered if one["kind"] == "ConfigMap" and one["metadata"]["name"] == name]
    return dict(found)


def _instance(rendered: list[Manifest]) -> Manifest:
    return dict(yaml.safe_load(_config(rendered, f"{RELEASE}-instance")["dagster.yaml"]))


def test_the_charts_schema_takes_the_values_and_refuses_what_it_does_not_know(chart: Any) -> None:
    given = values()
    chart.validate_schema(given)
    given["dagsterDaemon"]["replicaCount"] = 2
    with pytest.raises(helm.HelmValuesError, match="replicaCount"):
        chart.validate_schema(given)


def test_every_value_is_one_that_the_chart_has(chart: Any) -> None:
    assert list(_unknown(values(), chart.values)) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_field_of_what_the_chart_makes(version: str, rendered: list[Manifest]) -> None:
    for one in rendered:
        kubernetes_validate.validate(_without_none(one), version, strict=True)


def test_nothing_runs_but_one_daemon_and_the_code_server(rendered: list[Manifest], made: dict[str, Pod]) -> None:
    assert {name: pod.replicas for name, pod in made.items()} == {
        "daemon": 1,
        "code": 1,
        "dagster-dagster-webserver": 0,
    }
    [daemon] = [one for one in rendered if one["metadata"]["name"] == "dagster-daemon"]
    assert daemon["spec"]["strategy"] == {"type": "Recreate"}, "two would start every run twice"
    kinds = {"ConfigMap", "Deployment", "Service", "ServiceAccount", "Role", "RoleBinding"}
    assert {one["kind"] for one in rendered} == kinds, "and no Secret"


def test_no_pod_of_the_chart_may_do_more_than_it_needs(made: dict[str, Pod]) -> None:
    assert [name for name, pod in made.items() if pod.replicas and not is_restricted(pod)] == []


def test_secrets_are_named_only_where_they_are_needed(made: dict[str, Pod]) -> None:
    services, optional = "crm-pipelines-postgres", "dagster-celery-config-secret"
    assert made["daemon"].secrets == {services}
    assert made["code"].secrets - {optional} == {services, "crm-pipelines-crm", "crm-pipelines-alerts"}


def test_only_the_daemons_account_may_make_pods(rendered: list[Manifest], made: dict[str, Pod]) -> None:
    [binding] = [one for one in rendered if one["kind"] == "RoleBinding"]
    assert [one["name"] for one in binding["subjects"]] == [made["daemon"].spec["serviceAccountName"]] == [RELEASE]
    assert made["code"].spec["serviceAccountName"] != RELEASE


def test_images_are_ours_of_one_version(made: dict[str, Pod]) -> None:
    images = {one["image"] for pod in made.values() for one in pod.containers}
    assert images == {"registry.example.com/crm-pipelines:0.1.0", "docker.io/busybox:1.28"}


def test_the_chart_writes_the_instance_that_the_other_tests_take_it_to_write(rendered: list[Manifest]) -> None:
    written, expected = _instance(rendered), instance_config(values())
    for name, settings in expected.items():
        assert settings.items() <= written[name].items(), name
    assert written["run_launcher"]["config"] == launcher_config(values())
    assert not {"concurrency", "run_queue"} & set(written), "Dagster refuses them beside a run_coordinator"


def test_dagster_takes_the_instance_and_keeps_the_limit_that_dagster_yaml_has(
    rendered: list[Manifest], tmp_path: Path
) -> None:
    (tmp_path / "dagster.yaml").write_text(_config(rendered, f"{RELEASE}-instance")["dagster.yaml"], encoding="utf-8")
    from dagster._core.instance.ref import InstanceRef

    ref = InstanceRef.from_dir(str(tmp_path))
    coordinator: Any = ref.run_coordinator
    queue = coordinator.get_run_queue_config()
    of_compose = load_yaml("dagster.yaml")
    assert queue.tag_concurrency_limits == of_compose["concurrency"]["runs"]["tag_concurrency_limits"]
    assert queue.max_user_code_failure_retries == of_compose["run_queue"]["max_user_code_failure_retries"]
    assert queue.user_code_failure_retry_delay == of_compose["run_queue"]["user_code_failure_retry_delay"]


def test_storage_is_reached_with_the_driver_that_works_and_no_password_stands_in_it(rendered: list[Manifest]) -> None:
    written = _instance(rendered)
    for name in ("run_storage", "event_log_storage", "schedule_storage"):
        config = written[name]["config"]["postgres_db"]
        assert config["scheme"] == "postgresql+psycopg2"
        assert config["password"] == {"env": "DAGSTER_PG_PASSWORD"}


def test_the_workspace_has_the_location_under_its_name_and_the_service_is_there(rendered: list[Manifest]) -> None:
    [location] = yaml.safe_load(_config(rendered, "dagster-workspace-yaml")["workspace.yaml"])["load_from"]
    [service] = [one for one in rendered if one["metadata"]["name"] == location["grpc_server"]["host"]]
    assert service["kind"] == "Service"
    assert service["spec"]["ports"][0]["port"] == location["grpc_server"]["port"]
    [elsewhere] = load_yaml("deploy/workspace.yaml")["load_from"]
    assert location["grpc_server"]["location_name"] == elsewhere["grpc_server"]["location_name"]


def test_what_our_manifests_take_from_the_chart_is_there(rendered: list[Manifest]) -> None:
    there = {(one["kind"], one["metadata"]["name"]) for one in rendered}
    [webserver] = [pod for pod in pods(manifests()) if pod.name == "crm-pipelines-webserver"]
    taken = {
        ("ConfigMap", volume["configMap"]["name"]) for volume in webserver.spec["volumes"] if "configMap" in volume
    }
    assert taken | {("ServiceAccount", webserver.spec["serviceAccountName"])} <= there


def test_the_code_server_gives_its_runs_nothing(made: dict[str, Pod]) -> None:
    [container] = made["code"].spec["containers"]
    assert not [one for one in container["env"] if "CONTAINER_CONTEXT" in one["name"]]


def test_the_job_of_a_run_is_what_kubernetes_allows_and_may_do_little(
    rendered: list[Manifest], made: dict[str, Pod]
) -> None:
    [image] = {one["image"] for one in made["code"].spec["containers"]}
    job = run_job(_instance(rendered)["run_launcher"]["config"], image)
    for version in VERSIONS:
        kubernetes_validate.validate(job, version, strict=True)
    run = Pod("run", 1, job["spec"]["template"])
    assert is_restricted(run)
    assert run.secrets == {"crm-pipelines-postgres", "crm-pipelines-crm"}
    assert run.spec["automountServiceAccountToken"] is False
    assert run.settings == made["code"].settings


def test_the_pods_of_the_chart_bear_the_labels_that_our_policies_know(
    rendered: list[Manifest], made: dict[str, Pod]
) -> None:
    policies = [one for one in manifests() if one["kind"] == "NetworkPolicy"]
    daemon, code = made["daemon"].labels, made["code"].labels
    assert may_reach(policies, daemon, code, 4000)
    assert not may_reach(policies, code, daemon, 4000)
    assert not may_reach(policies, {"app": "something else"}, code, 4000)


def _without_urls(node: Any) -> Any:
    if isinstance(node, dict):
        remote = {"$ref"} if str(node.get("$ref", "")).startswith("http") else set()
        return {key: _without_urls(value) for key, value in node.items() if key not in remote}
    return [_without_urls(value) for value in node] if isinstance(node, list) else node


def _without_none(node: Any) -> Any:
    """As Kubernetes reads it: a field that is null is not there."""
    if isinstance(node, dict):
        return {key: _without_none(value) for key, value in node.items() if value is not None}
    return [_without_none(value) for value in node] if isinstance(node, list) else node


_FREE = {"customRunCoordinator", "additionalInstanceConfig", "runK8sConfig", "startupProbe", "livenessProbe"}
"""What the chart hands on as it is given."""


def _unknown(given: Manifest, known: Manifest, path: str = "") -> Iterator[str]:
    for name, value in given.items():
        if name not in known and name not in {"customRunCoordinator", "retryOnAssetOrOpFailure", "rbacEnabled"}:
            yield f"{path}/{name}"
        elif isinstance(value, dict) and isinstance(known.get(name), dict) and known[name] and name not in _FREE:
            yield from _unknown(value, known[name], f"{path}/{name}")
