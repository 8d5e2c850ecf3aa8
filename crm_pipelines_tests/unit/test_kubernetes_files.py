"""deploy/kubernetes, read without a cluster. What Dagster's chart makes of the values: judges/test_dagster_chart.py."""

import re
import tomllib
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
from pydantic import SecretStr

from crm_pipelines.delivery.planning import CLAIM_LEASE
from crm_pipelines.settings import GROUPS, KINDS, variable_name
from crm_pipelines_tests.fixtures.compose import ROOT, load_yaml
from crm_pipelines_tests.fixtures.kubernetes import (
    FOLDER,
    NAMESPACE,
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

IMAGE = "registry.example.com/crm-pipelines:0.1.0"
KEYS = "crm-pipelines-crm"
OF_SERVICES = "crm-pipelines-postgres"


@pytest.fixture(scope="module")
def given() -> Manifest:
    return values()


@pytest.fixture(scope="module")
def ours() -> list[Manifest]:
    return manifests()


@pytest.fixture(scope="module")
def job(given: Manifest) -> Manifest:
    return run_job(launcher_config(given), IMAGE)


@pytest.fixture(scope="module")
def run(job: Manifest) -> Pod:
    return Pod("run", 1, job["spec"]["template"])


@pytest.fixture(scope="module")
def every(ours: list[Manifest], run: Pod) -> dict[str, Pod]:
    """Of ours, and that of a run; those that the chart makes are the judge's."""
    return {pod.name.removeprefix("crm-pipelines-"): pod for pod in [*pods(ours), run]}


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_field_of_every_object(version: str, ours: list[Manifest], job: Manifest) -> None:
    for one in [*ours, job]:
        kubernetes_validate.validate(one, version, strict=True)


def test_every_object_is_in_the_one_namespace(ours: list[Manifest]) -> None:
    assert {one["metadata"].get("namespace", one["metadata"]["name"]) for one in ours} == {NAMESPACE}


def test_no_pod_may_do_more_than_it_needs_and_the_namespace_lets_in_no_other(
    every: dict[str, Pod], ours: list[Manifest]
) -> None:
    assert set(every) == {"migrate", "webserver", "api", "run"}
    assert [name for name, pod in every.items() if not is_restricted(pod)] == []
    [namespace] = [one for one in ours if one["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_only_who_ends_runs_has_a_token_of_the_cluster(given: Manifest, every: dict[str, Pod]) -> None:
    assert {name: pod.spec["serviceAccountName"] for name, pod in every.items()} == {
        "migrate": NAMESPACE,
        "api": NAMESPACE,
        "run": NAMESPACE,
        "webserver": "dagster",
    }
    assert {name for name, pod in every.items() if pod.spec["automountServiceAccountToken"]} == {"webserver"}
    assert given["dagster-user-deployments"]["rbacEnabled"] is False, "the code server makes no pods"


def test_there_is_one_daemon(given: Manifest, every: dict[str, Pod]) -> None:
    assert given["dagsterDaemon"]["enabled"] is True
    assert not [name for name in given["dagsterDaemon"] if "replica" in name.lower()]
    arguments = [word for pod in every.values() for one in pod.containers for word in one["args"]]
    assert "dagster-daemon" not in arguments, "two would start every run twice"


def test_secrets_are_named_only_where_they_are_needed(every: dict[str, Pod]) -> None:
    assert {name: pod.secrets for name, pod in every.items()} == {
        "migrate": {OF_SERVICES, "crm-pipelines-postgres-superuser"},
        "webserver": {OF_SERVICES},
        "api": {OF_SERVICES, KEYS},
        "run": {OF_SERVICES, KEYS},
    }


def test_the_code_server_has_what_its_runs_have_and_nobody_of_the_chart_has_the_keys(
    given: Manifest, every: dict[str, Pod]
) -> None:
    [code] = given["dagster-user-deployments"]["deployments"]
    assert {one["name"] for one in code["envSecrets"]} == {KEYS, "crm-pipelines-alerts"}
    assert {one["name"] for one in code["envConfigMaps"]} == every["run"].settings == every["api"].settings
    assert code["env"] == given["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]["containerConfig"]["env"]
    for part in ("dagsterDaemon", "dagsterWebserver"):
        assert not {"env", "envSecrets", "envConfigMaps"} & set(given[part]), part


def test_the_example_of_the_secrets_has_every_secret_setting_and_no_value(ours: list[Manifest]) -> None:
    secrets = {one["metadata"]["name"]: one["stringData"] for one in ours if one["kind"] == "Secret"}
    held = {name for data in secrets.values() for name in data}
    assert {value for data in secrets.values() for value in data.values()} == {""}
    assert _secret_settings() <= held | {"CRM_DATABASE_URL", "DAGSTER_POSTGRES_URL"}
    assert secrets.keys() == {OF_SERVICES, "crm-pipelines-postgres-superuser", KEYS, "crm-pipelines-alerts"}
    assert not any("data" in one for one in ours if one["kind"] == "Secret")


def test_settings_are_known_ones_and_hold_no_secret(ours: list[Manifest]) -> None:
    [settings] = [one["data"] for one in ours if one["kind"] == "ConfigMap"]
    known = {variable_name(group, field) for group in GROUPS for field in group.model_fields}
    assert set(settings) - known == {"MPLCONFIGDIR"}
    assert set(settings) & _secret_settings() <= {"CRM_DATABASE_URL", "DAGSTER_POSTGRES_URL"}


def test_no_url_and_no_value_holds_a_password(given: Manifest, ours: list[Manifest]) -> None:
    texts = [(path, text) for path, text in _texts([given, *ours]) if text]
    assert [path for path, text in texts if "://" in text and urlsplit(text).password is not None] == []
    assert [path for path, _ in texts if re.search(r"(?i)password$", path) and "secretKeyRef" not in path] == []
    assert given["generatePostgresqlPasswordSecret"] is False


def test_one_image_of_one_version_is_used_everywhere(given: Manifest, ours: list[Manifest], job: Manifest) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert version == IMAGE.rpartition(":")[2]
    [code] = given["dagster-user-deployments"]["deployments"]
    of_chart = [code, given["dagsterDaemon"], given["dagsterWebserver"], given["pipelineRun"]]
    assert {f"{one['image']['repository']}:{one['image']['tag']}" for one in of_chart} == {IMAGE}
    assert {one["image"] for pod in pods([*ours, job]) for one in pod.containers} == {IMAGE}
    assert given["busybox"]["image"]["tag"] not in {None, "latest"}


def test_dagsters_instance_is_set_up_as_dagster_yaml_says(given: Manifest) -> None:
    expected = load_yaml("dagster.yaml")
    made = instance_config(given)
    assert made["run_coordinator"]["class"] == "QueuedRunCoordinator"
    coordinator = made.pop("run_coordinator")["config"]
    assert coordinator == {
        "tag_concurrency_limits": expected.pop("concurrency")["runs"]["tag_concurrency_limits"],
        **expected.pop("run_queue"),
    }
    del expected["storage"]
    for name, settings in expected.items():
        assert settings.items() <= _without_unset(made[name]).items(), name
    assert set(made) == set(expected), "nothing that dagster.yaml does not know"


def test_dagsters_storage_takes_the_driver_that_works(given: Manifest) -> None:
    of_compose = load_yaml("docker-compose.yml")["x-dagster-database"]["DAGSTER_POSTGRES_URL"]
    assert given["postgresql"]["postgresqlScheme"] == urlsplit(of_compose).scheme
    assert given["postgresql"]["enabled"] is False


def test_the_code_location_has_the_name_that_it_has_elsewhere(given: Manifest) -> None:
    [elsewhere] = load_yaml("deploy/workspace.yaml")["load_from"]
    [code] = given["dagster-user-deployments"]["deployments"]
    workspace = given["dagsterWebserver"]["workspace"]
    location = elsewhere["grpc_server"]["location_name"]
    assert workspace == {
        "enabled": True,
        "servers": [{"host": code["name"], "port": code["port"], "name": location}],
    }


def test_a_run_is_as_the_launcher_says_and_is_not_ended_to_save_a_node(given: Manifest, run: Pod) -> None:
    read = given["runLauncher"]["config"]["k8sRunLauncher"]
    [container] = run.containers
    assert container["resources"] == read["resources"]
    annotations = run.template["metadata"]["annotations"]
    assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"


def test_the_code_server_asks_nothing_for_its_runs_since_that_would_win(given: Manifest) -> None:
    asked = {"k8s": {"resources": {"limits": {"cpu": "9"}}, "service_account_name": "another"}}
    spec = run_job(launcher_config(given), IMAGE, of_code_server=asked)["spec"]["template"]["spec"]
    assert spec["containers"][0]["resources"]["limits"]["cpu"] == "9", "the trap is gone: take the note out"
    assert spec["serviceAccountName"] == "another"
    [code] = given["dagster-user-deployments"]["deployments"]
    assert code["includeConfigInLaunchedRuns"] == {"enabled": False}


def test_a_run_is_made_once_and_has_time_to_give_its_contacts_back(job: Manifest, run: Pod) -> None:
    assert job["spec"]["backoffLimit"] == 0, "a second pod of one run would send beside the first"
    assert run.spec["restartPolicy"] == "Never"
    assert 60 <= run.spec["terminationGracePeriodSeconds"] < CLAIM_LEASE.total_seconds()
    assert 600 <= job["spec"]["ttlSecondsAfterFinished"] < 86400


def test_a_run_whose_pod_died_is_not_resumed_in_another_one_that_has_none_of_its_outputs(given: Manifest) -> None:
    assert given["dagsterDaemon"]["runMonitoring"]["maxResumeRunAttempts"] == 0


def test_a_run_can_write_where_its_steps_keep_their_outputs_and_nowhere_else(run: Pod) -> None:
    [container] = run.containers
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/tmp", "/opt/dagster/home/storage"}
    assert all(volume["emptyDir"]["sizeLimit"] for volume in run.spec["volumes"])


def test_dagsters_pages_are_served_behind_the_guard_and_the_api_reaches_them(
    given: Manifest, ours: list[Manifest], every: dict[str, Pod]
) -> None:
    assert given["dagsterWebserver"]["replicaCount"] == 0
    assert given["ingress"] == {"enabled": False}
    [container] = every["webserver"].containers
    assert container["args"][:2] == ["crm-pipelines", "webserver"]
    [settings] = [one["data"] for one in ours if one["kind"] == "ConfigMap"]
    url = urlsplit(settings["API_DAGSTER_URL"])
    [service] = [one for one in ours if one["kind"] == "Service" and one["metadata"]["name"] == url.hostname]
    assert service["spec"]["ports"][0]["port"] == url.port
    assert service["spec"]["selector"].items() <= every["webserver"].labels.items()
    assert container["args"][container["args"].index("--allow-host") + 1] == url.hostname


def test_nobody_is_published_by_the_manifests(ours: list[Manifest]) -> None:
    assert {one["spec"].get("type", "ClusterIP") for one in ours if one["kind"] == "Service"} == {"ClusterIP"}
    assert not [one for one in ours if one["kind"] == "Ingress"]


def test_probes_ask_under_a_name_that_is_allowed(every: dict[str, Pod]) -> None:
    for name in ("webserver", "api"):
        [container] = every[name].containers
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[kind]["httpGet"]["httpHeaders"] == [{"name": "Host", "value": "localhost"}], (name, kind)


def test_a_disruption_budget_is_for_what_there_are_two_of(ours: list[Manifest], every: dict[str, Pod]) -> None:
    budgets = [one["spec"] for one in ours if one["kind"] == "PodDisruptionBudget"]
    covered = {
        name
        for name, pod in every.items()
        for budget in budgets
        if budget["selector"]["matchLabels"].items() <= pod.labels.items()
    }
    assert covered == {name for name, pod in every.items() if pod.replicas > 1} == {"api"}
    assert all(budget["minAvailable"] == 1 for budget in budgets)


# Who may reach what, as long as the network enforces it.

_OTHER = {"app": "something else"}
_LABELS = {
    "daemon": {"component": "dagster-daemon"},
    "login proxy": {"crm-pipelines/login-proxy": "true"},
    "another pod": _OTHER,
}


def test_pods_reach_only_whom_they_have_to(given: Manifest, ours: list[Manifest], every: dict[str, Pod]) -> None:
    policies = [one for one in ours if one["kind"] == "NetworkPolicy"]
    [deployment] = given["dagster-user-deployments"]["deployments"]
    everybody = {name: pod.labels for name, pod in every.items()} | _LABELS
    everybody["code"] = {"component": "user-deployments", **deployment["labels"]}
    ports = {"code": 4000, "webserver": 3000, "api": 8000, "daemon": 80, "run": 80, "migrate": 80, "another pod": 80}
    reached = {
        (source, target)
        for source, labels in everybody.items()
        for target, port in ports.items()
        if may_reach(policies, labels, everybody[target], port)
    }
    assert reached == {("daemon", "code"), ("webserver", "code"), ("api", "webserver")}


def test_only_who_asks_a_crm_or_tells_people_gets_out_of_the_cluster_and_not_to_the_node(
    given: Manifest, ours: list[Manifest], every: dict[str, Pod]
) -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in ours if one["kind"] == "NetworkPolicy"}
    selected = policies["outside"]["podSelector"]["matchLabels"]
    assert {name for name, pod in every.items() if selected.items() <= pod.labels.items()} == {"api", "run"}
    [deployment] = given["dagster-user-deployments"]["deployments"]
    assert deployment["labels"] == selected
    [rule] = policies["outside"]["egress"]
    [peer] = rule["to"]
    assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(peer["ipBlock"]["except"])


def test_nobody_comes_in_who_is_not_named(ours: list[Manifest]) -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in ours if one["kind"] == "NetworkPolicy"}
    everybody = policies["everybody"]
    assert everybody["podSelector"] == {}
    assert everybody["policyTypes"] == ["Ingress", "Egress"]
    assert everybody["ingress"] == []
    of_others = {name: spec["ingress"] for name, spec in policies.items() if spec.get("ingress")}
    assert set(of_others) == {"code", "webserver", "api"}
    peers = [peer for rules in of_others.values() for rule in rules for peer in rule["from"]]
    named = [[peer.get(kind, {}).get("matchLabels") for kind in ("podSelector", "namespaceSelector")] for peer in peers]
    assert all(any(labels) for labels in named)


def test_what_the_document_names_is_there() -> None:
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    part = text.partition("\n## Kubernetes\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"deploy/kubernetes/([\w.]+\.yaml)", part)) | set(re.findall(r"`([\w.]+\.yaml)`", part))
    assert {file.name for file in FOLDER.glob("*.yaml")} <= named
    assert all((FOLDER / name).exists() or (ROOT / name).exists() for name in named), named


def _secret_settings() -> set[str]:
    groups = [*GROUPS, *KINDS.values()]
    return {
        variable_name(group, field)
        for group in groups
        for field, info in group.model_fields.items()
        if "SecretStr" in str(info.annotation) or info.annotation is SecretStr
    }


def _texts(node: Any, path: str = "") -> list[tuple[str, str]]:
    """Every string, with where it stands."""
    if isinstance(node, dict):
        return [found for key, value in node.items() for found in _texts(value, f"{path}/{key}")]
    if isinstance(node, list):
        return [found for value in node for found in _texts(value, path)]
    return [(path, node)] if isinstance(node, str) else []


def _without_unset(settings: Manifest) -> Manifest:
    """Without what the chart wants named that Dagster leaves out: -1 is for ever."""
    if not isinstance(settings, dict):
        return settings
    return {name: _without_unset(value) for name, value in settings.items() if value != -1}
