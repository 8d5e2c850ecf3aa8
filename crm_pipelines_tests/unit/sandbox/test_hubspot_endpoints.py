"""The endpoints of HubSpot's sandbox, without HTTP."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipelines.sandbox.core.answers import Call
from crm_pipelines.sandbox.hubspot import persistence
from crm_pipelines.sandbox.hubspot.account import Account
from crm_pipelines.sandbox.hubspot.answers import ApiError
from crm_pipelines.sandbox.hubspot.routes import route
from crm_pipelines.sandbox.hubspot.seeds import seed

CONTACTS, PROPERTIES, LISTS = "/crm/v3/objects/contacts", "/crm/v3/properties/contacts", "/crm/v3/lists"
WRITES = [
    ("POST", CONTACTS),
    *(("POST", f"{CONTACTS}/batch/{action}") for action in ("upsert", "update", "create", "read", "archive")),
    ("POST", f"{CONTACTS}/merge"),
    ("POST", f"{CONTACTS}/gdpr-delete"),
    ("POST", f"{CONTACTS}/search"),
    ("PATCH", f"{CONTACTS}/101"),
    ("POST", PROPERTIES),
    ("PATCH", f"{PROPERTIES}/own"),
    ("POST", f"{PROPERTIES}/batch/create"),
    ("POST", f"{PROPERTIES}/batch/read"),
    ("POST", f"{PROPERTIES}/groups"),
    ("POST", LISTS),
    ("PUT", f"{LISTS}/1/memberships/add"),
    ("PUT", f"{LISTS}/1/memberships/add-and-remove"),
    ("POST", "/communication-preferences/v4/statuses/batch/unsubscribe-all/read"),
]
KEYS = [
    *("inputs", "id", "idProperty", "properties", "objectWriteTraceId", "email", "firstname", "own", "name", "label"),
    *("groupName", "type", "fieldType", "options", "value", "hidden", "displayOrder", "hasUniqueValue", "filterGroups"),
    *(
        "filters",
        "propertyName",
        "operator",
        "values",
        "limit",
        "after",
        "objectId",
        "primaryObjectId",
        "lifecyclestage",
    ),
    *("objectIdToMerge", "objectTypeId", "processingType", "recordIdsToAdd", "recordIdsToRemove", "archived"),
]
WORDS = [
    *("ann@example.org", "bob@example.org", "old@example.org", "101", "102", "email", "own", "EQ", "IN", "0-1", "1"),
    *("MANUAL", "string", "text", "enumeration", "select", "contactinformation", "customer", "", 1, 101),
]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=15,
)
rows = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["101", "102", "ann@example.org", "old@example.org", "new@example.org", "x"]),
        "idProperty": st.sampled_from(["email", "own", "hs_object_id"]),
        "properties": st.dictionaries(
            st.sampled_from(["email", "own", "firstname", "lifecyclestage"]),
            st.sampled_from(
                ["ann@example.org", "bob@example.org", "old@example.org", "new@example.org", "x", "", "lead"]
            ),
        ),
        "objectWriteTraceId": st.sampled_from(["1", "2", "3"]),
    },
)
bodies = values | st.fixed_dictionaries({"inputs": st.lists(rows, max_size=3)})


def an_account() -> Account:
    account = Account()
    definition = {"name": "own", "label": "Own", "groupName": "contactinformation", "type": "string"}
    ask(account, "POST", PROPERTIES, {**definition, "fieldType": "text", "hasUniqueValue": True})
    ask(account, "POST", LISTS, {"name": "L", "objectTypeId": "0-1", "processingType": "MANUAL"})
    seed(account, {"email": "ann@example.org", "hs_additional_emails": "old@example.org", "own": "x"})
    seed(account, {"email": "bob@example.org", "lifecyclestage": "customer"})
    ask(account, "PUT", f"{LISTS}/1/memberships/add", ["101"])
    return account


def ask(account: Account, method: str, path: str, body: Any, query: str = "") -> None:
    asked = Call(method, path, query, json.dumps(body).encode(), host="127.0.0.1", client_host="127.0.0.1")
    endpoint, arguments = route(asked)
    endpoint(account, asked, *arguments)


@pytest.mark.parametrize(("method", "path"), WRITES, ids=lambda value: str(value).rpartition("/")[2])
@settings(max_examples=40, deadline=None)
@given(body=bodies)
def test_no_body_makes_the_sandbox_fail_or_lose_count_of_who_has_which_unique_value(
    method: str, path: str, body: Any
) -> None:
    account = an_account()
    with suppress(ApiError):
        ask(account, method, path, body, "channel=EMAIL")
    for name, owners in account.owners.items():
        expected = {c.properties[name]: c for c in account.contacts.values() if name in c.properties}
        if name == "email":
            expected |= {address: contact for contact in account.contacts.values() for address in contact.additional}
        assert owners == expected
    assert all(group.members.keys() <= account.contacts.keys() for group in account.lists.values())
    state = json.loads(json.dumps(persistence.snapshot(account)))
    persistence.restore(again := Account(), state)
    assert json.loads(json.dumps(persistence.snapshot(again))) == state


@settings(max_examples=50, deadline=None)
@given(identifier=st.text(min_size=1, max_size=30) | st.from_regex(r"\A\d{1,5000}\Z"), query=st.text(max_size=40))
def test_no_path_or_query_makes_the_sandbox_fail(identifier: str, query: str) -> None:
    account = an_account()
    paths = (f"{CONTACTS}/{identifier}", f"{PROPERTIES}/{identifier}", f"{LISTS}/{identifier}/memberships", CONTACTS)
    for path in paths:
        for text in (query, f"idProperty={query}", f"limit={query}", f"after={query}", f"properties={query}"):
            with suppress(ApiError):
                ask(account, "GET", path, None, text)
