"""Running the job at once, in this process; and launch config that wants the key sent elsewhere."""

import dagster as dg
import pytest
from dagster._core.errors import DagsterInvalidConfigError

from crm_pipelines.database.connection_problems import DatabaseUnreachable
from crm_pipelines.database.migrating import SchemaOutdated
from crm_pipelines.delivery.account.opening import DatabaseUrlMissing
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.orchestration.sync.run_now import run_now
from crm_pipelines.settings import NotConfigured
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline, job_of
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox

pytestmark = pytest.mark.usefixtures("instance", "brevo_environment")


def test_the_result_holds_the_counts_and_the_run_is_kept(people: People, instance: dg.DagsterInstance) -> None:
    people.add(3)
    people.add(email=None)
    result = run_now("brevo")
    assert result.success
    assert result.problem is None
    assert {name: count for name, count in result.counts.items() if count} == {
        "claimed": 4,
        "synced": 3,
        "skipped": 1,
        "requests": 3,
    }
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.job_name == "brevo_sync"


def test_limit_and_chosen_contacts_are_passed_on(people: People) -> None:
    ids = people.add(4)
    assert run_now("brevo", limit=1).counts["claimed"] == 1
    assert run_now("brevo", contact_ids=[ids[3]]).counts["synced"] == 1
    assert people.sync(ids[3])["state"] == "synced"


def test_a_dry_run_counts_and_sends_nothing(people: People, brevo_sandbox: BrevoSandbox) -> None:
    people.add(2)
    assert run_now("brevo", dry_run=True).counts["synced"] == 2
    assert brevo_sandbox.sent() == []


def test_the_problem_is_one_sentence_of_ours_without_the_name_of_a_class(people: People) -> None:
    people.add()
    GateKeeper(people.engine, "brevo").bind_account("5f8a", "another key")
    result = run_now("brevo")
    assert not result.success
    assert result.problem is not None
    assert result.problem.startswith("The contacts of this database were delivered to 5f8a")
    assert "\n" not in result.problem


def test_the_problem_of_a_failed_run_is_what_the_crm_said(people: People, brevo_sandbox: BrevoSandbox) -> None:
    people.add()
    brevo_sandbox.configure(refusal="ip")
    result = run_now("brevo")
    assert not result.success
    assert (result.problem or "").startswith("brevo: We have detected you are using an unrecognised IP address")


def test_the_text_of_an_unexpected_error_is_not_passed_on(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("ada@example.com")

    people.add()
    monkeypatch.setattr("crm_pipelines.orchestration.sync.sending.totals_of", fail)
    assert run_now("brevo").problem == "Unexpected ValueError: see the run in Dagster's pages."


@pytest.mark.parametrize(
    ("variable", "value", "error"),
    [
        ("BREVO_API_KEY", None, NotConfigured),
        ("CRM_DATABASE_URL", None, DatabaseUrlMissing),
        ("CRM_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing", DatabaseUnreachable),
    ],
)
def test_what_is_missing_is_told_before_a_run_is_made(
    monkeypatch: pytest.MonkeyPatch,
    instance: dg.DagsterInstance,
    variable: str,
    value: str | None,
    error: type[Exception],
) -> None:
    monkeypatch.delenv(variable)
    if value is not None:
        monkeypatch.setenv(variable, value)
    with pytest.raises(error):
        run_now("brevo")
    assert instance.get_runs_count() == 0


def test_a_database_without_tables_is_told_before_a_run_is_made(
    monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance, empty_database_url: str
) -> None:
    monkeypatch.setenv("CRM_DATABASE_URL", empty_database_url)
    with pytest.raises(SchemaOutdated, match="crm-pipelines db upgrade"):
        run_now("brevo")
    assert instance.get_runs_count() == 0


@pytest.mark.parametrize(
    "redirection",
    [
        {"base_url": "http://127.0.0.1:9/elsewhere"},
        {"api_base_url": "http://127.0.0.1:9/elsewhere", "api_key": {"env": "HOME"}},
    ],
)
def test_launch_config_cannot_send_the_key_to_another_host(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, redirection: dict[str, object]
) -> None:
    people.add()
    try:
        job_of().execute_in_process(
            run_config={"resources": {"destination": {"config": redirection}}},
            instance=pipeline.instance,
            raise_on_error=False,
        )
    except DagsterInvalidConfigError:
        return
    assert len(brevo_sandbox.sent()) == 1, "sent to where the environment says"
    assert people.states() == {"synced": 1}
