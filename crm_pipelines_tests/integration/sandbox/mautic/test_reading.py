"""The list of contacts: conditions, search, pages."""

from typing import Any

import pytest

from crm_pipelines_tests.fixtures.sandbox import MauticSandbox
from crm_pipelines_tests.integration.sandbox.mautic.conftest import CONTACTS, Client, error, where


def emails(client: Client, **query: Any) -> list[str]:
    answer = client.get(CONTACTS, **query)
    assert answer.status_code == 200, answer.text
    return [contact["fields"]["all"]["email"] for contact in answer.json()["contacts"].values()]


def test_the_total_is_a_text_and_contacts_are_an_object_by_id_also_when_there_are_none(client: Client) -> None:
    assert client.get(CONTACTS, **where("email", "eq", "unicorn")).text == '{"total": "0", "contacts": {}}'
    ann = client.create("ann@example.org")
    content = client.get(CONTACTS).json()
    assert content["total"] == "1"
    assert content["contacts"][str(ann)]["id"] == ann


@pytest.mark.parametrize(
    ("col", "expr", "val", "found"),
    [
        ("email", "eq", "ANN@example.org", ["ann"]),
        ("email", "eq", "ann", []),
        ("email", "in", "ann@example.org,dan@example.org,cy@example.org", ["ann", "cy"]),
        ("email", "in", "ann@example.org", ["ann"]),
        ("email", "in", "", []),
        ("email", "notIn", "ann@example.org,cy@example.org", ["bob"]),
        ("email", "neq", "ann@example.org", ["bob", "cy"]),
        ("email", "like", "%n@%", ["ann"]),
        ("id", "in", "1,3", ["ann", "cy"]),
        ("id", "gt", "1", ["bob", "cy"]),
        ("city", "isNull", "", ["bob", "cy"]),
        ("city", "isNotEmpty", "", ["ann"]),
        ("city", "eq", "rôme", ["ann"]),
        ("city", "in", "none", []),
        ("l.city", "eq", "Rome", ["ann"]),
        ("city", "nonsense", "Rome", ["ann", "bob", "cy"]),
    ],
)
def test_conditions_find_as_the_database_compares(
    client: Client, col: str, expr: str, val: str, found: list[str]
) -> None:
    client.upsert(
        {"email": "ann@example.org", "city": "Rome"}, {"email": "bob@example.org"}, {"email": "cy@example.org"}
    )
    assert emails(client, **where(col, expr, val)) == [f"{name}@example.org" for name in found]


def test_an_address_with_a_quote_is_found_by_a_list_only(client: Client) -> None:
    client.create("o'brien@example.org")
    assert emails(client, **where("email", "eq", "o'brien@example.org")) == []
    assert emails(client, **where("email", "in", "o'brien@example.org")) == ["o'brien@example.org"]


def test_conditions_are_joined_by_and(client: Client) -> None:
    client.upsert({"email": "a@example.org", "city": "Rome"}, {"email": "b@example.org", "city": "Rome"})
    second = {"where[1][col]": "email", "where[1][expr]": "eq", "where[1][val]": "b@example.org"}
    assert emails(client, **where("city", "eq", "Rome"), **second) == ["b@example.org"]


def test_a_column_that_there_is_not_breaks_the_request(client: Client) -> None:
    assert error(client.get(CONTACTS, **where("emial", "eq", "a")))["code"] == 500


@pytest.mark.parametrize(
    ("search", "found"),
    [("email:ann@example.org", 1), ("example", 2), ("ids:1,2", 2), ("lee", 1), ("firstname:ann", 1), ("nobody", 0)],
)
def test_the_search_finds_by_address_id_and_name(client: Client, search: str, found: int) -> None:
    client.upsert({"email": "ann@example.org", "firstname": "Ann"}, {"email": "b@example.org", "lastname": "Lee"})
    assert len(emails(client, search=search)) == found


def test_a_page_has_30_contacts_unless_it_is_told_otherwise(client: Client) -> None:
    client.upsert(*({"email": f"{number}@example.org"} for number in range(35)))
    assert len(emails(client)) == 30
    assert len(emails(client, limit="0")) == 35
    assert emails(client, start="33", limit="5") == ["33@example.org", "34@example.org"]
    assert client.get(CONTACTS, start="33").json()["total"] == "35"


def test_a_minimal_contact_does_not_tell_who_is_not_to_be_contacted(client: Client) -> None:
    ann = str(client.create("ann@example.org", tags=["a"]))
    whole = client.get(CONTACTS).json()["contacts"][ann]
    minimal = client.get(CONTACTS, minimal="1").json()["contacts"][ann]
    assert minimal["fields"] == whole["fields"]
    assert set(whole) - set(minimal) >= {"doNotContact", "tags", "owner"}


def test_the_sandbox_tells_what_it_has_by_alias(client: Client, mautic_sandbox: MauticSandbox) -> None:
    client.create("Ann@example.org", city="Rome")
    mautic_sandbox.opt_out("ann@example.org")
    assert mautic_sandbox.contact("ann@example.org") == {
        "id": 1,
        "email": "ann@example.org",
        "city": "Rome",
        "points": 0,
    }
    assert mautic_sandbox.opted_out("ann@example.org")
    assert mautic_sandbox.contact("bob@example.org") is None
