"""The endpoints of Mautic's sandbox, without HTTP."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipelines.sandbox.core.answers import Answer, Call, RefusalError
from crm_pipelines.sandbox.mautic import persistence
from crm_pipelines.sandbox.mautic.account import Account
from crm_pipelines.sandbox.mautic.answers import php_array
from crm_pipelines.sandbox.mautic.config import SandboxConfig
from crm_pipelines.sandbox.mautic.routes import route
from crm_pipelines.sandbox.mautic.seeds import seed
from crm_pipelines.sandbox.mautic.values import fold, is_zero

CONTACTS, FIELDS, SEGMENTS = "/api/contacts", "/api/fields/contact", "/api/segments"
WRITES = [
    ("POST", f"{CONTACTS}/new"),
    ("POST", f"{CONTACTS}/batch/new"),
    ("PATCH", f"{CONTACTS}/batch/edit"),
    ("PUT", f"{CONTACTS}/batch/edit"),
    ("PATCH", f"{CONTACTS}/1/edit"),
    ("PUT", f"{CONTACTS}/2/edit"),
    ("POST", f"{CONTACTS}/1/dnc/email/add"),
    ("POST", f"{FIELDS}/new"),
    ("PATCH", f"{FIELDS}/29/edit"),
    ("POST", f"{SEGMENTS}/new"),
    ("POST", f"{SEGMENTS}/1/contacts/add"),
]
KEYS = [
    *("id", "ids", "email", "own", "score", "plan", "plans", "born", "phone", "points", "tags", "owner", "list", "yes"),
    *("doNotContact", "channel", "reason", "comments", "overwriteWithBlank", "label", "alias", "type", "properties"),
    *("isUniqueIdentifier", "charLengthLimit", "name", "value", "isPublished", "scale", "group"),
]
WORDS = [
    *("ann@example.org", "BOB@example.org,", "new@example.org", "1", "a|b", "2024-02-29", "0", "number", "select"),
    *("boolean", "text", "", 0, 0.5, 1, 1e300),
]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=15,
)
rows = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(WORDS) | values, max_size=6)
bodies = values | rows | st.lists(rows, max_size=3)


def an_account(*, checks_unique: bool = True) -> Account:
    account = Account()
    account.config = SandboxConfig(checks_unique=checks_unique)
    options = {"list": [{"label": "A", "value": "a"}, {"label": "B", "value": "b"}]}
    for alias, kind, more in (
        ("own", "text", {"isUniqueIdentifier": True}),
        ("score", "number", {"properties": {"scale": 2}}),
        ("plan", "select", {"properties": options}),
        ("plans", "multiselect", {"properties": options}),
        ("born", "datetime", {}),
    ):
        ask(account, "POST", f"{FIELDS}/new", {"label": alias, "alias": alias, "type": kind, **more})
    ask(account, "POST", f"{SEGMENTS}/new", {"name": "News"})
    seed(account, {"email": "ann@example.org", "own": "x", "tags": ["a"], "doNotContact": [{}]})
    seed(account, {"email": "bob@example.org", "score": 3})
    ask(account, "POST", f"{SEGMENTS}/1/contacts/add", {"ids": [1]})
    return account


def ask(account: Account, method: str, path: str, body: Any, query: str = "") -> Answer:
    asked = Call(method, path, query, json.dumps(body).encode(), host="127.0.0.1", client_host="127.0.0.1")
    endpoint, arguments = route(asked)
    return endpoint(account, asked, *arguments)


@pytest.mark.parametrize(("method", "path"), WRITES, ids=lambda value: str(value).removeprefix("/api/"))
@settings(max_examples=40, deadline=None)
@given(body=bodies, checks_unique=st.booleans())
def test_no_body_makes_the_sandbox_fail_or_lose_count_of_who_has_which_unique_value(
    method: str, path: str, checks_unique: bool, body: Any
) -> None:
    account = an_account(checks_unique=checks_unique)
    with suppress(RefusalError):
        ask(account, method, path, body)
    for alias, held in account.owners.items():
        expected: dict[str, set[int]] = {}
        for contact in account.contacts.values():
            if alias in contact.values:
                expected.setdefault(fold(contact.values[alias]), set()).add(contact.id)
        assert {value: ids for value, ids in held.items() if ids} == expected
    assert all(segment.members.keys() <= account.contacts.keys() for segment in account.segments.values())
    state = json.loads(json.dumps(persistence.snapshot(account)))
    persistence.restore(again := Account(), state)
    assert json.loads(json.dumps(persistence.snapshot(again))) == state


@settings(max_examples=40, deadline=None)
@given(
    identifier=st.text(min_size=1, max_size=30) | st.from_regex(r"\A\d{1,5000}\Z"),
    column=st.sampled_from(["id", "email", "own", "score", "nonsense"]),
    comparison=st.sampled_from(["eq", "in", "notIn", "like", "gt", "isNull", "x"]),
    value=st.text(max_size=20),
    query=st.text(max_size=40),
)
def test_no_path_or_query_makes_the_sandbox_fail(
    identifier: str, column: str, comparison: str, value: str, query: str
) -> None:
    account = an_account()
    condition = f"where[0][col]={column}&where[0][expr]={comparison}&where[0][val]={value}&search={value}"
    for path in (f"{CONTACTS}/{identifier}", f"{SEGMENTS}/{identifier}", f"{FIELDS}/{identifier}", CONTACTS, FIELDS):
        for text in (query, condition):
            with suppress(RefusalError):
                ask(account, "GET", path, None, text)


@pytest.mark.parametrize(
    ("keys", "is_list"), [([], True), ([0, 1], True), ([1, 0], False), ([0, 2], False), (["0"], False), ([1], False)]
)
def test_an_array_without_gaps_is_a_list_and_any_other_an_object(keys: list[Any], is_list: bool) -> None:
    assert isinstance(php_array(dict.fromkeys(keys)), list) is is_list


@pytest.mark.parametrize("value", [0, 0.0, "0", "00", "0.9", "-0.5", " 0 ", "+0", "1e-3", 0.99])
def test_what_php_takes_for_zero(value: Any) -> None:
    assert is_zero(value)


@pytest.mark.parametrize("value", [1, "1", "01", "0x", "", "0 pts", False, True, None, "-1", 1.5])
def test_what_php_does_not_take_for_zero(value: Any) -> None:
    assert not is_zero(value)
