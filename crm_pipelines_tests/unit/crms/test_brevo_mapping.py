import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipelines.crms.brevo.mapper import BrevoMapper
from crm_pipelines.crms.brevo.mapping import BrevoMapping, load_mapping
from crm_pipelines.crms.building import build_payload
from crm_pipelines.crms.mapping import MappingError
from crm_pipelines.crms.options import Options
from crm_pipelines.crms.payloads import Payload, Unsendable
from crm_pipelines.crms.values import LONGEST_TEXT, AttributeType, Way, attribute_name, convert

SHIPPED = load_mapping(None)
RECORD = {
    "id": UUID(int=7),
    "email": "Ada@Example.com",
    "name": "Ada King Lovelace",
    "phone_number": "+1 202 555 0143",
    "has_gmail": False,
    "domain_id": UUID(int=1),
    "custom_fields": {},
}


def prepare(mapping: BrevoMapping = SHIPPED, sent: set[str] = set(), **changes: Any) -> Payload:  # noqa: B006
    payload = build_payload(
        {**RECORD, **changes}, mapping=mapping, region=None, list_ids=(2,), sent_attributes=frozenset(sent)
    )
    assert isinstance(payload, Payload)
    return payload


def write(folder: Path, text: str) -> Path:
    file = folder / "mapping.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_shipped_mapping_sends_names_phone_and_origin() -> None:
    payload = prepare()
    assert payload.key == "ada@example.com"
    assert payload.external_id == str(UUID(int=7))
    assert payload.attributes == {
        "FIRSTNAME": "Ada",
        "LASTNAME": "King Lovelace",
        "SMS": "+12025550143",
        "HAS_GMAIL": False,
        "DOMAIN_ID": str(UUID(int=1)),
    }
    assert payload.warnings == ()


@pytest.mark.parametrize(
    ("first", "last", "sent"),
    [
        ("Mary Ann", "Smith", {"FIRSTNAME": "Mary Ann", "LASTNAME": "Smith"}),
        (None, "Dupont", {"LASTNAME": "Dupont"}),
        ("Anna", " ", {"FIRSTNAME": "Anna"}),
        (None, None, {"FIRSTNAME": "Ada", "LASTNAME": "King Lovelace"}),
        ("", "\u00a0", {"FIRSTNAME": "Ada", "LASTNAME": "King Lovelace"}),
    ],
)
def test_names_given_apart_are_sent_as_given_and_others_are_taken_out_of_the_whole(
    first: str | None, last: str | None, sent: dict[str, str]
) -> None:
    attributes = prepare(first_name=first, last_name=last).attributes
    assert {name: attributes[name] for name in ("FIRSTNAME", "LASTNAME") if name in attributes} == sent
    lines = BrevoMapper(mapping=SHIPPED).explain({**RECORD, "first_name": first, "last_name": last})
    explained = {line.attribute: line.value for line in lines if line.attribute in ("FIRSTNAME", "LASTNAME")}
    assert {name: value for name, value in explained.items() if value is not None} == sent


def test_parts_that_are_not_known_and_parts_that_the_rule_gives_are_the_same_payload() -> None:
    assert prepare().hash == prepare(first_name=None, last_name=None).hash
    assert prepare().hash == prepare(first_name="Ada", last_name="King Lovelace").hash


def test_false_and_zero_are_values_and_blanks_are_not() -> None:
    payload = prepare(custom_fields={"score": 0, "vip": False, "note": " \u00a0", "gone": None, "list": []})
    assert payload.attributes["SCORE"] == 0
    assert payload.attributes["VIP"] is False
    assert payload.attributes.keys().isdisjoint({"NOTE", "GONE", "LIST"})
    assert payload.warnings == ()


@pytest.mark.parametrize("phone", ["Phone not found", "555-0143"])
def test_an_unusable_phone_is_left_out_with_a_warning_that_does_not_quote_it(phone: str) -> None:
    payload = prepare(phone_number=phone)
    assert "SMS" not in payload.attributes
    [warning] = payload.warnings
    assert warning.startswith("phone_number left out")
    assert phone not in warning


def test_what_was_sent_and_is_blank_now_is_cleared() -> None:
    assert prepare(sent={"FIRSTNAME", "LASTNAME", "OLD"}, name="Ada").clear == {"LASTNAME", "OLD"}


def test_what_the_mapping_does_not_own_is_not_cleared() -> None:
    mapping = BrevoMapping.model_validate({**SHIPPED.model_dump(by_alias=True), "custom_fields": "mapped"})
    assert prepare(mapping, sent={"LASTNAME", "OLD"}, name="Ada").clear == {"LASTNAME"}


def test_an_identity_that_is_not_mapped_is_not_cleared() -> None:
    assert prepare(sent={"EMAIL", "EXT_ID", "WHATSAPP"}).clear == frozenset()


@pytest.mark.parametrize(
    ("email", "kind"), [(None, "no_address"), ("\u200b ", "no_address"), ("ada@example", "invalid_address")]
)
def test_a_contact_without_a_usable_address_is_unsendable(email: str | None, kind: str) -> None:
    found = build_payload(
        {**RECORD, "email": email}, mapping=SHIPPED, region=None, list_ids=(), sent_attributes=frozenset()
    )
    assert isinstance(found, Unsendable)
    assert found.kind == kind
    assert "example" not in found.message


@pytest.mark.parametrize("field", ["email", "EMAIL", "ext_id", "sms", "whatsapp", "Landline number", "firstname"])
def test_a_custom_field_never_takes_the_place_of_an_identity_or_a_mapped_attribute(field: str) -> None:
    payload = prepare(custom_fields={field: "x@example.com"})
    assert "x@example.com" not in payload.attributes.values()
    assert payload.attributes.keys().isdisjoint({"EMAIL", "EXT_ID", "WHATSAPP", "LANDLINE_NUMBER"})
    assert len(payload.warnings) == 1


def test_of_two_custom_fields_with_one_attribute_name_one_is_sent_and_one_warned_of() -> None:
    payload = prepare(custom_fields={"company size": "b", "Company Size": "a"})
    assert payload.attributes["COMPANY_SIZE"] == "a"
    assert len(payload.warnings) == 1


def test_a_mapped_custom_field_is_sent_once_under_the_mapped_name(tmp_path: Path) -> None:
    file = write(tmp_path, 'attributes.FIRMA = { from = "custom_fields.the company.name", type = "text" }')
    payload = prepare(load_mapping(file), custom_fields={"the company.name": "ACME", "size": 3})
    assert payload.attributes == {"FIRMA": "ACME", "SIZE": 3}


def test_in_mapped_mode_nothing_else_is_sent(tmp_path: Path) -> None:
    file = write(tmp_path, 'custom_fields = "mapped"\nattributes.PRENOM = { from = "first_name", type = "text" }')
    assert prepare(load_mapping(file), custom_fields={"size": 3}).attributes == {"PRENOM": "Ada"}


@pytest.mark.parametrize(
    ("raw", "kind", "value"),
    [
        ("12.5", AttributeType.FLOAT, 12.5),
        ("twelve", AttributeType.FLOAT, None),
        ("no", AttributeType.BOOLEAN, False),
        ("perhaps", AttributeType.BOOLEAN, None),
        ("2024-02-29T10:00:00Z", AttributeType.DATE, "2024-02-29"),
        ("04/05/1984", AttributeType.DATE, None),
        (["a", "b"], AttributeType.CHOICES, ["a", "b"]),
        ({"a": 1}, AttributeType.TEXT, None),
        (7, AttributeType.TEXT, "7"),
    ],
)
def test_a_value_arrives_in_its_type_or_is_left_out_with_a_remark(raw: Any, kind: AttributeType, value: Any) -> None:
    converted = convert(raw, Way(kind))
    assert converted.value == value
    assert (converted.remark is None) == (value is not None)


def test_choices_that_are_no_options_are_left_out() -> None:
    converted = convert(["a", "x"], Way(AttributeType.CHOICES, Options(("a", "b"))))
    assert converted.value == ["a"]
    assert converted.remark
    assert convert(["x"], Way(AttributeType.CHOICES, Options(("a",)))).value is None


def test_an_option_may_hold_what_else_divides_options() -> None:
    way = Way(AttributeType.CHOICES, Options(("R&D; Lab", "a|b", "[x]", "b")))
    assert convert("r&d;  lab", way) == (["R&D; Lab"], None)
    assert convert(" a|b ", way) == (["a|b"], None)
    assert convert("[x]", way) == (["[x]"], None)
    assert convert("b|[x]", way) == (["b", "[x]"], None)


def test_a_text_beyond_the_limit_is_cut_with_a_warning() -> None:
    payload = prepare(custom_fields={"note": "x" * (LONGEST_TEXT + 1)})
    assert payload.attributes["NOTE"] == "x" * LONGEST_TEXT
    assert "cut" in payload.warnings[0]


def test_the_hash_covers_the_desired_state_and_nothing_else() -> None:
    base = prepare().hash
    assert len(base) == 32
    assert prepare(sent={"OLD"}, updated_at="later").hash == base
    assert prepare(email=" ADA@example.com ").hash == base
    others = [
        prepare(email="b@example.com"),
        prepare(id=UUID(int=8)),
        prepare(name="Ada"),
        prepare(has_gmail=None),
        prepare(BrevoMapping.model_validate({**SHIPPED.model_dump(by_alias=True), "custom_fields": "mapped"})),
    ]
    assert len({base, *(other.hash for other in others)}) == len(others) + 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=5,
)


@given(
    name=st.none() | st.text(),
    phone=st.none() | st.text(),
    context=st.none() | st.text(),
    custom=st.dictionaries(st.text(), json_values, max_size=4),
)
def test_any_contact_becomes_a_payload_that_is_json_of_brevos_types(
    name: str | None, phone: str | None, context: str | None, custom: dict[str, Any]
) -> None:
    changes: dict[str, Any] = {"name": name, "phone_number": phone, "context": context, "custom_fields": custom}
    payload = prepare(**changes)
    told = BrevoMapper(mapping=SHIPPED).explain({**RECORD, **changes})
    assert {line.attribute: line.value for line in told if line.value is not None} == dict(payload.attributes)
    left_out = [line.remark for line in told if line.remark and not line.remark.startswith("not sent:")]
    assert len(left_out) == len(payload.warnings)
    json.dumps(dict(payload.attributes), allow_nan=False).encode()
    for attribute, value in payload.attributes.items():
        assert attribute == attribute.upper().strip()
        assert value is False or value == 0 or value
        assert isinstance(value, bool | int | float | str | list)


@given(st.text())
def test_an_attribute_name_is_capitals_digits_and_underscores(field: str) -> None:
    name = attribute_name(field)
    assert name is None or (name.isascii() and set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"))


def test_attribute_names_are_transliterated() -> None:
    assert attribute_name("Company size (€)") == "COMPANY_SIZE"
    assert attribute_name("größe") == "GROSSE"
    assert attribute_name("компания") is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("attributes = 3", "attributes"),
        ("", "attributes"),
        ("attributes.x = {", "TOML"),
        ('attributes.first = { from = "name", type = "text" }', "attributes.first"),
        ('attributes.X = { from = "nmae", type = "text" }', "did you mean name?"),
        ('attributes.X = { from = "custom_fields.", type = "text" }', "attributes.X.from"),
        ('attributes.X = { from = "name", type = "int" }', "attributes.X.type"),
        ('attributes.X = { from = "name" }', "attributes.X.type"),
        ('attributes.X = { from = "name", type = "text", size = 1 }', "attributes.X.size"),
        ('attributes.EMAIL = { from = "name", type = "text" }', "EMAIL is sent"),
        ('attributes.SMS = { from = "phone_number", type = "text" }', 'type = "phone"'),
        ('attributes.X = { from = "name", type = "text", options = ["a"] }', "options"),
        ('custom_fields = "some"\n[attributes]', "custom_fields"),
    ],
)
def test_a_wrong_mapping_file_is_named_with_its_key_in_one_sentence(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(MappingError) as caught:
        load_mapping(write(tmp_path, text))
    message = str(caught.value)
    assert named in message
    assert "mapping.toml" in message
    assert "BREVO_MAPPING_FILE" in message
    assert "\n" not in message


def test_a_missing_or_unreadable_mapping_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="No such file"):
        load_mapping(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    with pytest.raises(MappingError, match="UTF-8"):
        load_mapping(tmp_path / "latin.toml")


def test_the_version_changes_with_the_meaning_of_the_file_only(tmp_path: Path) -> None:
    one = load_mapping(write(tmp_path, 'attributes.X = { from = "name", type = "text" }')).version
    two = load_mapping(write(tmp_path, '# note\n[attributes]\nX = { type = "text", from = "name" }')).version
    three = load_mapping(write(tmp_path, 'attributes.X = { from = "context", type = "text" }')).version
    assert one == two != three
