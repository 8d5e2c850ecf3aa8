"""A setting that the CRM does not take is not the contacts' fault: they wait, uncharged, and go once it is mended."""

from typing import Any

import dagster as dg
import pytest
import requests
import sqlalchemy as sa

from crm_pipelines.contacts.story import story
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.orchestration.resources import Destination
from crm_pipelines.orchestration.sync.schedules import reason_to_wait
from crm_pipelines.orchestration.sync.tags import GATE_TAG
from crm_pipelines.statistics.status import crm_status
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.patience import PATIENCE

MISSING = "3"
"""A list that the sandbox does not have; the next one that is made there has this number."""
ADVICE = "Set BREVO_LIST_ID to a list of this account."


def a_list(sandbox: BrevoSandbox) -> None:
    """Somebody makes a list at Brevo."""
    body = {"name": "Another", "folderId": 1}
    answer = requests.post(
        f"{sandbox.url}/contacts/lists", json=body, headers={"api-key": "another tool"}, timeout=PATIENCE
    )
    assert answer.json() == {"id": int(MISSING)}


def nobody_is_charged(people: People, count: int) -> None:
    assert people.states() == {"queued": count}
    query = "SELECT max(attempts) AS n, max(crashes) AS m FROM crm_syncs WHERE last_error_kind IS NULL"
    assert people.all(query) == [{"n": 0, "m": 0}]


def reason(instance: dg.DagsterInstance) -> str | None:
    """Why a tick would start no run."""
    with Destination("brevo").open() as account:
        return reason_to_wait(account, instance)


@pytest.mark.parametrize("bulk", ["20", "1000"], ids=["in bulk", "singly"])
def test_contacts_wait_uncharged_for_a_list_that_is_gone_and_go_when_the_setting_is_mended(
    people: People,
    pipeline: Pipeline,
    brevo_sandbox: BrevoSandbox,
    engine: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
    bulk: str,
) -> None:
    monkeypatch.setenv("BREVO_BULK_THRESHOLD", bulk)
    monkeypatch.setenv("BREVO_LIST_ID", "99")
    people.add(70)
    for _ in range(3):
        run = pipeline.run()
        assert not run.success
        assert ADVICE in (run.problem or "")
        nobody_is_charged(people, 70)
        stored = pipeline.instance.get_run_by_id(run.result.run_id)
        assert stored is not None
        assert stored.tags[GATE_TAG] == "settings", "people are told of the gate alone"
    gate = GateKeeper(engine, "brevo").read()
    assert (gate.paused, gate.pause_kind, gate.paused_until) == (True, "settings", None)
    told = reason(pipeline.instance)
    assert told is not None
    assert "until the setting is corrected" in told
    # Up to 32 requests may be under way when the first one is refused.
    assert len(brevo_sandbox.requests(method="POST")) <= 32, "a closed gate lets nobody through"
    monkeypatch.setenv("BREVO_LIST_ID", "2")
    before = len(brevo_sandbox.requests())
    assert reason(pipeline.instance) is None
    assert len(brevo_sandbox.requests()) == before, "another setting opens the gate without a request"
    assert pipeline.run().success
    assert people.states() == {"synced": 70}
    assert {tuple(one["listIds"]) for one in brevo_sandbox.contacts()} == {(2,)}


def test_a_list_that_is_there_again_opens_the_gate_at_the_next_tick_by_one_request(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREVO_LIST_ID", MISSING)
    people.add(5)
    pipeline.run()
    before = len(brevo_sandbox.requests())
    for ticks in (1, 2):
        assert reason(pipeline.instance) is not None
        assert [one["path"] for one in brevo_sandbox.requests()[before:]] == ["/v3/contacts/lists/3"] * ticks
    a_list(brevo_sandbox)
    assert reason(pipeline.instance) is None
    pipeline.run()
    assert people.states() == {"synced": 5}


def test_a_key_that_is_refused_meanwhile_is_told_as_that(
    people: People,
    pipeline: Pipeline,
    brevo_sandbox: BrevoSandbox,
    engine: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BREVO_LIST_ID", MISSING)
    people.add(5)
    pipeline.run()
    brevo_sandbox.fault("status", status=401, body={"code": "unauthorized", "message": "Key not found"})
    assert "until the key is accepted" in (reason(pipeline.instance) or "")
    assert GateKeeper(engine, "brevo").read().closed_for_credentials


@pytest.mark.parametrize(
    ("status", "action", "body"),
    [
        (405, "status", {"code": "method_not_allowed", "message": "Method not allowed"}),
        (406, "status", {"code": "not_acceptable", "message": "Not acceptable"}),
        (413, "html", None),
        (413, "status", {"message": "Payload too large"}),
        (415, "status", {"message": "Unsupported media type"}),
        (404, "status", {"code": "document_not_found", "message": "Not found"}),
        (400, "status", {"code": "invalid_parameter", "message": "Invalid list id passed"}),
        (400, "status", {"code": "invalid_parameter", "message": "updateEnabled should be type boolean"}),
        (404, "status", {"code": "document_not_found", "message": "List does not exist"}),
    ],
)
def test_what_is_wrong_with_the_request_is_charged_to_nobody(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, status: int, action: str, body: Any
) -> None:
    people.add(60)
    brevo_sandbox.fault(action, status=status, body=body, method="POST", path="/contacts$")
    for _ in range(3):
        pipeline.run()
        nobody_is_charged(people, 60)
    brevo_sandbox.clear_faults()
    pipeline.run()
    pipeline.run()
    assert people.states() == {"synced": 60}


def test_an_update_that_is_refused_for_its_list_creates_nothing(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(1)
    pipeline.run()
    people.run("UPDATE crm_contacts SET name = 'Other'")
    body = {"code": "document_not_found", "message": "List does not exist"}
    brevo_sandbox.fault("status", status=404, body=body, method="PUT")
    assert not pipeline.run().success
    nobody_is_charged(people, 1)
    assert len(brevo_sandbox.requests(method="POST", path="/contacts$")) == 1


@pytest.mark.parametrize("status", [400, 406, 409, 415, 422])
def test_a_page_in_place_of_an_answer_rejects_nobody(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, status: int
) -> None:
    people.add(60)
    brevo_sandbox.fault("html", status=status, method="POST", path="/contacts$")
    pipeline.run()
    assert people.states() == {"queued": 60}
    brevo_sandbox.clear_faults()
    people.make_due()
    people.run("UPDATE crm_gates SET paused_until = now() WHERE crm = 'brevo'")
    pipeline.run()
    pipeline.run()
    assert people.states() == {"synced": 60}


@pytest.mark.parametrize(
    "fault",
    [
        {"path": "/contacts/import", "status": 400, "body": {"message": "List ID does not exist"}},
        {"path": "/contacts/lists$", "status": 400, "body": {"message": "Folder ID does not exist"}},
        {"path": "/contacts/folders/", "status": 404, "body": {"message": "Folder ID does not exist"}},
        {"path": "/contacts/folders$", "status": 405, "body": {"message": "No"}},
    ],
    ids=["its list", "its folder", "its folder, found before", "no folders"],
)
def test_what_is_wrong_with_a_list_of_ours_closes_nothing_and_contacts_go_singly(
    people: People,
    pipeline: Pipeline,
    brevo_sandbox: BrevoSandbox,
    engine: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, Any],
) -> None:
    monkeypatch.setenv("BREVO_BULK_THRESHOLD", "20")
    people.add(30)
    brevo_sandbox.fault("status", **fault)
    for _ in range(2):
        assert pipeline.run().success
    assert people.states() == {"synced": 30}
    assert not GateKeeper(engine, "brevo").read().paused


def test_an_attribute_whose_name_reads_like_a_setting_costs_only_itself(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    brevo_sandbox.create_attribute("normal", "LISTID", type="text")
    people.add(custom_fields='{"ListId": "7"}')
    body = {"code": "invalid_parameter", "message": "LISTID does not exist"}
    brevo_sandbox.fault("status", status=400, body=body, method="POST", path="/contacts$", times=1)
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}


def test_status_and_why_name_the_setting_and_not_the_key(
    people: People, pipeline: Pipeline, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREVO_LIST_ID", "99")
    people.add(email="ada@example.com")
    pipeline.run()
    status = crm_status(engine, "brevo")
    assert status.gate.paused_until_in_words == "the setting is corrected"
    assert status.as_dict()["gate"]["kind"] == "settings"
    [standing] = [one for one in story(engine, "ada@example.com").crms if one.crm == "brevo"]
    assert "until the setting is corrected" in standing.next
    assert ADVICE in standing.next
    assert "the key" not in standing.next
