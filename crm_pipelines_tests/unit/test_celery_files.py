"""deploy/celery, read without Docker."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crm_pipelines.orchestration.celery_runs import DestinationQueuesLauncher
from crm_pipelines_tests.fixtures.compose import ROOT, load_yaml

FOLDER = "deploy/celery"
COMPOSE = f"{FOLDER}/docker-compose.celery.yml"


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = load_yaml(COMPOSE)["services"]
    return found


def test_dagsters_instance_differs_from_that_of_one_machine_in_its_launcher_only() -> None:
    of_one, of_many = load_yaml("dagster.yaml"), load_yaml(f"{FOLDER}/dagster.yaml")
    launcher = of_many.pop("run_launcher")
    assert of_many == of_one
    assert launcher["config"]["broker"] == launcher["config"]["backend"] == {"env": "CELERY_BROKER_URL"}


def test_dagster_waits_for_no_redis_that_is_cut_off_without_a_word() -> None:
    config = load_yaml(f"{FOLDER}/dagster.yaml")["run_launcher"]["config"]
    given = {name: config[name] for name in config.keys() - {"broker", "backend"}}
    celery = DestinationQueuesLauncher("dagster", "redis://127.0.0.1:1", "redis://127.0.0.1:1", **given).celery
    for seconds in (
        celery.conf.broker_transport_options["socket_timeout"],
        celery.backend.connparams["socket_timeout"],
    ):
        assert 0 < seconds < 60


def test_the_compose_file_is_what_its_schema_allows() -> None:
    command = ["check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE]
    checked = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_whoever_asks_dagsters_launcher_knows_redis_and_nobody_else(services: dict[str, dict[str, Any]]) -> None:
    holders = {name for name, one in services.items() if "CELERY_BROKER_URL" in one.get("environment", {})}
    assert holders == {"code", "webserver", "daemon", "worker"}


def test_redis_keeps_what_it_holds_forgets_nothing_and_is_not_published(services: dict[str, dict[str, Any]]) -> None:
    *_, script = services["redis"]["command"]
    assert "--appendonly yes" in script
    assert "--maxmemory-policy noeviction" in script
    assert "requirepass $$REDISCLI_AUTH\n" in script
    assert services["redis"]["volumes"] == ["redis:/data"]
    assert "ports" not in services["redis"]


def test_no_program_has_the_password_of_redis_among_its_arguments(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        [before, *_] = str(service.get("command", "")).split("<<END")
        assert not re.search("PASSWORD|AUTH|BROKER_URL", before + str(service.get("healthcheck", "")))


def test_a_worker_has_what_the_code_has_and_as_much_time_to_end_its_run(services: dict[str, dict[str, Any]]) -> None:
    assert services["worker"]["extends"] == {"file": "docker-compose.yml", "service": "code"}
    code = load_yaml("docker-compose.yml")["services"]["code"]
    assert services["worker"]["stop_grace_period"] == code["stop_grace_period"]


def test_what_the_services_get_in_the_place_of_the_image_s_files_exists(services: dict[str, dict[str, Any]]) -> None:
    mounted = {volume.split(":")[0] for one in services.values() for volume in one.get("volumes", [])} - {"redis"}
    assert all((ROOT / name).is_file() for name in mounted)
    instance = "./deploy/celery/dagster.yaml:/opt/dagster/home/dagster.yaml:ro"
    assert all(instance in services[name]["volumes"] for name in ("code", "webserver", "daemon", "worker"))


def test_the_image_has_the_packages_that_celery_needs(services: dict[str, dict[str, Any]]) -> None:
    lock = services["migrate"]["build"]["args"]["LOCK"]
    assert "\ndagster-celery==" in (ROOT / "requirements" / f"{lock}.lock").read_text(encoding="utf-8")


@pytest.mark.parametrize("variable", [None, ""])
def test_a_worker_without_the_address_of_redis_says_what_to_set(variable: str | None, tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    if variable is not None:
        environment["CELERY_BROKER_URL"] = variable
    command = [sys.executable, str(ROOT / FOLDER / "worker.py")]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.strip().endswith(
        "CELERY_BROKER_URL is not set: name the Redis that dagster.yaml names, such as redis://host:6379/0."
    )
