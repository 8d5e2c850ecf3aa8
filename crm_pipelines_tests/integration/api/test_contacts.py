"""Contacts made, read, changed, deleted and listed over HTTP."""

from typing import Any
from uuid import uuid4

import pytest

from crm_pipelines_tests.fixtures.api import Api
from crm_pipelines_tests.integration.contacts.states import put
from crm_pipelines_tests.patience import PATIENCE

ADA = {
    "email": "ada@example.com",
    "name": "Ada Lovelace",
    "phone_number": "+44 20 7946 0958",
    "email_type": "work",
    "has_gmail": False,
    "context": "met at \N{SNOWMAN}",
    "source_url": "https://example.com",
    "source_job_id": str(uuid4()),
    "domain_id": str(uuid4()),
    "page_id": str(uuid4()),
    "custom_fields": {"Tier": "gold", "visits": 3, "nested": {"a": [1, None]}},
}


def test_what_was_made_is_what_is_read(api: Api) -> None:
    answer = api.call("POST", "/contacts", json=ADA)
    assert answer.status_code == 201
    made = answer.json()
    assert {name: made[name] for name in ADA} == ADA
    assert made["created_at"].endswith("Z")
    assert {one["crm"]: one["sync_status"] for one in made["crms"]} == dict.fromkeys(
        ("brevo", "hubspot", "mautic", "n8n"), "New"
    )
    assert api.get(f"/contacts/{made['id']}") == made


def test_the_originals_requests_about_one_contact_work_as_it_sent_them(api: Api) -> None:
    sent = {name: value for name, value in ADA.items() if name not in {"custom_fields", "email_type"}}
    made = api.call("POST", "/contacts/", json={**sent, "email_type": "CORPORATE"})
    assert made.status_code == 201, made.text
    path = f"/contacts/{made.json()['id']}"
    assert api.get(path) == made.json()
    assert api.call("PUT", path, json={**sent, "name": "Ada King"}).json()["name"] == "Ada King"
    assert api.call("DELETE", path).status_code == 204


def test_parts_of_a_name_stay_apart_and_the_whole_name_follows(api: Api) -> None:
    def names(answer: Any) -> list[str | None]:
        return [answer[column] for column in ("name", "first_name", "last_name")]

    made = api.post("/contacts", {"email": "a@example.com", "first_name": "Mary Ann", "last_name": "Smith"})
    path = f"/contacts/{made['id']}"
    assert names(made) == ["Mary Ann Smith", "Mary Ann", "Smith"]
    for body, expected in (
        ({"last_name": "King"}, ["Mary Ann King", "Mary Ann", "King"]),
        ({"first_name": None}, ["King", None, "King"]),
        ({"name": "Dr. Ada King"}, ["Dr. Ada King", None, None]),
        ({"last_name": "Byron"}, ["Ada Byron", "Ada", "Byron"]),
        ({"first_name": None, "last_name": None}, ["Ada Byron", None, None]),
        ({"first_name": None}, ["Ada Byron", None, None]),
        ({"name": None, "first_name": "Ada"}, ["Ada", "Ada", None]),
        ({"name": None}, [None, None, None]),
    ):
        assert names(api.call("PATCH", path, json=body).json()) == expected
    whole = {"email": "a@example.com", "name": "Countess of Lovelace", "first_name": "Ada", "last_name": "Lovelace"}
    for name in ("Countess of Lovelace", "Countess of Lovelace", "Dr. Lovelace", "Dr. Lovelace"):
        put_back = api.call("PUT", path, json={**whole, "name": name}).json()
        assert names(put_back) == [name, "Ada", "Lovelace"]
    assert names(api.call("PUT", path, json={"email": "a@example.com"}).json()) == [None, None, None]


def test_put_replaces_all_patch_what_is_given_and_an_edit_is_queued_again(api: Api) -> None:
    made = api.post("/contacts", ADA)
    path = f"/contacts/{made['id']}"
    with api.engine.begin() as connection:
        put(connection, made["id"], "synced")
    patched = api.call("PATCH", path, json={"name": " Ada King ", "context": " "}).json()
    assert {name: patched[name] for name in ADA} == {**ADA, "name": "Ada King", "context": None}
    assert (patched["revision"], patched["crms"][0]["sync_status"]) == (2, "Selected")
    replaced = api.call("PUT", path, json={"email": "king@example.com"}).json()
    assert {name: value for name, value in replaced.items() if name in ADA and value} == {"email": "king@example.com"}
    assert api.call("PATCH", path, json={}).json() == replaced


def test_an_address_that_somebody_has_is_a_conflict_with_their_id(api: Api) -> None:
    ada, grace = api.post("/contacts", ADA), api.post("/contacts", {"email": "grace@example.com"})
    for method, path, body in [
        ("POST", "/contacts", {"email": "ADA@example.com"}),
        ("PATCH", f"/contacts/{grace['id']}", {"email": " Ada@Example.com "}),
        ("PUT", f"/contacts/{grace['id']}", ADA),
    ]:
        answer = api.call(method, path, json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "address_taken")
        assert answer.json()["error"]["details"] == {"contact_id": ada["id"]}
    assert api.get(f"/contacts/{grace['id']}") == grace


def test_who_was_deleted_is_gone_with_all_that_is_known(api: Api) -> None:
    made = api.post("/contacts", ADA)
    api.post("/contacts/crm/select", {"contact_ids": [made["id"]], "crms": ["brevo"]})
    path = f"/contacts/{made['id']}"
    answer = api.call("DELETE", path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert api.people.states() == {}
    for method in ("GET", "DELETE", "PATCH"):
        assert api.refused(method, path, json={}) == (404, "contact_not_found")
    assert api.refused("PUT", path, json=ADA) == (404, "contact_not_found")
    assert api.refused("GET", f"{path}/sync-status") == (404, "contact_not_found")


@pytest.mark.parametrize(
    "fields",
    [
        {"email": None},
        {"email": ""},
        {"email": "ada"},
        {"email": "ada@"},
        {"email": "ada lovelace@example.com"},
        {"email": f"{'a' * 300}@example.com"},
        {"name": 7},
        {"name": "a\0b"},
        {"name": "x" * 100_001},
        {"has_gmail": "perhaps"},
        {"domain_id": "example.com"},
        {"custom_fields": []},
        {"custom_fields": {"a": "\0"}},
        {"custom_fields": {"a": "x" * 100_001}},
        {"nickname": "Ada"},
        {"id": str(uuid4())},
        {"brevo_sync_status": "Selected"},
    ],
)
def test_what_cannot_be_stored_is_named_and_its_value_is_not_repeated(api: Api, fields: dict[str, Any]) -> None:
    made = api.post("/contacts", ADA)
    for method, path in (
        ("POST", "/contacts"),
        ("PUT", f"/contacts/{made['id']}"),
        ("PATCH", f"/contacts/{made['id']}"),
    ):
        answer = api.call(method, path, json={**ADA, **fields})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "validation_failed")
        [problem] = answer.json()["error"]["details"]
        assert problem["field"].startswith(f"body.{next(iter(fields))}")
        assert not any(isinstance(value, str) and len(value) > 3 and value in answer.text for value in fields.values())
    assert api.get(f"/contacts/{made['id']}") == made


@pytest.mark.parametrize(
    "body",
    [
        b'{"email": "q@example.com", "name": "\\ud800"}',
        b'{"email": "q@example.com", "custom_fields": {"a": "\\ud800"}}',
        b'{"email": "q@example.com", "custom_fields": {"a": NaN}}',
        b'{"email": "q@example.com", "custom_fields": {"a": 1e999}}',
        b'{"email": "q@example.com", "custom_fields": ' + b'{"a":' * 21 + b"1" + b"}" * 22,
        b'{"email": ',
        b"[" * 100_000,
        b"\xff\xfe",
        b"",
        b"null",
        b"7",
    ],
)
def test_bodies_that_are_no_json_or_hold_what_no_database_takes_are_refused(api: Api, body: bytes) -> None:
    status, _ = api.refused("POST", "/contacts", data=body, headers={"Content-Type": "application/json"})
    assert status in {400, 422}
    assert api.get("/contacts")["total"] == 0


def test_a_body_that_is_not_declared_as_json_is_refused_with_what_to_send(api: Api) -> None:
    answer = api.call("POST", "/contacts", data='{"email": "ada@example.com"}')
    assert answer.status_code == 422
    assert "Content-Type: application/json" in answer.json()["error"]["message"]


def test_pages_show_everybody_once_in_a_stable_order_while_others_come_and_go(api: Api) -> None:
    # Made in one moment, they are in the order of their ids.
    ids = sorted(str(one) for one in api.people.add(25, select=False))
    seen: list[str] = []
    cursor = None
    while True:
        page = api.get("/contacts", limit=10, **({"cursor": cursor} if cursor else {}))
        seen += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        api.call("DELETE", f"/contacts/{page['items'][0]['id']}")
        ids.append(api.post("/contacts", {"email": f"late{len(ids)}@example.com"})["id"])
    assert seen == ids
    assert page["total"] == len(ids) - 2


def test_a_list_is_narrowed_down_by_status_at_a_crm_and_by_time(api: Api) -> None:
    api.people.add(2, name="queued")
    api.people.add(1, name="new", select=False)
    assert [one["name"] for one in api.get("/contacts", status="New")["items"]] == ["new"]
    assert api.get("/contacts", status="New", crm="hubspot")["total"] == 3
    assert api.get("/contacts", created_before="2001-01-01T00:00:00Z")["total"] == 0
    assert api.get("/contacts", created_since="2001-01-01T00:00:00Z", limit=1)["total"] == 3


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 501},
        {"cursor": "abc"},
        {"cursor": "WyJhIiwgImIiXQ"},
        {"cursor": "\0"},
        {"status": "Lost"},
        {"created_since": "2001-01-01T00:00:00"},
        {"created_since": "0.5"},
        {"email_type": "\0"},
        {"text": "ada"},
    ],
)
def test_a_list_that_makes_no_sense_is_refused(api: Api, query: dict[str, Any]) -> None:
    assert api.refused("GET", "/contacts", params=query)[0] == 422


def test_no_url_takes_what_tells_of_a_person(api: Api) -> None:
    document = api.session.get(f"{api.root}/api/v3/openapi.json", timeout=PATIENCE).json()
    names = {
        parameter["name"]
        for path in document["paths"].values()
        for operation in path.values()
        for parameter in operation.get("parameters", [])
        if parameter["in"] in {"query", "path"}
    }
    assert names == {
        "contact_id",
        "crm",
        "status",
        "domain_id",
        "email_type",
        "kind",
        "created_since",
        "created_before",
        "limit",
        "cursor",
        "live",
    }
