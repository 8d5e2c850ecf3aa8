"""Every value is brought to the type that the account has, or left out with a remark."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipelines.crms.brevo.attributes import BrevoAttributes, described
from crm_pipelines.crms.brevo.mapper import BrevoMapper
from crm_pipelines.crms.brevo.mapping import BrevoMapping, load_mapping
from crm_pipelines.crms.brevo.normal_form import normal
from crm_pipelines.crms.payloads import Payload

GENDER = [{"value": 1, "valueStr": "1", "label": "Mr"}, {"value": 2, "valueStr": "2", "label": "Mrs"}]
RANKS = [
    {"value": 1, "valueStr": "1", "label": "2"},
    {"value": 2, "valueStr": "2", "label": "1"},
    {"value": 3, "valueStr": "3", "label": "Two words"},
]
LISTED: list[dict[str, Any]] = [
    *({"name": name, "category": "normal", "type": "text"} for name in ("FIRSTNAME", "LASTNAME", "SMS", "NOTE")),
    {"name": "SCORE", "category": "normal", "type": "float"},
    {"name": "VIP", "category": "normal", "type": "boolean"},
    {"name": "BIRTHDAY", "category": "normal", "type": "date"},
    {"name": "COLORS", "category": "normal", "type": "multiple-choice", "multiCategoryOptions": ["Red", "Blue"]},
    {"name": "GENDER", "category": "category", "type": "category", "enumeration": GENDER},
    {
        "name": "FOODS",
        "type": "multiple-choice",
        "multiCategoryOptions": ["Milk", "Bread, white", "Bread", "Eggs", "1"],
    },
    {"name": "RANK", "category": "category", "type": "category", "enumeration": RANKS},
    {"name": "BARE", "category": "category", "enumeration": []},
    {"name": "PLAN", "category": "category", "enumeration": [{"value": 0, "valueStr": "p1", "label": "Basic"}]},
    {"name": "ORDER_DATE", "category": "transactional", "type": "date"},
    {"name": "TOTAL", "category": "calculated", "type": "float", "calculatedValue": "SUM[ORDER_PRICE]"},
    {"name": "BLACKLIST", "category": "global", "type": "float"},
]
ROWS = described({"attributes": LISTED}) or []
ACCOUNT = BrevoAttributes(ROWS)
OF_TYPE: dict[str, tuple[type, ...]] = {
    "NOTE": (str,),
    "SCORE": (int, float),
    "VIP": (bool,),
    "BIRTHDAY": (str,),
    "COLORS": (list,),
    "GENDER": (int,),
}


def mapper(mapping: BrevoMapping | None = None) -> BrevoMapper:
    found = BrevoMapper(mapping=mapping or load_mapping(None))
    found.know(ROWS)
    return found


def prepare(sent: set[str] | None = None, **custom: Any) -> Payload:
    record = {"id": UUID(int=1), "email": "ada@example.com", "custom_fields": custom}
    payload = mapper().prepare(record, sent_attributes=frozenset(sent or ()))
    assert isinstance(payload, Payload)
    return payload


@pytest.mark.parametrize(
    ("name", "raw", "sent"),
    [
        ("SCORE", "42", 42),
        ("SCORE", " -1.5 ", -1.5),
        ("SCORE", 7, 7),
        ("VIP", "yes", True),
        ("VIP", "NO", False),
        ("VIP", 1, True),
        ("NOTE", 1042, "1042"),
        ("NOTE", 1042.0, "1042"),
        ("NOTE", 0.5, "0.5"),
        ("NOTE", True, "true"),
        ("BIRTHDAY", "05.04.1984", "1984-04-05"),
        ("BIRTHDAY", "6/23/1912", "1912-06-23"),
        ("BIRTHDAY", "1906-12-09T10:00:00Z", "1906-12-09"),
        ("COLORS", ["Red", "Blue"], ["Red", "Blue"]),
        ("COLORS", "Red; blue", ["Red", "Blue"]),
        ("COLORS", "red", ["Red"]),
        ("GENDER", "Mrs", 2),
        ("GENDER", "mrs ", 2),
        ("GENDER", "2", 2),
        ("GENDER", 2, 2),
        ("GENDER", 2.0, 2),
        ("BARE", "3", 3),
        ("PLAN", "Basic", "p1"),
        ("PLAN", "p1", "p1"),
        ("SCORE", "13.528,18", 13528.18),
        ("VIP", "ja", True),
        ("BIRTHDAY", "5 avril 1984", "1984-04-05"),
        ("GENDER", "  mRs\u00a0", 2),
        ("GENDER", "2.0", 2),
        ("RANK", "1", 2),
        ("RANK", "2", 1),
        ("RANK", "two  words", 3),
        ("COLORS", "Red, blue", ["Red", "Blue"]),
        ("COLORS", "Red|Blue", ["Red", "Blue"]),
        ("COLORS", "Red\nBlue", ["Red", "Blue"]),
        ("COLORS", '["Red", "Blue"]', ["Red", "Blue"]),
        ("FOODS", "Bread, white", ["Bread, white"]),
        ("FOODS", "Milk, bread, white, Eggs", ["Milk", "Bread, white", "Eggs"]),
        ("FOODS", ["Bread, white", "Milk"], ["Bread, white", "Milk"]),
        ("FOODS", "1; Milk", ["1", "Milk"]),
        ("FOODS", 1.0, ["1"]),
    ],
)
def test_a_value_is_brought_to_the_type_of_the_account(name: str, raw: Any, sent: Any) -> None:
    payload = prepare(**{name: raw})
    assert payload.attributes == {name: sent}
    assert type(payload.attributes[name]) is type(sent) or name == "SCORE"
    assert (payload.warnings, payload.left_out) == ((), frozenset())


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("SCORE", "many words", "SCORE at Brevo takes a number"),
        ("SCORE", True, "SCORE at Brevo takes a number"),
        ("VIP", "maybe so", "VIP at Brevo takes true or false"),
        ("BIRTHDAY", "04/05/1984", "day or month first is not clear"),
        ("BIRTHDAY", "sometime in May", "BIRTHDAY at Brevo takes a date"),
        ("NOTE", ["some", "list"], "NOTE at Brevo takes a text"),
        ("COLORS", "Heliotrope", "none of the options of COLORS"),
        ("COLORS", "x" * 201, "has at most 200 characters"),
        ("COLORS", ["Red, Blue"], "none of the options of COLORS"),
        ("SCORE", "15 %", "percentage"),
        ("SCORE", "1.234", "one of thousands"),
        ("BIRTHDAY", "5.4.30", "century"),
        ("GENDER", "Divers person", "GENDER at Brevo takes one of its labels"),
        ("BARE", "Label", "BARE at Brevo takes one of its labels"),
        ("ORDER_DATE", "2026-05-04", "ORDER_DATE is transactional at Brevo"),
        ("TOTAL", 1.5, "TOTAL is calculated at Brevo"),
        ("BLACKLIST", 1.5, "BLACKLIST is global at Brevo"),
        ("CITY", "Paris on Seine", "Brevo has no attribute CITY"),
    ],
)
def test_what_the_account_does_not_take_is_left_out_and_told_without_its_value(name: str, raw: Any, says: str) -> None:
    payload = prepare(**{name: raw})
    assert payload.attributes == {}
    assert payload.left_out == {name}
    [warning] = payload.warnings
    assert warning.startswith(f"custom_fields.{name} left out")
    assert says in warning
    assert not isinstance(raw, str) or raw not in warning


def test_of_a_list_the_options_that_the_account_has_are_sent_and_the_others_told() -> None:
    payload = prepare(COLORS=["Red", "Heliotrope"])
    assert payload.attributes == {"COLORS": ["Red"]}
    assert payload.left_out == {"COLORS"}
    assert "COLORS" in payload.warnings[0]
    assert "Heliotrope" not in payload.warnings[0]


def test_what_is_left_out_is_no_part_of_the_hash_and_is_part_of_it_once_it_is_sent() -> None:
    assert prepare(CITY="Paris").hash == prepare().hash
    assert prepare(SCORE="42").hash != prepare().hash


def test_an_account_that_is_not_known_takes_everything() -> None:
    found = BrevoMapper(mapping=load_mapping(None))
    assert (found.attributes_version, found.writable) == (None, frozenset())
    payload = found.prepare(
        {"id": UUID(int=1), "email": "ada@example.com", "custom_fields": {"CITY": "Paris"}}, sent_attributes=frozenset()
    )
    assert isinstance(payload, Payload)
    assert (payload.attributes, payload.left_out) == ({"CITY": "Paris"}, frozenset())


def test_only_what_can_be_written_is_cleared() -> None:
    payload = prepare({"SCORE", "GONE", "ORDER_DATE", "SMS"})
    assert payload.clear == {"SCORE", "SMS"}


def test_phones_are_sent_though_the_account_does_not_list_them() -> None:
    found = BrevoMapper(mapping=load_mapping(None))
    found.know([])
    record = {"id": UUID(int=1), "email": "a@example.com", "custom_fields": {}, "phone_number": "+12025550143"}
    payload = found.prepare(record, sent_attributes=frozenset())
    assert isinstance(payload, Payload)
    assert payload.attributes == {"SMS": "+12025550143"}


def test_a_type_that_the_mapping_names_is_brought_to_that_of_the_account() -> None:
    mapping = BrevoMapping.model_validate({"attributes": {"GENDER": {"from": "context", "type": "text"}}})
    record = {"id": UUID(int=1), "email": "a@example.com", "custom_fields": {}, "context": "Mr"}
    payload = mapper(mapping).prepare(record, sent_attributes=frozenset())
    assert isinstance(payload, Payload)
    assert payload.attributes == {"GENDER": 1}


@pytest.mark.parametrize(
    ("name", "ours", "theirs", "same"),
    [
        ("GENDER", 2, "Mrs", True),
        ("GENDER", 2, "2", True),
        ("GENDER", 2, 2.0, True),
        ("GENDER", 2, "Mr", False),
        ("RANK", 1, 1, True),
        ("RANK", 1, 2, False),
        ("RANK", 2, "1", True),
        ("RANK", 3, "two words", True),
        ("SCORE", 42, "42", True),
        ("VIP", True, "yes", True),
        ("NOTE", "1042", 1042, True),
        ("COLORS", ["Red", "Blue"], ["Blue", "Red"], True),
        ("BIRTHDAY", "1984-04-05", "1984-04-05T00:00:00Z", True),
        ("VIP", False, None, False),
    ],
)
def test_what_is_read_back_in_another_form_is_the_same(name: str, ours: Any, theirs: Any, same: bool) -> None:
    assert (normal(name, ours, ACCOUNT) == normal(name, theirs, ACCOUNT)) is same


def test_the_version_changes_with_what_decides_and_not_with_the_order() -> None:
    def version(listed: list[dict[str, Any]]) -> str:
        return BrevoAttributes(described({"attributes": listed}) or []).version

    assert version(LISTED[::-1]) == ACCOUNT.version
    assert version([*LISTED, {"name": "CITY", "category": "normal", "type": "text"}]) != ACCOUNT.version
    relabelled = [{**one, "enumeration": GENDER[:1]} if one["name"] == "GENDER" else one for one in LISTED]
    assert version(relabelled) != ACCOUNT.version
    other_formula = [{**one, "calculatedValue": "x"} if "calculatedValue" in one else one for one in LISTED]
    assert version(other_formula) == ACCOUNT.version


def test_an_answer_that_lists_no_attributes_is_no_account_without_any() -> None:
    assert described({}) is None
    assert described({"attributes": "none"}) is None
    assert described({"attributes": [{"name": 1}, "x"]}) == []


@given(
    st.dictionaries(
        st.sampled_from([*OF_TYPE, "CITY", "TOTAL"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.sampled_from(["42", "yes", "05.04.1984", "Mrs", "Red;Blue", "2"])
        | st.text()
        | st.lists(st.text() | st.integers(), max_size=3),
        max_size=4,
    )
)
def test_any_value_is_sent_in_its_type_or_told_and_explained_alike(custom: dict[str, Any]) -> None:
    payload = prepare(**custom)
    json.dumps(dict(payload.attributes), allow_nan=False)
    for name, value in payload.attributes.items():
        assert isinstance(value, OF_TYPE[name])
        assert name == "VIP" or not isinstance(value, bool)
    told = mapper().explain({"id": UUID(int=1), "email": "ada@example.com", "custom_fields": custom})
    assert {line.attribute: line.value for line in told if line.value is not None} == dict(payload.attributes)
    remarks = [line for line in told if line.remark and not line.remark.startswith("not sent:")]
    assert len(remarks) == len(payload.warnings)
    assert payload.left_out <= {line.attribute for line in remarks}


FORMATS = [
    ("BIRTHDAY", {"type": "date", "format": "DD/MM/YYYY"}, "04/05/1984", "1984-05-04"),
    ("BIRTHDAY", {"type": "date", "format": "DD.MM.YYYY"}, "04/05/1984", "1984-05-04"),
    ("BIRTHDAY", {"type": "date", "format": "MM/DD/YYYY"}, "04/05/1984", "1984-04-05"),
    ("SCORE", {"type": "float", "format": "1.234,56"}, "1.234", 1234),
    ("SCORE", {"type": "float", "format": "1 234,56"}, "1,234", 1.234),
    ("SCORE", {"type": "float", "format": "1,234.56"}, "1.234", 1.234),
    ("COLORS", {"type": "multiple-choice", "options": ["Red", "Blue"]}, "red; Blue", ["Red", "Blue"]),
    ("COLORS", {"type": "multiple-choice"}, "red, Blue", ["Red", "Blue"]),
]


@pytest.mark.parametrize(("name", "line", "raw", "sent"), FORMATS)
def test_the_mapping_file_says_how_a_value_is_read(name: str, line: dict[str, Any], raw: str, sent: Any) -> None:
    mapping = BrevoMapping.model_validate({"attributes": {name: {"from": "context", **line}}})
    record = {"id": UUID(int=1), "email": "a@example.com", "custom_fields": {}, "context": raw}
    payload = mapper(mapping).prepare(record, sent_attributes=frozenset())
    assert isinstance(payload, Payload)
    assert (payload.attributes, payload.left_out) == ({name: sent}, frozenset())
    [line_told] = [one for one in mapper(mapping).explain(record) if one.attribute == name]
    assert line_told.value == sent


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"type": "date", "format": "DD.MM"}, "expected DD.MM.YYYY or DD/MM/YYYY or MM/DD/YYYY"),
        ({"type": "text", "format": "DD/MM/YYYY"}, "which only date and float have"),
    ],
)
def test_a_format_that_means_nothing_is_refused(line: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        BrevoMapping.model_validate({"attributes": {"BIRTHDAY": {"from": "context", **line}}})


def test_the_shipped_mapping_has_the_version_that_it_has_always_had() -> None:
    assert load_mapping(None).version == "5248d020e9cb73a0", "another one sends every contact again"


def test_a_phone_that_is_not_certain_is_left_out_and_told() -> None:
    record = {"id": UUID(int=1), "email": "a@example.com", "custom_fields": {}, "phone_number": "4,93E+10"}
    payload = mapper().prepare(record, sent_attributes=frozenset())
    assert isinstance(payload, Payload)
    assert payload.attributes == {}
    assert payload.left_out == {"SMS"}
    [warning] = payload.warnings
    assert warning.startswith(
        "phone_number left out: not a phone number for certain: it was made a number with an expo"
    )
