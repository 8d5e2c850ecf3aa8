"""Properties, their groups, and lists."""

from typing import Any

import pytest

from crm_pipelines_tests.fixtures.sandbox import HubSpotSandbox
from crm_pipelines_tests.integration.sandbox.hubspot.conftest import CONTACTS, PROPERTIES, Hub

DOMAIN: dict[str, Any] = {
    "name": "domain_id",
    "label": "Domain id",
    "groupName": "contactinformation",
    "type": "string",
    "fieldType": "text",
}
LISTS = "/crm/v3/lists"


@pytest.mark.parametrize("path", [PROPERTIES, "/crm/properties/2026-09/0-1", "/crm/properties/2026-03/contacts"])
def test_a_property_is_created_listed_changed_and_archived(hub: Hub, path: str) -> None:
    assert hub.post(path, DOMAIN).status_code == 201
    assert hub.get(f"{path}/domain_id").json()["label"] == "Domain id"
    assert {"email", "domain_id"} <= {one["name"] for one in hub.get(path).json()["results"]}
    assert hub.patch(f"{path}/domain_id", {"label": "New"}).json()["label"] == "New"
    assert hub.delete(f"{path}/domain_id").status_code == 204
    assert hub.get(f"{path}/domain_id").status_code == 404
    assert hub.get(f"{path}/domain_id", archived="true").status_code == 200


def test_a_property_that_exists_is_a_conflict_and_stays_as_it_is(hub: Hub) -> None:
    hub.post(PROPERTIES, DOMAIN)
    answer = hub.post(PROPERTIES, {**DOMAIN, "label": "Other"})
    assert (answer.status_code, answer.json()["category"]) == (409, "OBJECT_ALREADY_EXISTS")
    assert answer.json()["subCategory"] == "Properties.PROPERTY_WITH_NAME_EXISTS"
    assert hub.get(f"{PROPERTIES}/domain_id").json()["label"] == "Domain id"


def test_creating_an_archived_property_brings_it_back_without_its_values(hub: Hub) -> None:
    created = hub.post(PROPERTIES, DOMAIN).json()["createdAt"]
    ann = hub.create("ann@example.org", domain_id="d")
    hub.delete(f"{PROPERTIES}/domain_id")
    answer = hub.post(PROPERTIES, {**DOMAIN, "label": "Back"})
    assert (answer.status_code, answer.json()["createdAt"], answer.json()["label"]) == (201, created, "Back")
    assert hub.get(f"{PROPERTIES}/domain_id", archived="true").status_code == 404
    assert hub.properties(ann, "domain_id") == {"domain_id": None}


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"label": None},
        {"groupName": "none"},
        {"type": "number"},
        {"type": "text"},
        {"type": "enumeration", "fieldType": "select"},
        {"options": "tea"},
    ],
)
def test_a_definition_that_does_not_hold_together_is_refused(hub: Hub, wrong: dict[str, Any]) -> None:
    assert hub.post(PROPERTIES, {**DOMAIN, **wrong}).status_code == 400
    assert hub.get(f"{PROPERTIES}/domain_id").status_code == 404


def test_given_options_replace_all_that_there_were(hub: Hub) -> None:
    def options(*values: str) -> list[dict[str, Any]]:
        return [{"label": value.upper(), "value": value, "hidden": False} for value in values]

    hub.post(PROPERTIES, {**DOMAIN, "type": "enumeration", "fieldType": "select", "options": options("a", "b")})
    assert hub.patch(f"{PROPERTIES}/domain_id", {"options": options("c")}).status_code == 200
    assert [one["value"] for one in hub.get(f"{PROPERTIES}/domain_id").json()["options"]] == ["c"]
    assert hub.post(CONTACTS, {"properties": {"lastname": "L", "domain_id": "a"}}).status_code == 400


def test_there_are_ten_properties_with_unique_values_at_most(hub: Hub) -> None:
    def create(number: int) -> int:
        return hub.post(PROPERTIES, {**DOMAIN, "name": f"own_{number}", "hasUniqueValue": True}).status_code

    assert [create(number) for number in range(11)] == [201] * 10 + [400]


def test_properties_are_created_and_read_in_batches(hub: Hub) -> None:
    hub.post(PROPERTIES, DOMAIN)
    answer = hub.post(f"{PROPERTIES}/batch/create", {"inputs": [DOMAIN, {**DOMAIN, "name": "other"}]})
    assert answer.status_code == 207
    assert [one["name"] for one in answer.json()["results"]] == ["other"]
    assert [one["category"] for one in answer.json()["errors"]] == ["OBJECT_ALREADY_EXISTS"]
    body = {"inputs": [{"name": "other"}, {"name": "none"}], "archived": False}
    read = hub.post(f"{PROPERTIES}/batch/read", body)
    assert (read.status_code, [one["name"] for one in read.json()["results"]]) == (207, ["other"])


def test_groups_are_created_and_listed(hub: Hub) -> None:
    path = f"{PROPERTIES}/groups"
    assert hub.post(path, {"name": "ours", "label": "Ours"}).status_code == 201
    assert hub.post(path, {"name": "ours", "label": "Ours"}).status_code == 409
    assert {one["name"] for one in hub.get(path).json()["results"]} == {"contactinformation", "ours"}
    assert hub.get(f"{path}/ours").json()["label"] == "Ours"
    assert hub.post(PROPERTIES, {**DOMAIN, "groupName": "ours"}).json()["groupName"] == "ours"


def test_what_hubspot_defined_cannot_be_archived(hub: Hub) -> None:
    assert hub.delete(f"{PROPERTIES}/email").status_code == 400


def new_list(hub: Hub, name: str = "News", processing: str = "MANUAL") -> str:
    answer = hub.post(LISTS, {"name": name, "objectTypeId": "0-1", "processingType": processing})
    assert answer.status_code == 200, answer.text
    identifier: str = answer.json()["list"]["listId"]
    return identifier


@pytest.mark.parametrize("path", [LISTS, f"{LISTS}/", "/crm/lists/2026-03"])
def test_a_list_is_created_and_read(hub: Hub, path: str) -> None:
    body = {"name": "News", "objectTypeId": "0-1", "processingType": "MANUAL"}
    created = hub.post(path, body).json()["list"]
    read = hub.get(f"{path.rstrip('/')}/{created['listId']}").json()["list"]
    assert (read["name"], read["processingType"], read["size"]) == ("News", "MANUAL", 0)
    refused = hub.post(path, body)
    assert (refused.status_code, refused.json()["subCategory"]) == (400, "ILS.DUPLICATE_LIST_NAMES")


def test_lists_are_found_by_name_and_in_numbers(hub: Hub) -> None:
    one, two = new_list(hub, "One"), new_list(hub, "Two words")
    assert hub.get(f"{LISTS}/object-type-id/0-1/name/Two words").json()["list"]["listId"] == two
    assert [found["name"] for found in hub.get(LISTS, listIds=[one, two, "9"]).json()["lists"]] == ["One", "Two words"]
    assert hub.delete(f"{LISTS}/{one}").status_code == 204
    assert hub.get(f"{LISTS}/{one}").status_code == 404


def test_contacts_come_onto_a_list_and_leave_it(hub: Hub) -> None:
    group = new_list(hub)
    ann, bob = hub.create("ann@example.org"), hub.create("bob@example.org")
    first = hub.put(f"{LISTS}/{group}/memberships/add", [ann, "8"]).json()
    assert first == {"recordsIdsAdded": [ann], "recordIdsRemoved": [], "recordIdsMissing": ["8"]}
    assert hub.put(f"{LISTS}/{group}/memberships/add", [ann, bob]).json()["recordsIdsAdded"] == [bob]
    page = hub.get(f"{LISTS}/{group}/memberships", limit=1).json()
    rest = hub.get(f"{LISTS}/{group}/memberships", after=page["paging"]["next"]["after"]).json()
    assert [one["recordId"] for one in page["results"] + rest["results"]] == [ann, bob]
    assert hub.put(f"{LISTS}/{group}/memberships/remove", [ann]).json()["recordIdsRemoved"] == [ann]
    both = {"recordIdsToAdd": [ann], "recordIdsToRemove": [bob]}
    assert hub.put(f"{LISTS}/{group}/memberships/add-and-remove", both).status_code == 200
    assert [one["listId"] for one in hub.get(f"{LISTS}/records/0-1/{ann}/memberships").json()["results"]] == [group]
    assert hub.get(f"{LISTS}/records/0-1/{bob}/memberships").json()["results"] == []


def test_who_is_archived_leaves_the_lists(hub: Hub, hubspot_sandbox: HubSpotSandbox) -> None:
    group, ann = new_list(hub), hub.create("ann@example.org")
    hub.put(f"{LISTS}/{group}/memberships/add", [ann])
    hub.delete(f"{CONTACTS}/{ann}")
    assert hubspot_sandbox.state()["lists"][0]["contacts"] == []


def test_a_dynamic_list_is_not_changed_by_hand(hub: Hub) -> None:
    group = new_list(hub, processing="DYNAMIC")
    assert hub.put(f"{LISTS}/{group}/memberships/add", [hub.create("a@example.org")]).status_code == 400


@pytest.mark.parametrize("body", [{}, {"ids": ["1"]}, [[]], None])
def test_memberships_are_an_array_of_ids(hub: Hub, body: Any) -> None:
    assert hub.put(f"{LISTS}/{new_list(hub)}/memberships/add", body).status_code == 400
