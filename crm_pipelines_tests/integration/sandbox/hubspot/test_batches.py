"""Up to 100 contacts at once: what is written, and what is told of each."""

from typing import Any

import pytest

from crm_pipelines_tests.fixtures.sandbox import HubSpotSandbox
from crm_pipelines_tests.integration.sandbox.hubspot.conftest import CONTACTS, PROPERTIES, Hub, by_email, by_id


def by_trace(content: dict[str, Any]) -> dict[str, str]:
    """What became of each input: the id of its contact, or the category of its error."""
    written = {result["objectWriteTraceId"]: result["id"] for result in content["results"]}
    refused = {
        trace: error["category"]
        for error in content.get("errors", ())
        for trace in error["context"].get("objectWriteTraceId", ())
    }
    return written | refused


def test_an_upsert_creates_and_updates_and_tells_which(hub: Hub, hubspot_sandbox: HubSpotSandbox) -> None:
    ann = hub.create("ann@example.org", lastname="Lee")
    answer = hub.batch("upsert", by_email("Ann@Example.org", firstname="Ann"), by_email("bob@example.org"))
    assert answer.status_code == 200
    told = {one["properties"]["email"]: (one["new"], one["id"]) for one in answer.json()["results"]}
    assert told["ann@example.org"] == (False, ann)
    assert told["bob@example.org"][0] is True
    contact = hubspot_sandbox.contact("ann@example.org")
    assert contact is not None
    assert (contact["firstname"], contact["lastname"]) == ("Ann", "Lee")


def test_results_are_not_in_the_order_of_the_inputs_and_bear_the_trace_ids(hub: Hub) -> None:
    rows = [by_email(f"c{number}@example.org", f"t{number}") for number in range(3)]
    results = hub.batch("upsert", *rows).json()["results"]
    assert [one["objectWriteTraceId"] for one in results] != ["t0", "t1", "t2"]
    assert {one["objectWriteTraceId"]: one["properties"]["email"] for one in results} == {
        f"t{number}": f"c{number}@example.org" for number in range(3)
    }


def test_results_need_not_bear_the_trace_ids(hub: Hub, hubspot_sandbox: HubSpotSandbox) -> None:
    hubspot_sandbox.configure(echo_trace_ids=False)
    (result,) = hub.batch("upsert", by_email("a@example.org", "t")).json()["results"]
    assert "objectWriteTraceId" not in result


@pytest.mark.parametrize("action", ["upsert", "create", "update"])
def test_without_trace_ids_one_bad_input_rejects_the_whole_batch_and_nothing_is_written(
    hub: Hub, hubspot_sandbox: HubSpotSandbox, action: str
) -> None:
    known = [hub.create(f"known{number}@example.org") for number in range(2)]
    before = hubspot_sandbox.contacts()
    good, bad = {
        "upsert": (by_email("a@example.org"), by_email("b@example.org", nonsense="1")),
        "create": ({"properties": {"email": "a@example.org"}}, {"properties": {"nonsense": "1"}}),
        "update": (by_id(known[0], firstname="A"), by_id(known[1], nonsense="1")),
    }[action]
    answer = hub.batch(action, good, bad)
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")
    assert hubspot_sandbox.contacts() == before
    half_traced = hub.batch(action, {**good, "objectWriteTraceId": "t"}, bad)
    twice_traced = hub.batch(action, *({**row, "objectWriteTraceId": "t"} for row in (good, bad)))
    assert (half_traced.status_code, twice_traced.status_code) == (400, 400)
    assert hubspot_sandbox.contacts() == before


def test_with_trace_ids_the_good_inputs_of_an_upsert_are_written_and_the_others_told(
    hub: Hub, hubspot_sandbox: HubSpotSandbox
) -> None:
    owner = hub.create("owner@example.org")
    answer = hub.batch(
        "upsert",
        by_email("a@example.org", "good"),
        by_email("b@example.org", "unknown", nonsense="1"),
        by_email("no address", "no address"),
        by_email("c@example.org", "taken", email="owner@example.org"),
    )
    assert answer.status_code == 207
    content = answer.json()
    fates = by_trace(content)
    assert {trace: fates[trace] for trace in ("unknown", "no address", "taken")} == {
        "unknown": "VALIDATION_ERROR",
        "no address": "VALIDATION_ERROR",
        "taken": "CONFLICT",
    }
    assert (content["status"], content["numErrors"]) == ("COMPLETE", 3)
    taken = next(error for error in content["errors"] if error["category"] == "CONFLICT")
    assert taken["message"] == f"Contact already exists. Existing ID: {owner}"
    assert {contact["properties"]["email"] for contact in hubspot_sandbox.contacts()} == {
        "owner@example.org",
        "a@example.org",
    }


def test_an_unknown_property_is_named_in_the_error(hub: Hub) -> None:
    (error,) = hub.batch("upsert", by_email("a@example.org", "t", nonsense="1")).json()["errors"]
    assert error["message"].startswith("Property values were not valid: [{")
    assert error["errors"] == [
        {
            "message": 'Property "nonsense" does not exist',
            "code": "PROPERTY_DOESNT_EXIST",
            "context": {"propertyName": ["nonsense"]},
        }
    ]


@pytest.mark.parametrize(("one", "other"), [("a@example.org", "a@example.org"), ("a@example.org", "A@Example.org")])
def test_the_same_address_twice_rejects_the_whole_batch_although_there_are_trace_ids(
    hub: Hub, hubspot_sandbox: HubSpotSandbox, one: str, other: str
) -> None:
    answer = hub.batch("upsert", by_email(one, "1"), by_email(other, "2"), by_email("b@example.org", "3"))
    assert answer.status_code == 400
    assert answer.json()["message"] == "Duplicate IDs found in batch input: [a@example.org]. IDs must be unique"
    assert answer.json()["context"] == {"ids": ["a@example.org"]}
    assert hubspot_sandbox.contacts() == []


def test_the_same_id_twice_rejects_the_whole_update(hub: Hub) -> None:
    ann = hub.create("ann@example.org")
    answer = hub.batch("update", by_id(ann, "1", firstname="A"), by_id(ann, "2", firstname="B"))
    assert (answer.status_code, answer.json()["context"]) == (400, {"ids": [ann]})


@pytest.mark.parametrize("action", ["upsert", "create", "update", "read", "archive"])
def test_a_batch_has_100_inputs_at_most_and_one_at_least(hub: Hub, action: str) -> None:
    rows = [{"id": str(number), "properties": {"email": f"c{number}@example.org"}} for number in range(101)]
    assert hub.batch(action, *rows, properties=[], propertiesWithHistory=[]).status_code == 400
    assert hub.batch(action).status_code == 400
    assert hub.batch(action, *rows[:100], properties=[], propertiesWithHistory=[]).status_code < 300


def test_ids_that_an_update_does_not_find_are_one_error_and_the_others_are_written(hub: Hub) -> None:
    ann = hub.create("ann@example.org")
    answer = hub.batch("update", by_id("8", firstname="X"), by_id(ann, firstname="Ann"), by_id("none", firstname="Y"))
    assert answer.status_code == 207
    content = answer.json()
    assert [one["id"] for one in content["results"]] == [ann]
    assert [(one["category"], one["context"]) for one in content["errors"]] == [
        ("OBJECT_NOT_FOUND", {"ids": ["8", "none"]})
    ]
    assert hub.properties(ann, "firstname") == {"firstname": "Ann"}


def test_an_update_by_address_is_refused(hub: Hub) -> None:
    hub.create("ann@example.org")
    answer = hub.batch("update", by_email("ann@example.org", firstname="Ann"))
    assert answer.status_code == 400
    assert "non-unique property email" in answer.json()["message"]


def test_an_update_by_id_changes_the_address_unless_another_contact_has_it(hub: Hub) -> None:
    ann, bob = hub.create("ann@example.org"), hub.create("bob@example.org")
    answer = hub.batch("update", by_id(ann, "1", email="new@example.org"), by_id(bob, "2", email="NEW@example.org"))
    assert by_trace(answer.json()) == {"1": ann, "2": "CONFLICT"}
    assert hub.properties(ann, "email") == {"email": "new@example.org"}
    assert hub.properties(bob, "email") == {"email": "bob@example.org"}


def test_an_upsert_by_a_property_of_our_own_finds_its_contact_by_it(hub: Hub) -> None:
    definition = {"name": "our_id", "label": "Ours", "type": "string", "fieldType": "text", "hasUniqueValue": True}
    assert hub.post(PROPERTIES, {**definition, "groupName": "contactinformation"}).status_code == 201
    row = {"id": "x-1", "idProperty": "our_id", "properties": {"email": "ann@example.org"}}
    (first,) = hub.batch("upsert", row).json()["results"]
    (second,) = hub.batch("upsert", {**row, "properties": {"email": "new@example.org"}}).json()["results"]
    assert (first["new"], second["new"], first["id"]) == (True, False, second["id"])
    assert hub.properties(first["id"], "our_id", "email") == {"our_id": "x-1", "email": "new@example.org"}
    other = hub.create("other@example.org")
    answer = hub.batch("update", by_id(other, our_id="x-1"))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "CONFLICTING_UNIQUE_VALUE")


@pytest.mark.parametrize("name", ["firstname", "nonsense"])
def test_an_upsert_by_a_property_that_is_not_unique_is_refused(hub: Hub, name: str) -> None:
    answer = hub.batch("upsert", {"id": "Ann", "idProperty": name, "properties": {}})
    assert (answer.status_code, "non-unique" in answer.json()["message"]) == (400, True)


def test_a_further_address_of_a_contact_conflicts_in_an_upsert_and_names_that_contact(
    hub: Hub, hubspot_sandbox: HubSpotSandbox
) -> None:
    (ann,) = hubspot_sandbox.seed({"email": "ann@example.org", "hs_additional_emails": "old@example.org"})
    answer = hub.batch("upsert", by_email("old@example.org", "t", firstname="X"))
    (error,) = answer.json()["errors"]
    assert (error["category"], error["message"]) == ("CONFLICT", f"Contact already exists. Existing ID: {ann}")
    assert hub.get(f"{CONTACTS}/old@example.org", idProperty="email").json()["id"] == str(ann)


def test_the_id_of_a_merged_contact_stands_for_the_one_that_stayed(hub: Hub) -> None:
    ann, twin = hub.create("ann@example.org", firstname="Ann"), hub.create("twin@example.org", lastname="Lee")
    merged = hub.post(f"{CONTACTS}/merge", {"primaryObjectId": ann, "objectIdToMerge": twin})
    assert (merged.status_code, merged.json()["id"]) == (200, ann)
    asked = ["email", "lastname", "hs_additional_emails"]
    (read,) = hub.batch("read", {"id": twin}, properties=asked, propertiesWithHistory=[]).json()["results"]
    assert read["id"] == ann
    assert {name: read["properties"][name] for name in asked} == {
        "email": "ann@example.org",
        "lastname": "Lee",
        "hs_additional_emails": "twin@example.org",
    }
    (updated,) = hub.batch("update", by_id(twin, firstname="Anna")).json()["results"]
    assert (updated["id"], hub.properties(ann, "firstname")) == (ann, {"firstname": "Anna"})


def test_reading_tells_what_was_not_found_beside_what_was(hub: Hub) -> None:
    ann = hub.create("ann@example.org")
    rows = [{"id": "Ann@example.org"}, {"id": "bob@example.org"}]
    answer = hub.batch(
        "read", *rows, idProperty="email", properties=["firstname", "nonsense"], propertiesWithHistory=[]
    )
    assert answer.status_code == 207
    content = answer.json()
    (result,) = content["results"]
    assert result["id"] == ann
    assert result["properties"]["firstname"] is None
    assert "nonsense" not in result["properties"]
    assert content["errors"][0]["context"] == {"ids": ["bob@example.org"]}


def test_creating_names_the_contact_that_there_is(hub: Hub, hubspot_sandbox: HubSpotSandbox) -> None:
    ann = hub.create("ann@example.org")
    rows = [{"properties": {"email": f"{name}@example.org"}} for name in ("bob", "ann")]
    refused = hub.batch("create", *rows)
    assert (refused.status_code, refused.json()["message"]) == (409, f"Contact already exists. Existing ID: {ann}")
    assert len(hubspot_sandbox.contacts()) == 1
    traced = [{**row, "objectWriteTraceId": str(number)} for number, row in enumerate(rows)]
    assert by_trace(hub.batch("create", *traced).json())["1"] == "CONFLICT"
    assert len(hubspot_sandbox.contacts()) == 2


def test_what_is_archived_is_read_only_when_asked_for(hub: Hub) -> None:
    ann = hub.create("ann@example.org")
    assert hub.batch("archive", {"id": ann}, {"id": "8"}).status_code == 204
    assert hub.get(f"{CONTACTS}/{ann}").status_code == 404
    assert hub.get(f"{CONTACTS}/{ann}", archived="true").json()["archived"] is True
    body = {"inputs": [{"id": ann}], "properties": [], "propertiesWithHistory": []}
    (read,) = hub.post(f"{CONTACTS}/batch/read", body, archived="true").json()["results"]
    assert read["properties"]["email"] == "ann@example.org"
    assert hub.create("ann@example.org") != ann


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"inputs": {}},
        {"inputs": [1]},
        {"inputs": [{"properties": {}}]},
        {"inputs": [{"id": "a@example.org", "idProperty": "email"}]},
        {"inputs": [{"id": "a@example.org", "idProperty": "email", "properties": {"firstname": None}}]},
        {"inputs": [{"id": "a@example.org", "idProperty": "email", "properties": {"firstname": 1}}]},
    ],
)
def test_a_body_that_is_no_batch_is_refused(hub: Hub, hubspot_sandbox: HubSpotSandbox, body: Any) -> None:
    assert hub.post(f"{CONTACTS}/batch/upsert", body).status_code == 400
    assert hubspot_sandbox.contacts() == []
