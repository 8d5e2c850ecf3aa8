"""Two accounts of one kind side by side: what is meant for one never touches the other, in Dagster neither."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.test_utils import create_run_for_test

from crm_pipelines.alerts.memory import Memory
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.destinations.registered import register
from crm_pipelines.orchestration.build import build_definitions
from crm_pipelines.orchestration.resources import Destination
from crm_pipelines.orchestration.sync.following import follow_up_sensor
from crm_pipelines.orchestration.sync.launching import Launcher, NotLaunched
from crm_pipelines.orchestration.sync.run_now import run_now
from crm_pipelines.orchestration.sync.schedules import sync_schedule
from crm_pipelines.orchestration.sync.tags import LEFT_TAG, SYNC_SLOT_TAG, sync_slot
from crm_pipelines.orchestration.watching.health import health
from crm_pipelines.orchestration.watching.sensors import error_backlog_sensor
from crm_pipelines.settings import UnknownDestination, load_settings
from crm_pipelines_tests.fixtures.accounts import OTHER, OTHER_KEY, OURS, STRANGER
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import API_KEY, Pipeline, job_of, schedule_context
from crm_pipelines_tests.fixtures.sandbox import DELIVERIES, BrevoSandbox
from crm_pipelines_tests.integration.orchestration.test_operator_jobs import launch

MAPPING = '[attributes]\nNICKNAME = { from = "first_name", type = "text" }\n'
CRMS = ("brevo", "brevo_eu")
NO_SERVER = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture(autouse=True)
def eu(engine: sa.Engine, ours: BrevoSandbox, other: BrevoSandbox, monkeypatch: pytest.MonkeyPatch) -> BrevoSandbox:
    """The account of `brevo_eu`; like the one of `brevo`, it refuses the key of the other."""
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo,brevo_eu:brevo")
    monkeypatch.setenv("BREVO_EU_API_KEY", OTHER_KEY)
    monkeypatch.setenv("BREVO_EU_API_BASE_URL", other.url)
    monkeypatch.setenv("BREVO_EU_RATE_LIMIT_PER_SECOND", "400")
    ours.configure(revoked_keys=[OTHER_KEY])
    other.configure(revoked_keys=[API_KEY])
    register(engine, "brevo_eu", "brevo")
    return other


@pytest.fixture
def eu_people(engine: sa.Engine) -> People:
    """Contacts for `brevo_eu`."""
    return People(engine, "brevo_eu")


@pytest.fixture
def eu_pipeline(in_memory: dg.DagsterInstance) -> Pipeline:
    return Pipeline(in_memory, "brevo_eu")


def definitions() -> dg.RepositoryDefinition:
    return build_definitions(load_settings()).get_repository_def()


def names(repository: dg.RepositoryDefinition) -> list[str]:
    """Of everything that Dagster's pages list."""
    listed: list[Any] = [*repository.get_all_jobs(), *repository.schedule_defs, *repository.sensor_defs]
    keys = [key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()]
    return sorted([*(one.name for one in listed), *keys])


def test_each_destination_has_everything_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    dg.Definitions.validate_loadable(build_definitions(load_settings()))
    both = names(definitions())
    assert len(both) == len(set(both))
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo")
    alone = names(definitions())
    shared = {
        "__ASSET_JOB",
        "daily_report",
        "daily_report_schedule",
        "prune_history",
        "prune_history_schedule",
        "run_failure_alert_sensor",
        "contacts",
    }
    of_brevo = set(alone) - shared
    assert len(of_brevo) == 17
    assert set(both) == shared | of_brevo | {name.replace("brevo", "brevo_eu", 1) for name in of_brevo}


def test_of_a_destination_that_is_not_enabled_nothing_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo_eu:brevo")
    assert [name for name in names(definitions()) if name.startswith(("brevo_", "brevo/"))] == [
        name for name in names(definitions()) if name.startswith(("brevo_eu_", "brevo_eu/"))
    ]


def test_people_are_told_which_account_each_thing_is_about() -> None:
    repository = definitions()
    assert "Brevo (brevo_eu)" in (repository.get_job("brevo_eu_sync").description or "")
    assert "(brevo_eu)" not in (repository.get_job("brevo_sync").description or "")
    for key in repository.asset_graph.get_all_asset_keys():
        node = repository.asset_graph.get(key)
        assert node.group_name == key.path[0]
        assert "brevo_eu" in (node.description or "") or key.path[0] != "brevo_eu"


def test_a_contact_selected_for_one_arrives_there_alone_with_its_list_and_mapping(
    ours: BrevoSandbox,
    eu: BrevoSandbox,
    eu_people: People,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "mapping.toml").write_text(MAPPING)
    monkeypatch.setenv("BREVO_EU_MAPPING_FILE", str(tmp_path / "mapping.toml"))
    monkeypatch.setenv("BREVO_EU_LIST_ID", "2")
    eu.configure(attributes={"NICKNAME": "text"})
    [contact_id] = eu_people.add(email="ada@example.com", name="Ada Lovelace")
    assert run_now("brevo").counts["claimed"] == 0
    result = run_now("brevo_eu")
    assert (result.success, result.counts["synced"]) == (True, 1)
    assert ours.contacts() == []
    found = eu.contact("ada@example.com")
    assert found is not None
    assert (found["listIds"], found["attributes"]["NICKNAME"]) == ([2], "Ada")
    assert eu_people.all("SELECT contact_id, crm FROM crm_attempts") == [{"contact_id": contact_id, "crm": "brevo_eu"}]
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert (run.job_name, run.tags[SYNC_SLOT_TAG]) == ("brevo_eu_sync", "brevo_eu-1")


def test_runs_by_turns_keep_both_accounts_apart(
    ours: BrevoSandbox, eu: BrevoSandbox, people: People, eu_people: People, pipeline: Pipeline, eu_pipeline: Pipeline
) -> None:
    people.add(3)
    eu_people.add(2)
    assert eu_pipeline.run().counts == {"claimed": 2, "synced": 2}
    assert pipeline.run().counts == {"claimed": 3, "synced": 3}
    assert len(ours.contacts()) == 3
    assert [one["email"] for one in eu.contacts()][:1] == [STRANGER["email"]]
    assert len(eu.contacts()) == 3
    gates = people.all("SELECT crm, account FROM crm_gates WHERE account IS NOT NULL ORDER BY crm")
    assert gates == [{"crm": "brevo", "account": OURS}, {"crm": "brevo_eu", "account": OTHER}]


def test_a_refusal_at_one_closes_its_gate_alone(
    ours: BrevoSandbox, eu: BrevoSandbox, people: People, eu_people: People, pipeline: Pipeline, eu_pipeline: Pipeline
) -> None:
    eu.configure(refusal="ip")
    eu_people.add(2)
    refused = eu_pipeline.run()
    assert (refused.problem or "").startswith("brevo_eu: ")
    assert GateKeeper(people.engine, "brevo_eu").read().closed_for_credentials
    assert not GateKeeper(people.engine, "brevo").read().paused
    people.add(2)
    assert pipeline.run().counts == {"claimed": 2, "synced": 2}
    assert eu_people.states() == {"queued": 2}


def test_each_has_its_own_pace_and_retry_policy(
    ours: BrevoSandbox,
    eu: BrevoSandbox,
    people: People,
    eu_people: People,
    pipeline: Pipeline,
    eu_pipeline: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BREVO_EU_SYNC_MAX_RETRIES", "0")
    for sandbox in (ours, eu):
        sandbox.fault("status", status=500, times=1, path=DELIVERIES)
    people.add()
    eu_people.add()
    paces = {run.metadata["rate_limit_per_second"] for run in (pipeline.run(), eu_pipeline.run())}
    assert paces == {500, 400}
    assert (people.states(), eu_people.states()) == ({"queued": 1}, {"failed": 1})


def test_executed_from_the_pages_each_check_reads_its_own_account(
    eu: BrevoSandbox, people: People, eu_people: People, pipeline: Pipeline, eu_pipeline: Pipeline
) -> None:
    people.add(2)
    eu_people.add(3, source_url="https://example.com")
    pipeline.run()
    eu_pipeline.run()
    eu.delete_attribute("SOURCE_URL")
    eu_people.run("UPDATE crm_syncs SET state = 'failed', last_error_kind = 'outage' WHERE crm = 'brevo_eu'")
    GateKeeper(people.engine, "brevo_eu").close_by_hand("Until the import is checked.")
    repository = definitions()
    job = repository.get_implicit_global_asset_job_def()
    result = job.get_subset(asset_check_selection=repository.asset_graph.asset_check_keys).execute_in_process(
        instance=pipeline.instance
    )
    found = {
        (one.asset_key.path[0], one.check_name): (one.passed, {name: it.value for name, it in one.metadata.items()})
        for one in result.get_asset_check_evaluations()
    }
    assert len(found) == 16
    assert {name for (crm, name), (passed, _) in found.items() if not passed and crm == "brevo"} == set()
    assert {name for (crm, name), (passed, _) in found.items() if not passed and crm == "brevo_eu"} == {
        "gate_is_open",
        "attributes_exist",
    }
    figures = {crm: (found[crm, "error_backlog"][1]["failed"], found[crm, "sums_add_up"][1]["claimed"]) for crm in CRMS}
    assert figures == {"brevo": (0, 2), "brevo_eu": (3, 3)}
    assert [found[crm, "fidelity"][1]["compared"] for crm in CRMS] == [2, 0]


def test_each_account_is_checked_and_provisioned_by_its_own_jobs(
    ours: BrevoSandbox, eu: BrevoSandbox, eu_people: People, pipeline: Pipeline
) -> None:
    eu_people.add(source_url="https://example.com", email_type="work", select=False)
    eu.delete_attribute("SOURCE_URL")
    ours.delete_attribute("EMAIL_TYPE")
    assert "Attribute SOURCE_URL" in launch(pipeline, "brevo_eu_check_account")[1]
    assert launch(pipeline, "brevo_eu_provision", dry_run=False)[0]["attributes"] == ["SOURCE_URL"]
    assert launch(pipeline, "brevo_eu_check_account")[1] == ""
    assert "Attribute EMAIL_TYPE" in launch(pipeline, "brevo_check_account")[1]


def test_failed_contacts_of_one_are_queued_again_for_that_one_alone(
    people: People, eu_people: People, pipeline: Pipeline
) -> None:
    [contact_id] = people.add()
    people.run("SELECT crm_select('brevo_eu', ARRAY[CAST(:id AS uuid)])", id=contact_id)
    people.run("UPDATE crm_syncs SET state = 'failed', last_error_kind = 'outage'")
    assert launch(pipeline, "brevo_eu_retry_failed", dry_run=False)[0]["requeued"] == 1
    assert (people.states(), eu_people.states()) == ({"failed": 1}, {"queued": 1})


def tick(crm: str, instance: dg.DagsterInstance) -> dg.RunRequest | dg.SkipReason:
    answer = sync_schedule(load_settings().destination(crm))(schedule_context(instance))
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


def test_one_without_a_key_skips_and_names_its_variable_while_the_other_works(
    people: People, eu_people: People, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add()
    eu_people.add()
    monkeypatch.delenv("BREVO_EU_API_KEY")
    skipped, requested = (tick(crm, instance) for crm in ("brevo_eu", "brevo"))
    assert skipped == dg.SkipReason("BREVO_EU_API_KEY is not set: nothing is sent.")
    assert isinstance(requested, dg.RunRequest)
    context = dg.build_sensor_context(instance=instance)
    told = [
        sensor.evaluate_tick(context).skip_message
        for sensor in definitions().sensor_defs
        if sensor.name.startswith("brevo_eu_")
    ]
    assert len(told) == 3
    assert all(one and one.startswith("BREVO_EU_API_KEY is not set") for one in told)


def test_a_run_of_one_is_no_reason_for_the_other_to_wait_or_to_follow(
    people: People, eu_people: People, instance: dg.DagsterInstance
) -> None:
    people.add()
    eu_people.add()
    create_run_for_test(
        instance, job_name="brevo_sync", status=dg.DagsterRunStatus.STARTING, tags=sync_slot("brevo", 1)
    )
    assert isinstance(tick("brevo", instance), dg.SkipReason)
    requested = tick("brevo_eu", instance)
    assert isinstance(requested, dg.RunRequest)
    assert requested.tags[SYNC_SLOT_TAG] == "brevo_eu-1"
    create_run_for_test(
        instance,
        job_name="brevo_sync",
        status=dg.DagsterRunStatus.SUCCESS,
        tags={**sync_slot("brevo", 1), LEFT_TAG: "5"},
    )
    looked = follow_up_sensor(load_settings().destination("brevo_eu"))(dg.build_sensor_context(instance=instance))
    assert looked == dg.SkipReason("No run has taken all that is due yet.")


def alerts(crm: str, instance: dg.DagsterInstance) -> dict[str, str]:
    """What people are told by the destination's sensor: headlines by key."""
    settings = load_settings()
    with dg.build_sensor_context(instance=instance) as context:
        result: Any = error_backlog_sensor(settings.destination(crm), settings)(context)
    return {key: one.headline for key, one in Memory.read(result.cursor).told.items()}


def test_an_alert_and_the_health_of_one_name_that_one(
    engine: sa.Engine, eu_people: People, instance: dg.DagsterInstance
) -> None:
    GateKeeper(engine, "brevo_eu").close("Key not found", "fingerprint")
    assert alerts("brevo", instance) == {}
    [(key, headline)] = alerts("brevo_eu", instance).items()
    assert (key, headline) == (
        "brevo_eu.gate.credentials",
        "Brevo (brevo_eu) refuses us. Nothing is sent; contacts wait, and no try is used up.",
    )
    wrong = {crm: {one.subject for one in health(instance, engine, load_settings(), crm) if not one.ok} for crm in CRMS}
    assert wrong["brevo_eu"] - wrong["brevo"] >= {"deliveries to brevo_eu", "schedule brevo_eu_sync_schedule"}
    assert "deliveries to brevo" not in wrong["brevo"]


def test_the_daily_report_is_one_page_for_each_with_its_own_figures(
    people: People,
    eu_people: People,
    pipeline: Pipeline,
    eu_pipeline: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("CRM_PIPELINES_DATA_DIR", str(tmp_path))
    people.add(1)
    eu_people.add(2)
    pipeline.run()
    eu_pipeline.run()
    result = definitions().get_job("daily_report").execute_in_process(instance=pipeline.instance)
    reported = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata["delivered"].value
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }
    assert reported == {"brevo/daily_report": 1, "brevo_eu/daily_report": 2}
    pages = sorted(path.name.partition("-")[0] for path in (tmp_path / "reports").glob("*.html"))
    assert pages == ["brevo", "brevo_eu"]


@pytest.mark.parametrize("name", ["hubspot", "brevo_us"])
def test_what_is_not_enabled_opens_nothing_and_says_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_DATABASE_URL", NO_SERVER)
    said = load_settings().why_not(name)
    for way in (lambda: Destination(name).open().__enter__(), lambda: run_now(name)):
        with pytest.raises(UnknownDestination) as refused:
            way()
        assert str(refused.value) == said
    monkeypatch.setenv("API_DAGSTER_URL", "http://127.0.0.1:1")
    with pytest.raises(NotLaunched) as not_launched:
        Launcher(load_settings()).launch(name)
    assert said in str(not_launched.value)


def test_a_run_that_began_before_its_destination_was_switched_off_sends_nothing(
    eu: BrevoSandbox, eu_people: People, in_memory: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    eu_people.add()
    job = job_of("brevo_eu")
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo")
    result = job.execute_in_process(instance=in_memory, raise_on_error=False)
    [failure] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.description == load_settings().why_not("brevo_eu")
    assert eu.requests() == []
    assert eu_people.states() == {"queued": 1}
