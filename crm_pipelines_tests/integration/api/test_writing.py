"""A write happens once however often it is sent, wholly or not at all, and is written down."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from crm_pipelines.contacts import selection
from crm_pipelines_tests.fixtures.api import Api, error_of

KEY = {"Idempotency-Key": "9b2e"}
ADA = {"email": "ada@example.com", "name": "Ada Lovelace"}


def test_the_same_request_with_the_same_key_changes_nothing_and_gets_the_same_answer(api: Api) -> None:
    first = api.call("POST", "/contacts", json=ADA, headers=KEY)
    again = api.call("POST", "/contacts", json=ADA, headers=KEY)
    assert (first.status_code, "Idempotency-Replayed" in first.headers) == (201, False)
    assert (again.status_code, again.headers["Idempotency-Replayed"], again.json()) == (201, "true", first.json())
    selected = {"contact_ids": [first.json()["id"]], "crms": ["brevo"]}
    answers = [api.post("/contacts/crm/select", selected, Idempotency_Key="select") for _ in range(3)]
    assert [one["crms"][0]["selected"] for one in answers] == [1, 1, 1]
    path = f"/contacts/{first.json()['id']}"
    assert [api.call("DELETE", path, headers={"Idempotency-Key": "d"}).status_code for _ in range(2)] == [204, 204]
    assert len(api.writes()) == 3


def test_a_key_that_came_with_something_else_is_refused(api: Api) -> None:
    contact = api.post("/contacts", ADA, **{"Idempotency-Key": "9b2e"})
    for method, path, body in [
        ("POST", "/contacts", {**ADA, "name": "Ada"}),
        ("POST", "/contacts/crm/select", ADA),
        ("PATCH", f"/contacts/{contact['id']}", ADA),
    ]:
        assert api.call(method, path, json=body, headers=KEY).status_code == 422
    assert api.refused("PATCH", f"/contacts/{contact['id']}", json=ADA, headers=KEY) == (422, "idempotency_key_reused")
    api.sign_in(api.new_token())
    assert api.refused("POST", "/contacts", json=ADA, headers=KEY) == (409, "address_taken"), (
        "keys are each token's own"
    )


def test_requests_with_one_key_at_the_same_time_write_once(api: Api) -> None:
    def create(_: int) -> tuple[int, str]:
        answer = api.another().call("POST", "/contacts", json=ADA, headers=KEY)
        return answer.status_code, answer.json()["id"]

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(create, range(8)))
    assert len(answers) == 1
    assert len(api.writes()) == 1


def test_after_an_error_the_key_may_be_used_again(api: Api) -> None:
    other = api.post("/contacts", ADA)
    assert error_of(api.call("POST", "/contacts", json=ADA, headers=KEY)) == (409, "address_taken")
    api.call("DELETE", f"/contacts/{other['id']}")
    assert api.call("POST", "/contacts", json=ADA, headers=KEY).status_code == 201


def test_an_answer_is_kept_for_a_day_and_holds_no_personal_data(api: Api) -> None:
    contact = api.post("/contacts", ADA, **KEY)
    api.post("/contacts/crm/sync/trigger", {"contact_id": contact["id"], "crm": "brevo"}, Idempotency_Key="t")
    kept = json.dumps(api.people.all("SELECT * FROM crm_idempotency_keys"), default=str)
    assert "example.com" not in kept
    assert "Lovelace" not in kept
    api.people.run("UPDATE crm_idempotency_keys SET created_at = now() - interval '25 hours'")
    assert error_of(api.call("POST", "/contacts", json=ADA, headers=KEY)) == (409, "address_taken")


def test_a_trigger_that_is_repeated_starts_no_second_run_and_tells_of_the_first(api: Api) -> None:
    launched: list[object] = []

    class Launcher:
        def launch(self, *arguments: object) -> object:
            launched.append(arguments)
            return type("Run", (), {"run_id": "run-1", "url": "http://dagster/runs/run-1", "waiting": False})

    api.app.state.launcher = Launcher()
    [contact] = api.people.add(select=False)
    body = {"contact_id": str(contact), "crm": "brevo"}
    answers = [api.post("/contacts/crm/sync/trigger", body, **KEY) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0]["run_url"] == "http://dagster/runs/run-1"
    assert launched == [("brevo",)]


def test_a_write_that_fails_half_way_leaves_nothing_behind(api_of_two: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api = api_of_two
    really: Callable[..., Any] = selection.decide

    def fail_at_the_second(connection: object, crm: str, *rest: object) -> Any:
        if crm == "brevo_eu":
            raise RuntimeError
        return really(connection, crm, *rest)

    [contact] = api.people.add(select=False)
    monkeypatch.setattr(selection, "decide", fail_at_the_second)
    body = {"contact_ids": [str(contact)], "crms": ["brevo", "brevo_eu"]}
    assert api.refused("POST", "/contacts/crm/select", json=body, headers=KEY) == (500, "internal_error")
    assert api.people.states() == {}
    assert api.writes() == []
    monkeypatch.undo()
    assert api.call("POST", "/contacts/crm/select", json=body, headers=KEY).ok


def test_every_write_is_written_down_with_who_what_and_how_many_and_reads_are_not(api_of_two: Api) -> None:
    api = api_of_two
    created = api.call("POST", "/contacts", json=ADA)
    contact = created.json()["id"]
    api.call("PATCH", f"/contacts/{contact}", json={"name": "Ada King"})
    api.post("/contacts/crm/select", {"contact_ids": [contact, str(uuid4())], "crms": ["brevo", "brevo_eu"]})
    api.post("/contacts/crm/select/filtered", {"filter": {"text": "ada"}, "crms": ["brevo"], "action": "unselect"})
    api.post("/contacts/crm/select/filtered", {"filter": {"text": "ada"}, "crms": ["brevo"], "dry_run": True})
    api.post("/contacts/search", {"filter": {"text": "ada"}})
    api.get("/contacts")
    api.call("DELETE", f"/contacts/{contact}")
    log = api.writes()
    assert [(one["action"], one["crms"], one["contacts"]) for one in log] == [
        ("create_contact", [], 1),
        ("change_contact", [], 1),
        ("select", ["brevo", "brevo_eu"], 2),
        ("unselect_filtered", ["brevo"], 1),
        ("delete_contact", [], 1),
    ]
    assert {one["name"] for one in log} == {"tester"}
    assert str(log[0]["contact_ids"][0]) == contact
    assert log[0]["request_id"] == created.headers["X-Request-ID"]
    written = json.dumps(log, default=str).lower()
    assert [word for word in ("@", "lovelace", "king") if word in written] == []


@pytest.mark.parametrize("key", ["", "x" * 256, "with space", "\xe9"])
def test_a_key_that_is_no_name_is_refused(api: Api, key: str) -> None:
    assert api.refused("POST", "/contacts", json=ADA, headers={"Idempotency-Key": key.encode("latin-1")})[0] == 422
