"""Our component in a `defs.yaml`: what it brings, what it refuses and in which words, and that it keeps no secret."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import jsonschema
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster.components.testing import DefsFolderSandbox, create_defs_folder_sandbox

from crm_pipelines import CrmSyncComponent
from crm_pipelines.component.attributes import Attributes, ComponentRefused
from crm_pipelines.orchestration.build import build_definitions
from crm_pipelines.settings import GROUPS, KINDS, load_settings, project_folder
from crm_pipelines_tests.patience import PATIENCE

SECRET = "xkeysib-0123456789-secret"
DATABASE = "postgresql://somebody:s3cr3t@db.internal/contacts"
# Of Dagster's own: it reads `defs.yaml` by a function that pydantic will drop, and Python beside it by one in preview.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars`:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
]

_THEIRS = """
import dagster as dg

@dg.asset
def customers() -> None: ...

@dg.asset
def contacts() -> None: ...

@dg.op
def report_sales() -> None: ...

@dg.job
def daily_report() -> None:
    report_sales()
"""


@pytest.fixture(autouse=True)
def destinations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo,brevo_eu:brevo,hubspot")
    monkeypatch.setenv("BREVO_API_KEY", SECRET)
    monkeypatch.setenv("CRM_DATABASE_URL", DATABASE)


@contextmanager
def project(*attributes: dict[str, Any] | None, theirs: str = "") -> Iterator[DefsFolderSandbox]:
    """With a component for each, and Python of the project's own."""
    with create_defs_folder_sandbox() as sandbox:
        for number, given in enumerate(attributes):
            contents: dict[str, Any] = {"type": "crm_pipelines.CrmSyncComponent"}
            if given is not None:
                contents["attributes"] = given
            sandbox.scaffold_component(
                component_cls=CrmSyncComponent, defs_path=f"crm{number}", defs_yaml_contents=contents
            )
        if theirs:
            (sandbox.defs_folder_path / "theirs.py").write_text(theirs, encoding="utf-8")
        yield sandbox


@contextmanager
def loaded(*attributes: dict[str, Any] | None, theirs: str = "") -> Iterator[dg.RepositoryDefinition]:
    with project(*attributes, theirs=theirs) as sandbox, sandbox.build_all_defs() as definitions:
        yield definitions.get_repository_def()


def names(repository: dg.RepositoryDefinition) -> list[str]:
    listed: list[Any] = [*repository.get_all_jobs(), *repository.schedule_defs, *repository.sensor_defs]
    return sorted(one.name for one in listed if not one.name.startswith("__"))


def keys(repository: dg.RepositoryDefinition) -> set[str]:
    return {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()}


def refused(*attributes: dict[str, Any] | None) -> str:
    """The sentence, which is all that people are told but for the place."""
    with pytest.raises(Exception, match=r"CrmSyncComponent|defs") as raised, loaded(*attributes):
        pass
    error: BaseException | None = raised.value
    while error is not None and not isinstance(error, ComponentRefused):
        error = error.__cause__
    assert error is not None, raised.value
    return str(error).removeprefix("defs.yaml of a CrmSyncComponent")


def test_it_brings_what_our_own_definitions_have_under_the_same_names() -> None:
    ours = build_definitions(load_settings()).get_repository_def()
    with loaded({"destination": "brevo"}, {"destination": "brevo_eu"}, {"destination": "hubspot"}) as theirs:
        assert names(theirs) == names(ours)
        assert keys(theirs) == keys(ours)
        assert theirs.asset_graph.asset_check_keys == ours.asset_graph.asset_check_keys
        assert [job.tags for job in theirs.get_all_jobs()] == [job.tags for job in ours.get_all_jobs()]


def test_a_destination_whose_key_is_elsewhere_loads_and_says_which_variable_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CRM_DESTINATIONS")
    monkeypatch.delenv("CRM_DATABASE_URL")
    with loaded({"destination": "hubspot"}) as repository:
        schedule = repository.get_schedule_def("hubspot_sync_schedule")
        told = schedule.evaluate_tick(dg.build_schedule_context()).skip_message
    assert told == "HUBSPOT_API_KEY is not set: nothing is sent."


def test_what_dagster_keeps_of_it_holds_no_value_of_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/T0/B0/tell-nobody")
    with loaded({"destination": "brevo", "upstream": ["customers"]}, {"destination": "hubspot"}) as repository:
        kept = dg.serialize_value(RepositorySnap.from_def(repository))
    assert "brevo_upstream_sensor" in kept
    for secret in (SECRET, "s3cr3t", "db.internal", "tell-nobody"):
        assert secret not in kept


@pytest.mark.parametrize(
    ("attribute", "variable"),
    [
        ("api_key", "BREVO_EU_API_KEY"),
        ("brevo_eu_api_key", "BREVO_EU_API_KEY"),
        ("BREVO_EU_API_KEY", "BREVO_EU_API_KEY"),
        ("crm_database_url", "CRM_DATABASE_URL"),
        ("alert_slack_webhook_url", "ALERT_SLACK_WEBHOOK_URL"),
        ("list_id", "BREVO_EU_LIST_ID"),
    ],
)
def test_a_secret_or_a_setting_in_the_file_is_refused_with_the_variable_and_not_repeated(
    attribute: str, variable: str
) -> None:
    said = refused({"destination": "brevo_eu", attribute: SECRET})
    assert said == (
        f", attribute {attribute}: settings and secrets do not stand in this file, which Dagster keeps: set the "
        f"variable {variable} in the environment of the code location, and remove the line."
    )


def test_the_schema_by_which_dagster_prints_a_line_lets_secrets_through_to_our_sentence() -> None:
    model = CrmSyncComponent.get_model_cls()
    assert model is not None
    schema = jsonschema.Draft202012Validator(model.model_json_schema())
    every = [*GROUPS, *KINDS.values()]
    secrets = [name for group in every for name, field in group.model_fields.items() if "Secret" in str(field)]
    assert len(secrets) > 5
    for name in (*secrets, *(f"brevo_eu_{name}".upper() for name in secrets), "crm_database_url", "password"):
        schema.validate({"destination": "brevo", name: SECRET})
    with pytest.raises(jsonschema.ValidationError, match="upstrem"):
        schema.validate({"destination": "brevo", "upstrem": ["customers"]})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, ", attribute destination: it is missing; name the destination, such as brevo."),
        ({"alerts": False}, ", attribute destination: it is missing; name the destination, such as brevo."),
        (
            {"destination": SECRET},
            ", attribute destination: expected the name of a destination: small letters, digits and _, a letter first.",
        ),
        (
            {"destination": "brevo_us"},
            (
                ", attribute destination: There is no destination named brevo_us: there are brevo, brevo_eu, hubspot. "
                "CRM_DESTINATIONS names further ones."
            ),
        ),
        (
            {"destination": "brevo", "schedule": 7},
            (
                ", attribute schedule: expected minutes that divide an hour (such as 1, 5, 15, 30, 60) or whole hours "
                "that divide a day."
            ),
        ),
        (
            {"destination": "brevo", "schedule": "*/5 * * * *"},
            ", attribute schedule: expected true, false, or minutes.",
        ),
        ({"destination": "brevo", "owners": ["ada"]}, ", attribute owners: expected team:name or e-mail addresses."),
        ({"destination": "brevo", "group": "a-b"}, ", attribute group: expected letters, digits and _ only."),
        (
            {"destination": "brevo", "mapping": "none.toml"},
            ", attribute mapping: there is no such file in the folder of defs.yaml.",
        ),
        (
            {"destination": "brevo", "upstream": ["a//b"]},
            ", attribute upstream: expected keys of assets, such as analytics/customers.",
        ),
        (
            {"destination": "brevo", "upstream": ["contacts"]},
            (
                ", attribute upstream: contacts is an asset of this component: name one that fills the table of "
                "contacts, and where the project has an asset of that name itself, set shared_prefix."
            ),
        ),
        (
            {"destination": "brevo", "upstrem": ["customers"]},
            f", attribute upstrem: there is none of this name; there are {', '.join(Attributes.model_fields)}.",
        ),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(given: dict[str, Any] | None, said: str) -> None:
    assert refused(given) == said


def test_two_components_for_one_destination_are_refused() -> None:
    assert "two components of this project deliver to brevo: remove one" in refused(
        {"destination": "brevo"}, {"destination": "brevo"}
    )


def test_what_two_components_share_they_say_alike() -> None:
    said = refused({"destination": "brevo", "maintenance": False}, {"destination": "hubspot"})
    assert said == ", attribute maintenance: the components of a project say the same here, and these differ."


def test_beside_a_project_that_uses_our_names_a_prefix_keeps_them_apart() -> None:
    given = {"destination": "brevo", "upstream": ["contacts"], "shared_prefix": "crm"}
    with loaded(given, {"destination": "hubspot", "shared_prefix": "crm"}, theirs=_THEIRS) as repository:
        assert {"daily_report", "crm_daily_report", "crm_prune_history", "crm_run_failure_alert_sensor"} <= set(
            names(repository)
        )
        graph = repository.asset_graph
        assert graph.get(dg.AssetKey(["crm", "contacts"])).parent_keys == {dg.AssetKey("contacts")}
        assert graph.get(dg.AssetKey(["brevo", "queue"])).parent_keys == {dg.AssetKey(["crm", "contacts"])}
    told = pytest.raises(dg.DagsterInvalidDefinitionError, match=r"contacts|daily_report")
    with told, loaded({"destination": "brevo"}, theirs=_THEIRS):
        pass


def test_an_op_of_the_project_with_the_name_of_one_of_ours_is_told_when_it_loads() -> None:
    told = pytest.raises(dg.DagsterInvalidDefinitionError, match=r"'sync_batch'.*must be unique")
    theirs = _THEIRS.replace("report_sales", "sync_batch")
    with told, loaded({"destination": "brevo", "shared_prefix": "crm"}, theirs=theirs) as repository:
        repository.get_all_jobs()


def test_the_report_is_of_our_destinations_whatever_else_the_project_reports() -> None:
    theirs = 'import dagster as dg\n@dg.asset(key=["sales", "daily_report"])\ndef sales() -> None: ...\n'
    with loaded({"destination": "brevo"}, {"destination": "hubspot"}, theirs=theirs) as repository:
        selected = repository.get_job("daily_report").asset_layer.selected_asset_keys
    assert {key.to_user_string() for key in selected} == {"brevo/daily_report", "hubspot/daily_report"}


def test_schedule_group_owners_alerts_and_maintenance_are_as_the_file_says() -> None:
    given = {"schedule": False, "group": "growth", "owners": ["team:growth"], "alerts": False, "maintenance": False}
    with loaded({"destination": "brevo", **given}) as repository:
        assert repository.get_schedule_def("brevo_sync_schedule").default_status is dg.DefaultScheduleStatus.STOPPED
        node = repository.asset_graph.get(dg.AssetKey(["brevo", "contacts"]))
        assert (node.group_name, list(node.owners)) == ("growth", ["team:growth"])
        absent = {"brevo_error_backlog_sensor", "run_failure_alert_sensor", "prune_history", "daily_report"}
        assert not absent & set(names(repository))
    with loaded({"destination": "brevo", "schedule": 15}) as repository:
        assert repository.get_schedule_def("brevo_sync_schedule").cron_schedule == "*/15 * * * *"


def test_prompt_runs_are_as_the_file_or_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    with loaded({"destination": "brevo"}) as repository:
        assert "brevo_prompt_sensor" not in names(repository)
    with loaded({"destination": "brevo", "prompt": 30, "schedule": False}) as repository:
        assert "every 30 seconds" in (repository.get_sensor_def("brevo_prompt_sensor").description or "")
    said = refused({"destination": "brevo", "prompt": 9})
    assert said == ", attribute prompt: Input should be greater than or equal to 10."
    monkeypatch.setenv("BREVO_SYNC_PROMPT_SECONDS", "20")
    with loaded({"destination": "brevo"}) as repository:
        assert "every 20 seconds" in (repository.get_sensor_def("brevo_prompt_sensor").description or "")
    assert refused({"destination": "brevo", "prompt": 30}) == (
        ", attribute prompt: BREVO_SYNC_PROMPT_SECONDS says another number: unset it, or remove this line."
    )


def test_an_attribute_and_its_variable_may_not_say_two_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES", "30")
    assert refused({"destination": "brevo", "schedule": 15}) == (
        ", attribute schedule: BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES says another interval: unset it, or write true "
        "here."
    )
    with loaded({"destination": "brevo", "schedule": 30}) as repository:
        assert repository.get_schedule_def("brevo_sync_schedule").cron_schedule == "*/30 * * * *"


def test_runs_deliver_by_the_mapping_beside_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    with project({"destination": "brevo", "mapping": "mine.toml"}) as sandbox:
        file = sandbox.defs_folder_path / "crm0" / "mine.toml"
        file.write_text("[attributes]\n", encoding="utf-8")
        component = CrmSyncComponent(destination="brevo", mapping="mine.toml")
        plan = component.plan(load_settings(), file.parent)
        assert plan.read().destination("brevo").mapping_file == file.resolve()
        assert plan.read().destination("brevo").secrets == (SECRET,)
        assert plan.read().destination("brevo_eu").mapping_file is None
        monkeypatch.setenv("BREVO_MAPPING_FILE", str(file))
        assert component.plan(load_settings(), file.parent).destination.mapping_file == file.resolve()
        monkeypatch.setenv("BREVO_MAPPING_FILE", str(file.parent / "another.toml"))
        with pytest.raises(ComponentRefused, match="BREVO_MAPPING_FILE names another file"):
            component.plan(load_settings(), file.parent)


def test_the_page_has_the_attributes_and_their_descriptions() -> None:
    page = (project_folder() / "docs" / "component.md").read_text(encoding="utf-8")
    [section] = re.findall(r"^## Attributes\n(.*?)^## ", page, flags=re.DOTALL | re.MULTILINE)
    told = dict(re.findall(r"^\| `(\w+)` \| .*? \| (.*) \|$", section, flags=re.MULTILINE))
    assert told == {name: field.description for name, field in Attributes.model_fields.items()}


def test_whoever_imports_the_package_does_not_pay_for_dagster() -> None:
    code = "import sys, crm_pipelines; assert 'CrmSyncComponent' in dir(crm_pipelines); print('dagster' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout.strip() == "False"
    with pytest.raises(AttributeError):
        __import__("crm_pipelines").nothing  # noqa: B018


@pytest.mark.parametrize("arguments", [["check", "defs"], ["list", "defs", "--json"]], ids=" ".join)
def test_dg_works_in_this_repository(arguments: list[str], tmp_path: Path) -> None:
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path), "NO_COLOR": "1"}
    done = subprocess.run(
        [Path(sys.executable).with_name("dg"), *arguments],
        cwd=project_folder(),
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "brevo_sync" in done.stdout or "loaded successfully" in done.stdout
