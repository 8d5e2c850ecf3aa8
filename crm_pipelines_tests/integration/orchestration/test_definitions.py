"""What Dagster loads: the names of the contract, from little, without a network, a database or a key."""

import itertools
import os
import runpy
import subprocess
import sys
import traceback
from pathlib import Path

import dagster as dg
import pytest
import yaml  # type: ignore[import-untyped]
from dagster._core.remote_representation.external_data import RepositorySnap

from crm_pipelines.errors import SettingsError
from crm_pipelines.orchestration.build import build_definitions
from crm_pipelines.orchestration.sync.tags import SYNC_SLOT_TAG
from crm_pipelines.settings import GROUPS, KINDS, load_settings, project_folder, variable_name
from crm_pipelines_tests.fixtures.pipeline import API_KEY
from crm_pipelines_tests.patience import PATIENCE

FORBIDDEN = "pandas numpy pyarrow openpyxl matplotlib plotly fastapi starlette uvicorn brevo psutil rich sentry_sdk"
KINDS_MODULES = [f"crm_pipelines.crms.{kind}" for kind in KINDS]
LOAD = """
import socket, sys

def refuse(*_):
    raise AssertionError("something at import wanted the network")

socket.socket.connect = refuse
socket.getaddrinfo = refuse
import crm_pipelines.definitions
print(sorted(name for name in sys.argv[1:] if name in sys.modules))
"""


def fresh_interpreter(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the code with none of our variables set."""
    ours = {variable_name(group, field) for group in GROUPS for field in group.model_fields}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        cwd=project_folder(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions(load_settings())


def test_they_load_without_network_database_or_key_and_without_heavy_modules() -> None:
    loaded = fresh_interpreter(LOAD, *FORBIDDEN.split())
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.strip() == "[]", "too heavy for every run, tick and code server"


def test_they_load_without_the_module_of_any_crm() -> None:
    loaded = fresh_interpreter(LOAD, *KINDS_MODULES)
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.strip() == "[]", "a CRM that is not enabled costs nothing"


def test_a_bad_setting_is_told_by_name_when_dagster_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREVO_LIST_ID", "s3cr3t")
    with pytest.raises(SettingsError) as loading:
        runpy.run_module("crm_pipelines.definitions")
    told = "".join(traceback.format_exception(loading.value))
    assert "SettingsError: Wrong settings. BREVO_LIST_ID: Input should be a valid integer" in told
    assert "s3cr3t" not in told


def test_dagster_accepts_them(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_the_names_are_those_of_the_contract(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    assert [job.name for job in repository.get_all_jobs() if not job.name.startswith("__")] == [
        "brevo_check_account",
        "brevo_fidelity",
        "brevo_provision",
        "brevo_release_claims",
        "brevo_retry_failed",
        "brevo_sync",
        "daily_report",
        "prune_history",
    ]
    assert {schedule.name for schedule in repository.schedule_defs} == {
        "brevo_sync_schedule",
        "brevo_fidelity_schedule",
        "brevo_check_account_schedule",
        "daily_report_schedule",
        "prune_history_schedule",
    }
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "brevo_error_backlog_sensor",
        "brevo_follow_up_sensor",
        "run_failure_alert_sensor",
        "brevo_checks_sensor",
    }
    assert {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()} == {
        "contacts",
        "brevo/queue",
        "brevo/account",
        "brevo/contacts",
        "brevo/read_back",
        "brevo/daily_report",
    }
    assert {key.name for key in repository.asset_graph.asset_check_keys} == {
        "sums_add_up",
        "nothing_stuck",
        "oldest_due",
        "gate_is_open",
        "error_backlog",
        "attempts_succeed",
        "attributes_exist",
        "fidelity",
    }


def test_the_lineage_is_the_way_of_a_contact_and_a_stranger_is_told_what_each_is(definitions: dg.Definitions) -> None:
    graph = definitions.get_repository_def().asset_graph
    way = ["contacts", "brevo/queue", "brevo/contacts", "brevo/read_back"]
    for parent, child in itertools.pairwise(map(dg.AssetKey.from_user_string, way)):
        assert parent in graph.get(child).parent_keys
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.owners
        assert node.kinds
        assert node.group_name in {"contacts", "brevo"}
        assert len(node.description or "") > 100


def test_what_changes_something_from_the_page_only_counts_unless_told_otherwise(definitions: dg.Definitions) -> None:
    for job, op in (
        ("brevo_retry_failed", "retry_failed"),
        ("brevo_release_claims", "release_claims"),
        ("brevo_provision", "create_attributes"),
    ):
        config = dg.validate_run_config(definitions.get_job_def(job), {})
        assert config["ops"][op]["config"]["dry_run"] is True


def test_the_steps_of_the_job_are_those_of_the_contract(definitions: dg.Definitions) -> None:
    job = definitions.get_job_def("brevo_sync")
    assert [node.name for node in job.nodes_in_topological_order] == [
        "fetch_queued_contacts",
        "sync_batch",
        "write_statuses",
        "report_run",
    ]


def test_the_launch_form_offers_limit_emails_and_dry_run(definitions: dg.Definitions) -> None:
    given = {"limit": 1, "emails": ["ada@example.com"], "dry_run": True}
    config = {"ops": {"fetch_queued_contacts": {"config": given}}}
    assert dg.validate_run_config(definitions.get_job_def("brevo_sync"), config)


def test_schedule_and_sensors_are_on_from_the_start(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    assert {one.default_status for one in repository.schedule_defs} == {dg.DefaultScheduleStatus.RUNNING}
    assert {one.default_status for one in repository.sensor_defs} == {dg.DefaultSensorStatus.RUNNING}


def test_the_interval_of_the_schedule_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    def cron() -> str:
        repository = build_definitions(load_settings()).get_repository_def()
        return str(repository.get_schedule_def("brevo_sync_schedule").cron_schedule)

    assert cron() == "*/5 * * * *"
    monkeypatch.setenv("BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES", "15")
    assert cron() == "*/15 * * * *"


def test_a_run_is_ended_retried_and_kept_single_by_its_tags(definitions: dg.Definitions) -> None:
    tags = definitions.get_job_def("brevo_sync").tags
    assert tags["dagster/max_runtime"] == "900"
    assert tags["dagster/max_retries"] == "1"
    assert tags["dagster/retry_strategy"] == "ALL_STEPS"
    assert tags[SYNC_SLOT_TAG] == "brevo-1"


@pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars`:DeprecationWarning")
def test_what_dagster_keeps_of_the_definitions_does_not_hold_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREVO_API_KEY", API_KEY)
    snapshot = RepositorySnap.from_def(build_definitions(load_settings()).get_repository_def())
    kept = dg.serialize_value(snapshot)
    assert "brevo_sync_schedule" in kept
    assert API_KEY not in kept


def test_the_code_location_has_one_name_wherever_it_is_loaded() -> None:
    workspace = yaml.safe_load(Path(project_folder(), "workspace.yaml").read_text(encoding="utf-8"))
    assert workspace["load_from"][0]["python_module"] == {
        "module_name": "crm_pipelines.definitions",
        "location_name": "crm_pipelines",
    }
