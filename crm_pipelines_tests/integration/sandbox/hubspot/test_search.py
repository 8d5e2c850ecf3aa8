"""The search by filters."""

from typing import Any

import pytest

from crm_pipelines_tests.integration.sandbox.hubspot.conftest import CONTACTS, Hub


def found(hub: Hub, *filters: dict[str, Any], **more: Any) -> list[str]:
    answer = hub.post(f"{CONTACTS}/search", {"filterGroups": [{"filters": list(filters)}], **more})
    assert answer.status_code == 200, answer.text
    return [one["properties"]["email"] for one in answer.json()["results"]]


def test_contacts_are_found_by_value(hub: Hub) -> None:
    hub.create("ann@example.org", lastname="Lee")
    hub.create("bob@example.org")
    assert found(hub, {"propertyName": "email", "operator": "EQ", "value": "Ann@example.org"}) == ["ann@example.org"]
    both = {"propertyName": "email", "operator": "IN", "values": ["ann@example.org", "bob@example.org", "x"]}
    assert found(hub, both) == ["ann@example.org", "bob@example.org"]
    assert found(hub, both, {"propertyName": "lastname", "operator": "HAS_PROPERTY"}) == ["ann@example.org"]
    assert found(hub, {"propertyName": "lastname", "operator": "NOT_HAS_PROPERTY"}) == ["bob@example.org"]


def test_groups_are_alternatives(hub: Hub) -> None:
    for name in ("ann", "bob", "eve"):
        hub.create(f"{name}@example.org", firstname=name)
    groups = [{"filters": [{"propertyName": "firstname", "operator": "EQ", "value": name}]} for name in ("ann", "eve")]
    content = hub.post(f"{CONTACTS}/search", {"filterGroups": groups}).json()
    assert (content["total"], len(content["results"])) == (2, 2)


def test_a_search_has_pages(hub: Hub) -> None:
    for number in range(3):
        hub.create(f"c{number}@example.org")
    first = hub.post(f"{CONTACTS}/search", {"limit": 2}).json()
    second = hub.post(f"{CONTACTS}/search", {"limit": 2, "after": first["paging"]["next"]["after"]}).json()
    assert (first["total"], len(first["results"]), len(second["results"])) == (3, 2, 1)
    assert "paging" not in second


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 201},
        {"after": "9999"},
        {"query": "ann"},
        {"filterGroups": [{"filters": [{"propertyName": "nonsense", "operator": "EQ", "value": "1"}]}]},
        {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "LIKE", "value": "1"}]}]},
        {"filterGroups": [{"filters": []}] * 6},
        {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "HAS_PROPERTY"}] * 7}]},
        {"filterGroups": "all"},
        {"filterGroups": [{}]},
    ],
)
def test_what_is_no_search_is_refused(hub: Hub, body: dict[str, Any]) -> None:
    assert hub.post(f"{CONTACTS}/search", body).status_code == 400
