"""What is the same to Brevo is the same to us when it is read back, and nothing else."""

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crm_pipelines.crms.brevo import Brevo
from crm_pipelines.crms.brevo.attributes import BrevoAttributes
from crm_pipelines.crms.brevo.mapping import load_mapping
from crm_pipelines.crms.brevo.normal_form import digest, normal
from crm_pipelines.crms.bulk import ImportTarget
from crm_pipelines.crms.payloads import Payload
from crm_pipelines_tests.unit.crms.test_brevo_attributes import ACCOUNT

ODD = ["", "+", "++1", "+49 30 1", "٣", "2020-02-29T00:00:00.000Z", "2020-02-29T00:00:00.1Z", "Mr", "2", "1.0", "Red"]
texts = st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(ODD))
values = st.one_of(texts, st.booleans(), st.integers(), st.floats(), st.lists(texts, max_size=3), st.none(), st.dates())
names = st.one_of(st.sampled_from([*ACCOUNT.names, "SMS", "WHATSAPP", 'A"B\\']), texts)
contents = st.dictionaries(names, values, max_size=8)
PROOF = "5b8469587daf4f1e03d52801ca521b6fb8f92fc3db2af9d1f3296650822324c3"


@pytest.mark.parametrize(
    ("name", "sent", "read"),
    [
        ("SMS", "+12025550143", "12025550143"),
        ("AGE", 5, 5.0),
        ("BORN", "2020-02-29", "2020-02-29T00:00:00.000Z"),
        ("NOTE", "Ada", "Ada "),
        ("TAGS", ["b", "a"], ["a", "b"]),
    ],
)
def test_two_forms_of_one_value_are_equal(name: str, sent: Any, read: Any) -> None:
    assert digest({name: sent}, on_list=True) == digest({name: read}, on_list=True)


@pytest.mark.parametrize(
    ("name", "sent", "read"),
    [
        ("SMS", "+12025550143", None),
        ("AGE", 5, 5.5),
        ("AGE", 1, True),
        ("NOTE", "5", 5),
        ("NOTE", "Ada", "ada"),
        ("BORN", "2020-02-29", "2020-02-29T01:00:00Z"),
        ("TAGS", ["a"], ["a", "b"]),
    ],
)
def test_different_values_are_different(name: str, sent: Any, read: Any) -> None:
    assert digest({name: sent}, on_list=True) != digest({name: read}, on_list=True)


def test_not_being_on_the_list_is_different() -> None:
    assert digest({}, on_list=True) != digest({}, on_list=False)


@given(contents, st.booleans(), st.sampled_from([None, ACCOUNT]))
def test_a_proof_is_for_ever_the_hash_of_the_same_json(
    attributes: dict[str, Any], on_list: bool, account: BrevoAttributes | None
) -> None:
    fields = {name: normal(name, value, account) for name, value in attributes.items()}
    canonical = json.dumps([fields, on_list], sort_keys=True, separators=(",", ":"), default=str)
    assert digest(attributes, on_list=on_list, account=account) == sha256(canonical.encode()).digest()


def test_the_proof_of_an_import_that_is_under_way_stays_the_same() -> None:
    attributes = {"FIRSTNAME": "Zoë", "SMS": "+12025550143", "SCORE": 5, "VIP": True, "COLORS": ["Red", "Blue"]}
    assert digest(attributes, on_list=True, account=ACCOUNT).hex() == PROOF


@given(texts, contents, st.booleans())
@example("ada@example.com", {}, False)
def test_a_row_of_an_import_is_the_json_of_the_contact(key: str, attributes: dict[str, Any], marked: bool) -> None:
    attributes = {name: value for name, value in attributes.items() if isinstance(value, str | bool | int | list)}
    brevo = Brevo(mapping=load_mapping(None), api_key="key", base_url="http://127.0.0.1:1", list_id=None)
    payload = Payload(key=key, external_id="an id", attributes=attributes, clear=frozenset(), hash=b"")
    row = brevo.imports.row(payload, ImportTarget(list_id="2", moment=datetime.now(UTC)), marked=marked)
    assert row is not None
    assert json.loads(row.content) == {
        "email": key,
        "attributes": {**attributes, "EXT_ID": "an id"} if marked else attributes,
    }
