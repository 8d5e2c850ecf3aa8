"""Jobs that people launch from the pages: they count before they change anything, and refuse what would do harm."""

from typing import Any

import dagster as dg
import pytest

from crm_pipelines.delivery.account.preflight import check_account
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.orchestration.resources import Destination
from crm_pipelines.orchestration.sync.tags import GATE_TAG
from crm_pipelines.orchestration.upkeep.operator_jobs import operator_jobs
from crm_pipelines.orchestration.watching.findings import run_finding
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox


def the_job(name: str) -> dg.JobDefinition:
    """The one with this name, of the destination that it begins with."""
    destinations = load_settings().destinations.values()
    [found] = [job for one in destinations for job in operator_jobs(one) if job.name == name]
    return found


def launch(pipeline: Pipeline, name: str, **config: Any) -> tuple[dict[str, Any], str]:
    """What the only op of the job says about its output, and why it failed."""
    job = the_job(name)
    [op] = [node.name for node in job.nodes]
    result = job.execute_in_process(
        run_config={"ops": {op: {"config": config}}} if config else None,
        instance=pipeline.instance,
        raise_on_error=False,
    )
    metadata: dict[str, Any] = {}
    problem = ""
    for event in result.all_events:
        if event.is_successful_output:
            metadata = {name: value.value for name, value in event.step_output_data.metadata.items()}
        if event.is_step_failure:
            failure = event.step_failure_data.user_failure_data
            problem = (failure.description or "") if failure else str(event.step_failure_data.error)
    return metadata, problem


def fail(people: People, count: int, kind: str) -> None:
    people.run(
        "UPDATE crm_syncs SET state = 'failed', last_error_kind = :kind, last_error = 'no: ada@example.com' "
        "WHERE contact_id IN (SELECT contact_id FROM crm_syncs WHERE state = 'queued' ORDER BY contact_id LIMIT :n)",
        kind=kind,
        n=count,
    )


def test_failed_contacts_are_counted_by_kind_first_and_then_queued_again(people: People, pipeline: Pipeline) -> None:
    people.add(5)
    fail(people, 3, "outage")
    fail(people, 2, "rejected")
    counted, _ = launch(pipeline, "brevo_retry_failed", kind="outage")
    assert (counted["requeued"], counted["dry_run"]) == (3, True)
    assert "| Error | outage | 3 |\n| Error | rejected | 2 |" in counted["errors_before"]
    assert "@" not in str(counted)
    assert people.states() == {"failed": 5}
    done, _ = launch(pipeline, "brevo_retry_failed", kind="outage", dry_run=False)
    assert done["requeued"] == 3
    assert people.states() == {"queued": 3, "failed": 2}
    assert launch(pipeline, "brevo_retry_failed", dry_run=False)[0]["requeued"] == 2, "without a kind: all"


def test_a_kind_that_no_contact_has_is_refused_with_those_that_there_are(people: People, pipeline: Pipeline) -> None:
    people.add(1)
    fail(people, 1, "outage")
    _, problem = launch(pipeline, "brevo_retry_failed", kind="outrage")
    assert problem == "No contact has an error of kind 'outrage' at brevo. The kinds at present: outage."


@pytest.mark.parametrize(
    ("job", "config", "said"),
    [
        ("brevo_retry_failed", {"contact_ids": ["ada@example.com"]}, "contact_ids: expected ids as in column id"),
        ("brevo_retry_failed", {"kind": " "}, "kind: expected a name"),
        ("brevo_release_claims", {"run_id": ""}, "run_id: expected a name"),
    ],
)
def test_config_that_makes_no_sense_is_refused_in_a_sentence_and_no_run_is_made(
    pipeline: Pipeline, job: str, config: dict[str, Any], said: str
) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError) as refused:
        launch(pipeline, job, **config)
    assert str(refused.value).startswith(said)
    assert "ada@" not in str(refused.value)
    assert pipeline.instance.get_runs_count() == 0


def claim(people: People, run_id: str, *, begun: bool = False) -> None:
    people.run(
        "UPDATE crm_syncs SET state = 'claimed', claim_no = claim_no + 1, claimed_by = :run_id, "
        "lease_until = now() + interval '20 min', delivery_started_at = CASE WHEN :begun THEN now() END",
        run_id=run_id,
        begun=begun,
    )


def test_claims_of_a_run_that_nobody_knows_return_when_they_are_asked_for(people: People, pipeline: Pipeline) -> None:
    people.add(2)
    claim(people, "a-run-of-another-machine")
    shown, _ = launch(pipeline, "brevo_release_claims")
    assert "| a-run-of-another-machine | unknown | 2 |" in shown["holders"]
    launch(pipeline, "brevo_release_claims", run_id="a-run-of-another-machine")
    assert people.states() == {"claimed": 2}, "counted only"
    launch(pipeline, "brevo_release_claims", run_id="a-run-of-another-machine", dry_run=False)
    assert people.states() == {"queued": 2}


def test_what_a_dead_run_had_begun_to_deliver_keeps_its_lease(people: People, pipeline: Pipeline) -> None:
    people.add(1)
    claim(people, "gone", begun=True)
    _, problem = launch(pipeline, "brevo_release_claims", run_id="gone", dry_run=False)
    assert problem == ""
    assert people.states() == {"claimed": 1}


def test_claims_of_an_active_run_are_not_touched(people: People, pipeline: Pipeline) -> None:
    people.add(1)
    run = pipeline.instance.create_run_for_job(the_job("brevo_check_account"), status=dg.DagsterRunStatus.STARTED)
    claim(people, run.run_id)
    _, problem = launch(pipeline, "brevo_release_claims", run_id=run.run_id, dry_run=False)
    assert problem.startswith("Dagster says that this run is still active. Terminate it first")
    assert people.states() == {"claimed": 1}
    _, problem = launch(pipeline, "brevo_release_claims", run_id="mistyped", dry_run=False)
    assert problem == "This run holds no contacts: see the list of those that do."


def test_missing_attributes_are_found_named_created_and_then_found_well(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(1, has_gmail=True)
    _, problem = launch(pipeline, "brevo_check_account")
    assert "does not exist, so its values are left out" in problem
    named, _ = launch(pipeline, "brevo_provision")
    assert "HAS_GMAIL" in named["attributes"]
    assert "HAS_GMAIL" not in {one["name"] for one in brevo_sandbox.state()["attributes"]}
    assert launch(pipeline, "brevo_provision", dry_run=False)[0]["attributes"] == named["attributes"]
    assert launch(pipeline, "brevo_check_account")[1] == ""


def test_the_check_of_the_account_is_evaluated_red_and_green(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(1, has_gmail=True)

    def verdict() -> dg.AssetCheckEvaluation:
        result = the_job("brevo_check_account").execute_in_process(instance=pipeline.instance, raise_on_error=False)
        [evaluation] = result.get_asset_check_evaluations()
        return evaluation

    red = verdict()
    assert not red.passed
    assert (red.description or "").startswith("Wrong: Attribute HAS_GMAIL")
    launch(pipeline, "brevo_provision", dry_run=False)
    assert verdict().passed
    brevo_sandbox.configure(refusal="ip")
    assert verdict().description == "Wrong: API key."


@pytest.mark.parametrize("kind", ["credentials", "settings"])
def test_an_account_that_is_well_opens_a_gate_that_was_closed_for_a_refusal(
    people: People, pipeline: Pipeline, kind: str
) -> None:
    launch(pipeline, "brevo_provision", dry_run=False)
    gate = GateKeeper(people.engine, "brevo")
    gate.close("The key was withdrawn.", "fingerprint", kind)
    assert launch(pipeline, "brevo_check_account")[1] == ""
    assert not gate.read().paused


@pytest.mark.parametrize("kind", ["credentials", "settings"])
def test_what_is_accepted_lifts_its_stop_whatever_else_the_account_lacks(
    people: People, pipeline: Pipeline, kind: str
) -> None:
    people.add(1, has_gmail=True)
    gate = GateKeeper(people.engine, "brevo")
    gate.close("The key was withdrawn.", "fingerprint", kind)
    with Destination("brevo").open() as account:
        looked = check_account(account)
    assert looked.problems, "attributes are missing"
    assert (looked.reopened, gate.read().paused) == (True, False)


def test_a_list_that_is_not_there_keeps_the_stop_for_it_and_lifts_that_for_the_key(
    people: People, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREVO_LIST_ID", "999")
    gate = GateKeeper(people.engine, "brevo")
    gate.close("List ID does not exist.", "fingerprint", "settings")
    with Destination("brevo").open() as account:
        assert not check_account(account).reopened
        gate.open()
        gate.close("Key not found.", "fingerprint")
        assert check_account(account).reopened


def test_a_key_that_is_still_refused_keeps_its_stop(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.configure(refusal="ip")
    gate = GateKeeper(people.engine, "brevo")
    for kind in ("credentials", "settings"):
        gate.close("Not from here.", "fingerprint", kind)
        with Destination("brevo").open() as account:
            assert not check_account(account).reopened
        assert gate.read().refuses
        gate.open()


@pytest.mark.parametrize(
    "job", ["brevo_check_account", "brevo_provision", "brevo_retry_failed", "brevo_release_claims"]
)
def test_without_a_key_each_says_so(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, job: str) -> None:
    monkeypatch.delenv("BREVO_API_KEY")
    assert launch(pipeline, job)[1].startswith("BREVO_API_KEY is not set: ")


def test_a_check_that_meets_a_refused_key_begins_one_alert_which_is_of_the_gate(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.configure(refusal="ip")
    _, problem = launch(pipeline, "brevo_check_account")
    assert problem.startswith("API key: ")
    assert GateKeeper(people.engine, "brevo").read().closed_for_credentials, "every page says so from now on"
    assert run_finding(pipeline.instance, "brevo_check_account") is None
    [run] = pipeline.instance.get_runs(dg.RunsFilter(job_name="brevo_check_account"))
    assert GATE_TAG in run.tags


def test_the_alert_for_a_job_of_upkeep_promises_no_next_tick(people: People, pipeline: Pipeline) -> None:
    people.add(1, has_gmail=True)
    launch(pipeline, "brevo_check_account")
    told = run_finding(pipeline.instance, "brevo_check_account")
    assert told is not None
    assert "tick" not in told.action
    assert "launch the job" in told.action
