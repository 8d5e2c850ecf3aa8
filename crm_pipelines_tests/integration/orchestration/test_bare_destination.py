"""A CRM that can do nothing but take contacts, as Dagster runs and shows it; and requests that are full."""

from typing import Any

import dagster as dg
import pytest

from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.orchestration.build import build_definitions
from crm_pipelines.orchestration.sync.schedules import sync_schedule
from crm_pipelines.orchestration.watching.fidelity import fidelity_schedule
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline, schedule_context
from crm_pipelines_tests.fixtures.postbox import Postbox
from crm_pipelines_tests.integration.orchestration.test_operator_jobs import launch


@pytest.fixture(autouse=True)
def people(postbox_people: People) -> People:
    return postbox_people


@pytest.fixture
def pipeline(in_memory: dg.DagsterInstance) -> Pipeline:
    return Pipeline(in_memory, "postbox")


def sizes(postbox: Postbox) -> list[int]:
    """Of the requests, the fullest first."""
    return sorted((len(one.addresses) for one in postbox.deliveries()), reverse=True)


def address(people: People, contact_id: Any) -> str:
    found: str = people.all("SELECT email FROM crm_contacts WHERE id = :id", id=contact_id)[0]["email"]
    return found


@pytest.mark.parametrize(
    ("due", "config", "expected"),
    [
        (1000, {}, [100] * 10),
        (950, {}, [100] * 9 + [50]),
        (1000, {"limit": 150}, [100, 50]),
        (1000, {"limit": 1}, [1]),
    ],
)
def test_requests_are_full(
    people: People, pipeline: Pipeline, postbox: Postbox, due: int, config: dict[str, int], expected: list[int]
) -> None:
    people.add(due)
    run = pipeline.run(**config)
    assert run.counts == {"claimed": sum(expected), "synced": sum(expected)}
    assert run.metadata["requests"] == len(expected)
    assert sizes(postbox) == expected


def test_a_second_run_makes_no_request(people: People, pipeline: Pipeline, postbox: Postbox) -> None:
    people.add(100)
    pipeline.run()
    people.run("UPDATE crm_contacts SET name = name || ''")
    people.run("UPDATE crm_syncs SET state = 'queued', run_at = now()")
    assert pipeline.run().counts == {"claimed": 100, "unchanged": 100}
    assert sizes(postbox) == [100]


def test_the_sums_of_a_run_add_up_whatever_becomes_of_whom(
    people: People, pipeline: Pipeline, postbox: Postbox
) -> None:
    ids = people.add(250)
    people.add(2, email=None)
    postbox.refuse(address(people, ids[3]))
    postbox.refuse_whole(address(people, ids[120]))
    postbox.results = lambda results: [one for one in results if one["id"] != str(ids[200])]
    run = pipeline.run()
    assert run.success, run.problem
    assert run.counts == {"claimed": 252, "synced": 247, "failed": 2, "retrying": 1, "skipped": 2}
    assert people.states() == {"synced": 247, "failed": 2, "queued": 1, "skipped": 2}
    assert run.metadata["requests"] == len(postbox.deliveries())


def test_every_definition_is_there_and_loads() -> None:
    definitions = build_definitions(load_settings())
    dg.Definitions.validate_loadable(definitions)
    schedules = {one.name for one in definitions.get_repository_def().schedule_defs}
    assert {"postbox_sync_schedule", "postbox_fidelity_schedule"} <= schedules


def test_the_schedule_runs_when_something_is_due_and_the_one_of_the_fidelity_check_says_why_it_does_not(
    people: People, pipeline: Pipeline, instance: dg.DagsterInstance
) -> None:
    destination = load_settings().destination("postbox")
    assert isinstance(sync_schedule(destination)(schedule_context(instance)), dg.SkipReason)
    people.add()
    assert isinstance(sync_schedule(destination)(schedule_context(instance)), dg.RunRequest)
    pipeline.run()
    told = fidelity_schedule(destination)(schedule_context(instance))
    assert told == dg.SkipReason("Postbox does not show what it holds.")


def test_every_check_has_a_verdict_that_is_no_complaint(people: People, pipeline: Pipeline) -> None:
    people.add(3)
    pipeline.run()
    repository = build_definitions(load_settings()).get_repository_def()
    job = repository.get_implicit_global_asset_job_def()
    result = job.get_subset(asset_check_selection=repository.asset_graph.asset_check_keys).execute_in_process(
        instance=pipeline.instance
    )
    found = {one.check_name: (one.passed, one.description) for one in result.get_asset_check_evaluations()}
    assert {name for name, (passed, _) in found.items() if not passed} == set()
    assert found["fidelity"][1] == "Reading ended early: Postbox shows no contacts."


def test_its_account_is_checked_and_nothing_is_to_be_made_there(pipeline: Pipeline) -> None:
    assert launch(pipeline, "postbox_check_account")[1] == ""
    metadata, problem = launch(pipeline, "postbox_provision", dry_run=False)
    assert (metadata["attributes"], problem) == ([], "")


def test_a_refusal_of_the_key_fails_the_run_and_closes_the_gate_and_a_new_key_opens_it(
    people: People, pipeline: Pipeline, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add(150)
    postbox.keys = {"another"}
    run = pipeline.run()
    assert not run.success
    assert GateKeeper(people.engine, "postbox").read().refuses
    assert people.states() == {"queued": 150}
    assert people.all("SELECT sum(attempts)::int AS n FROM crm_syncs") == [{"n": 0}]
    monkeypatch.setenv("POSTBOX_API_KEY", "another")
    people.make_due()
    assert pipeline.run().counts == {"claimed": 150, "synced": 150}


def test_an_account_that_does_not_tell_which_it_is_gets_nothing_and_that_is_said(
    people: People, pipeline: Pipeline, postbox: Postbox
) -> None:
    people.run("UPDATE crm_gates SET account = NULL, account_fingerprints = '{}' WHERE crm = 'postbox'")
    people.add()
    postbox.account = None
    run = pipeline.run()
    assert not run.success
    assert "does not tell which account the credentials open" in (run.problem or "")
    assert postbox.deliveries() == []
