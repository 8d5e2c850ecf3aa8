"""The endpoints of the sandbox, without HTTP."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipelines.sandbox.brevo.account import Account
from crm_pipelines.sandbox.brevo.answers import ApiError
from crm_pipelines.sandbox.brevo.attributes import Attribute
from crm_pipelines.sandbox.brevo.contacts import (
    create_contact,
    list_contacts,
    read_contact,
    update_batch,
    update_contact,
)
from crm_pipelines.sandbox.brevo.groups import add_to_list, create_folder, create_list, remove_from_list, update_list
from crm_pipelines.sandbox.brevo.imports import import_contacts
from crm_pipelines.sandbox.brevo.schema import create_attribute, update_attribute
from crm_pipelines.sandbox.core.answers import Call
from crm_pipelines.sandbox.core.routing import Endpoint

ANN = {"email": "ann@example.org", "attributes": {"SMS": "+14196056306", "EXT_ID": "a-1"}}
ENDPOINTS: list[tuple[Endpoint, tuple[str, ...]]] = [
    (create_contact, ()),
    (update_contact, ("1",)),
    (update_batch, ()),
    (import_contacts, ()),
    (create_list, ()),
    (update_list, ("2",)),
    (add_to_list, ("2",)),
    (remove_from_list, ("2",)),
    (create_folder, ()),
    (create_attribute, ("category", "NEW")),
    (create_attribute, ("normal", "NEW")),
    (update_attribute, ("category", "ANSWER")),
]
KEYS = [
    *("email", "id", "sms", "ext_id", "extIds", "ids", "emails", "attributes", "listIds", "unlinkListIds", "newList"),
    *("updateEnabled", "forceMerge", "emailBlacklisted", "contacts", "jsonBody", "fileBody", "name", "folderId", "all"),
    *("listName", "EMAIL", "SMS", "EXT_ID", "FIRSTNAME", "PLACES", "ANSWER", "BORN", "type", "enumeration", "value"),
    *("multiCategoryOptions", "label"),
]
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["ann@example.org", "bob@example.org", "+14196056306", "a-1", "", 1, 2, "text"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)
bodies = st.dictionaries(st.sampled_from(KEYS), values, max_size=6)


def run_at_once(_: object, steps: Any) -> None:
    for _step in steps:
        pass


def an_account() -> Account:
    account = Account("en", run_at_once)
    account.attributes["PLACES"] = Attribute("PLACES", "normal", "multiple-choice", choices=["USA"])
    account.attributes["ANSWER"] = Attribute("ANSWER", "category", "category", {1: "yes"})
    account.attributes["BORN"] = Attribute("BORN", "normal", "date")
    create_contact(account, call("POST", ANN))
    create_contact(account, call("POST", {"email": "bob@example.org", "listIds": [2]}))
    return account


def call(method: str, body: Any, query: str = "") -> Call:
    return Call(method, "", query, json.dumps(body).encode(), host="127.0.0.1", client_host="127.0.0.1")


@pytest.mark.parametrize(("endpoint", "arguments"), ENDPOINTS, ids=lambda value: getattr(value, "__name__", ""))
@settings(max_examples=25, deadline=None)
@given(body=bodies)
def test_no_body_makes_the_sandbox_fail_or_lose_count_of_identifiers(
    endpoint: Endpoint, arguments: tuple[str, ...], body: dict[str, Any]
) -> None:
    account = an_account()
    with suppress(ApiError):
        endpoint(account, call("POST", body), *arguments)
    for name, owners in account.owners.items():
        assert owners == {c.identifier(name): c for c in account.contacts.values() if c.identifier(name) is not None}
    assert all(group.members <= account.contacts.keys() for group in account.lists.values())


@settings(max_examples=50, deadline=None)
@given(identifier=st.text(max_size=30) | st.from_regex(r"\A\d{1,5000}\Z"), query=st.text(max_size=40))
def test_no_path_or_query_makes_the_sandbox_fail(identifier: str, query: str) -> None:
    account = an_account()
    for endpoint, arguments in ((read_contact, (identifier,)), (list_contacts, ())):
        for text in (query, f"identifierType=contact_id&ids={query}", f"modifiedSince={query}", f"limit={query}"):
            with suppress(ApiError):
                endpoint(account, call("GET", None, text), *arguments)
