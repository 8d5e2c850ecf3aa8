"""Dockerfile, docker-compose.yml and what belongs to them, read without Docker."""

import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml  # type: ignore[import-untyped]

from crm_pipelines.delivery.planning import CLAIM_LEASE, MAX_RUNTIME
from crm_pipelines.settings import GROUPS, KINDS, variable_name
from crm_pipelines.settings.crms import prefix_of
from crm_pipelines_tests.fixtures.compose import (
    ROOT,
    VariableMissing,
    entrypoint,
    load_instructions,
    load_services,
    load_yaml,
)

PASSWORD = {"POSTGRES_PASSWORD": "a password", "POSTGRES_SERVICES_PASSWORD": "another one"}
OUTSIDE = {"HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"}
OURS = {"migrate", "code", "webserver", "daemon", "api", "brevo-sandbox"}
# The image has its own DAGSTER_HOME, and nothing in it uses the embedded Postgres.
NOT_IN_CONTAINERS = {"DAGSTER_HOME", "CRM_PIPELINES_DATA_DIR", "CRM_POSTGRES_BIN"}


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    return load_services(PASSWORD)


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    return load_instructions()


# docker-compose.yml


@pytest.mark.parametrize(
    ("schema", "file"),
    [("compose-spec", "docker-compose.yml"), ("github-workflows", ".github/workflows/ci.yml")],
)
def test_the_file_is_what_its_schema_allows(schema: str, file: str) -> None:
    command = ["check_jsonschema", "--builtin-schema", f"vendor.{schema}", file]
    checked = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_the_services_are_those_that_the_documentation_names(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == OURS | {"postgres"}
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([\w-]+)` \|", text, flags=re.MULTILINE)) == set(services)


def test_a_missing_password_is_refused_with_a_sentence() -> None:
    for name in PASSWORD:
        with pytest.raises(VariableMissing, match=rf"{name} is not set: write it into the file \.env"):
            load_services({other: "given" for other in PASSWORD if other != name})


def test_the_code_location_has_one_name_everywhere() -> None:
    [local] = load_yaml("workspace.yaml")["load_from"]
    [deployed] = load_yaml("deploy/workspace.yaml")["load_from"]
    assert deployed["grpc_server"]["location_name"] == local["python_module"]["location_name"]


def test_the_workspace_names_the_service_and_port_where_the_code_is(services: dict[str, dict[str, Any]]) -> None:
    [location] = load_yaml("deploy/workspace.yaml")["load_from"]
    server = location["grpc_server"]
    command = services[server["host"]]["command"]
    assert command[command.index("-p") + 1] == str(server["port"])


def test_every_setting_reaches_the_code_or_the_api_and_nobody_else_has_the_keys(
    services: dict[str, dict[str, Any]],
) -> None:
    settings = {variable_name(group, field) for group in GROUPS for field in group.model_fields}
    raw = load_yaml("docker-compose.yml")["services"]
    code, api = raw["code"]["environment"], raw["api"]["environment"]
    of_the_api = {name for name in settings if name.startswith("API_")}
    assert settings - NOT_IN_CONTAINERS - of_the_api - set(code) == set(), "missing in docker-compose.yml, service code"
    assert of_the_api - set(api) == set(), "missing in docker-compose.yml, service api"
    of_destinations = ("CRM_", *map(prefix_of, KINDS))
    assert {name for name in api if name.startswith(of_destinations) and name not in NOT_IN_CONTAINERS} == {
        name for name in code if name.startswith(of_destinations) and name not in NOT_IN_CONTAINERS
    }
    assert api["CRM_PIPELINES_DATA_DIR"] == code["CRM_PIPELINES_DATA_DIR"], "the pages of the daily report"
    databases = {"CRM_DATABASE_URL", "DAGSTER_POSTGRES_URL", "<<"}
    own = {"API_DAGSTER_URL": "http://webserver:3000", "DAGSTER_UI_URL": "${DAGSTER_UI_URL:-http://127.0.0.1:3000}"}
    for environment, names, fixed in ((code, settings - of_the_api, {}), (api, set(api), own)):
        for name in names - NOT_IN_CONTAINERS - databases - {"PGPASSWORD"} - OUTSIDE:
            expected = fixed.get(name, f"${{{name}:-}}")
            assert environment[name] == expected, "an empty value counts as unset, and .env decides"
    of_dagster = {"DAGSTER_POSTGRES_URL", "PGPASSWORD"}
    assert set(services["webserver"]["environment"]) == of_dagster | {"DAGSTER_UI_URL"}
    assert set(services["daemon"]["environment"]) == of_dagster | {"DAGSTER_DAEMON_HEARTBEAT_TOLERANCE"}
    assert "environment" not in services["brevo-sandbox"]
    assert not any("env_file" in service for service in raw.values())


def test_the_file_of_the_document_gives_a_further_account_to_those_that_have_the_keys_and_to_nobody_else(
    tmp_path: Path,
) -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "destinations.md").read_text(encoding="utf-8"), re.S)
    file = tmp_path / "docker-compose.override.yml"
    file.write_text(block, encoding="utf-8")
    command = ["check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    checked = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    added = yaml.safe_load(block)["services"]
    holders = {name for name, service in load_yaml("docker-compose.yml")["services"].items() if has_keys(service)}
    assert set(added) == holders == {"code", "api"}
    assert all(set(service) == {"environment"} for service in added.values())
    settings = {f"BREVO_EU_{field}".upper() for field in KINDS["brevo"].model_fields}
    for service in added.values():
        assert set(service["environment"]) <= settings
        assert all(value == f"${{{name}:-}}" for name, value in service["environment"].items())


def has_keys(service: dict[str, Any]) -> bool:
    return "BREVO_API_KEY" in service.get("environment", {})


def test_the_migration_knows_which_destinations_there_are_and_no_key(services: dict[str, dict[str, Any]]) -> None:
    given = services["migrate"]["environment"]
    assert "CRM_DESTINATIONS" in given
    assert not any(name.startswith("BREVO_") for name in given)


def test_only_the_migration_knows_the_superuser_and_no_url_holds_a_password(
    services: dict[str, dict[str, Any]],
) -> None:
    holders = {
        (name, variable, password)
        for name in OURS - {"brevo-sandbox"}
        for variable, value in services[name]["environment"].items()
        for password in PASSWORD
        if PASSWORD[password] in value
    }
    assert holders == {
        ("migrate", "POSTGRES_PASSWORD", "POSTGRES_PASSWORD"),
        ("migrate", "POSTGRES_SERVICES_PASSWORD", "POSTGRES_SERVICES_PASSWORD"),
        *((name, "PGPASSWORD", "POSTGRES_SERVICES_PASSWORD") for name in ("code", "webserver", "daemon", "api")),
    }
    superuser = services["postgres"]["environment"]["POSTGRES_USER"]
    for name in OURS - {"brevo-sandbox", "migrate"}:
        assert not [value for value in services[name]["environment"].values() if f"//{superuser}@" in value], name


def test_the_way_to_the_outside_reaches_who_makes_requests_and_is_else_unset() -> None:
    given = {name: f"some {name}" for name in OUTSIDE}
    for name, service in load_services(PASSWORD | given).items():
        reached = {variable: value for variable, value in service.get("environment", {}).items() if variable in OUTSIDE}
        assert reached == (given if name in {"code", "api"} else {}), name
    for service in load_services(PASSWORD).values():
        assert not OUTSIDE & set(service.get("environment", {})), "an empty SSL_CERT_FILE trusts no certificate"


def test_dagsters_pages_are_served_behind_the_guard_and_nowhere_else(services: dict[str, dict[str, Any]]) -> None:
    command = services["webserver"]["command"]
    assert command[:2] == ["crm-pipelines", "webserver"]
    asked_by_the_api = urlsplit(services["api"]["environment"]["API_DAGSTER_URL"]).hostname
    assert command[command.index("--allow-host") + 1] == asked_by_the_api
    assert not [name for name, service in services.items() if "dagster-webserver" in service.get("command", [])]


def test_only_dagsters_pages_and_the_api_are_published_and_only_on_loopback(
    services: dict[str, dict[str, Any]],
) -> None:
    assert {name: service["ports"] for name, service in services.items() if "ports" in service} == {
        "webserver": ["127.0.0.1:3000:3000"],
        "api": ["127.0.0.1:8000:8000"],
    }


def test_the_login_is_the_only_way_to_the_pages_and_its_variables_are_documented(tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "login" / "docker-compose.yml").read_text(encoding="utf-8")
    assert "ports: !reset []" in text, "nobody goes past it"
    file = tmp_path / "docker-compose.yml"
    file.write_text(text.replace("!reset ", ""), encoding="utf-8")
    command = ["check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    checked = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    login = yaml.safe_load(file.read_text(encoding="utf-8"))["services"]["login"]
    assert login["read_only"] is True
    assert login["cap_drop"] == ["ALL"]
    document = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    assert all(f"\n{name}=" in document for name in login["environment"])
    site = (ROOT / "deploy" / "login" / "Caddyfile").read_text(encoding="utf-8").partition("{$PAGES_HOST} {")[2]
    assert re.search(r"^\tbasic_auth \{$", site, flags=re.MULTILINE), "for every path of the site"


def test_the_code_may_end_its_run_before_it_is_killed_and_is_killed_before_its_claims_expire(
    services: dict[str, dict[str, Any]],
) -> None:
    grace = services["code"]["stop_grace_period"]
    assert MAX_RUNTIME + timedelta(minutes=2) <= _minutes(grace) < CLAIM_LEASE


def test_everything_waits_for_the_migration_and_pages_and_daemon_for_the_code(
    services: dict[str, dict[str, Any]],
) -> None:
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("code", "webserver", "daemon", "api"):
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    for name in ("webserver", "daemon"):
        assert services[name]["depends_on"]["code"] == {"condition": "service_healthy"}


def test_only_the_migration_ends_by_itself_and_all_others_are_watched(services: dict[str, dict[str, Any]]) -> None:
    assert {name for name, service in services.items() if service["restart"] == "no"} == {"migrate"}
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"migrate"}
    for name in set(services) - {"migrate"}:
        assert services[name]["restart"] == "unless-stopped"


def test_programs_are_started_without_a_shell_so_that_they_get_the_signals(
    services: dict[str, dict[str, Any]], instructions: list[tuple[str, str]]
) -> None:
    for name, service in services.items():
        if name != "postgres":
            assert isinstance(service["command"], list), name
        if "healthcheck" in service:
            assert service["healthcheck"]["test"][0] == "CMD", name
    assert entrypoint() == ["env", "--default-signal"], "which then becomes the program"
    [command] = [json.loads(rest) for word, rest in instructions if word == "CMD"]
    assert command == services["code"]["command"]


def test_containers_may_do_little_and_use_up_little(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["init"] is True, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}, name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
        assert not {"privileged", "cap_add", "pid", "user"} & set(service), name
    for name in OURS:
        assert services[name]["cap_drop"] == ["ALL"], name


def test_our_image_is_built_once_and_never_taken_from_a_registry(services: dict[str, dict[str, Any]]) -> None:
    assert {name for name, service in services.items() if "build" in service} == {"migrate"}
    assert {services[name]["image"] for name in OURS} == {"crm-pipelines:local"}
    assert {services[name]["pull_policy"] for name in OURS} == {"never"}


def test_the_sandbox_is_asked_for_and_answers_under_the_name_of_its_service(
    services: dict[str, dict[str, Any]],
) -> None:
    sandbox = services["brevo-sandbox"]
    assert sandbox["profiles"] == ["sandbox"]
    assert sandbox["command"][-2:] == ["--allow-host", "brevo-sandbox"]
    document = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    assert "\nBREVO_API_BASE_URL=http://brevo-sandbox:8085/v3\n" in document


def test_the_api_is_asked_for_since_it_needs_a_token_first(services: dict[str, dict[str, Any]]) -> None:
    profiles = {name: service["profiles"] for name, service in services.items() if "profiles" in service}
    assert profiles == {"api": ["api"], "brevo-sandbox": ["sandbox"]}


def test_compose_refuses_to_scale_the_daemon_and_a_silent_one_is_unhealthy_soon(
    services: dict[str, dict[str, Any]],
) -> None:
    assert {name for name, service in services.items() if "container_name" in service} == {"daemon"}
    assert int(services["daemon"]["environment"]["DAGSTER_DAEMON_HEARTBEAT_TOLERANCE"]) <= 300


def test_named_volumes_are_declared_and_hold_what_must_outlive_a_container(services: dict[str, dict[str, Any]]) -> None:
    mounts = {name: service.get("volumes", []) for name, service in services.items()}
    named = {mount.split(":")[0] for of_service in mounts.values() for mount in of_service}
    assert named == set(load_yaml("docker-compose.yml")["volumes"])
    assert mounts["postgres"] == ["postgres:/var/lib/postgresql"], "the volume of the image from Postgres 18 on"
    assert int(services["postgres"]["image"].removeprefix("postgres:")) >= 18


# Dockerfile


def test_what_is_copied_exists_and_is_all_that_the_builder_gets(instructions: list[tuple[str, str]]) -> None:
    sources = {
        source
        for word, rest in instructions
        if word == "COPY" and not rest.startswith("--from=")
        for source in rest.split()[:-1]
    }
    assert all((ROOT / source).exists() for source in sources), sources
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignore if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == sources


def test_packages_come_from_the_lock_file_by_hash_and_without_the_embedded_postgres(
    instructions: list[tuple[str, str]],
) -> None:
    installs = [rest for word, rest in instructions if word == "RUN" and "pip install" in rest]
    assert len(installs) == 2
    assert "--require-hashes" in installs[0]
    assert '-r "requirements/$LOCK.lock"' in installs[0]
    assert "--no-index" in installs[1]
    assert "--no-deps" in installs[1]
    for name in ("base", "cluster"):
        lock = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
        assert "flit-core==" in lock, "the build back end, since the second installation has no index"
        assert "pgserver" not in lock


def test_the_image_runs_as_a_numbered_user_that_is_not_root(instructions: list[tuple[str, str]]) -> None:
    last = max(index for index, (word, _) in enumerate(instructions) if word == "FROM")
    [user] = [rest for word, rest in instructions[last:] if word == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert instructions[-1][0] == "CMD"
    assert instructions[-2] == ("USER", user), "nothing but the command follows"


def test_base_images_are_pinned_by_tag_and_the_only_build_argument_is_which_packages(
    instructions: list[tuple[str, str]],
) -> None:
    bases = {rest.split()[0] for word, rest in instructions if word == "FROM"}
    assert bases == {"python:3.12-slim"}
    assert [rest for word, rest in instructions if word == "ARG"] == ["LOCK=base"]
    environment = " ".join(rest for word, rest in instructions if word == "ENV")
    assert not re.search(r"KEY|PASSWORD|SECRET|TOKEN|_URL", environment)


def _minutes(duration: str) -> timedelta:
    match = re.fullmatch(r"(\d+)m", duration)
    assert match, duration
    return timedelta(minutes=int(match[1]))
