"""What is sent arrives, once, and as it was sent."""

from typing import Any

import pytest

from crm_pipelines.crms.outcomes import Result
from crm_pipelines_tests.conformance.bench import Bench
from crm_pipelines_tests.conformance.client import Contact
from crm_pipelines_tests.conformance.subject import (
    CHOICES,
    DAY,
    FIRST_NAME,
    FLAG,
    LACKING,
    LAST_NAME,
    NUMBER,
    OPTIONS,
    PHONE,
    TEXT,
    Capability,
    Remote,
)

ALL = {TEXT: "Analyst", NUMBER: 12.5, FLAG: True, DAY: "1984-04-05"}
NAMED = {FIRST_NAME: "Ada", LAST_NAME: "King Lovelace"}


def full(number: int = 1) -> Contact:
    return Contact(number, name="Ada King Lovelace", phone_number="+1 202 555 0143", custom=ALL)


def test_a_new_contact_arrives_with_every_field(bench: Bench) -> None:
    ada = full()
    [outcome] = bench.sync(ada)
    held = bench.only(ada)
    assert held.fields == {**NAMED, **ALL, PHONE: "12025550143"}
    assert (outcome.remote_key, outcome.kind, outcome.message) == (ada.address, None, None)
    assert ada.remote_id in {None, held.remote_id}


def test_a_contact_that_is_sent_twice_is_one_and_the_second_time_changes_nothing(bench: Bench) -> None:
    ada = full()
    bench.sync(ada)
    once = bench.subject.held()
    bench.sync(ada)
    assert bench.subject.held() == once


def test_a_contact_that_was_forgotten_here_is_still_one(bench: Bench) -> None:
    bench.sync(full())
    once = bench.subject.held()
    bench.sync(full())
    assert bench.subject.held() == once


def test_an_edit_changes_the_contact_that_is_there(bench: Bench) -> None:
    ada = full()
    bench.sync(ada)
    first = bench.only(ada)
    bench.sync(ada.edit(name="Ada Byron", custom={**ALL, TEXT: "Countess", NUMBER: -3}))
    held = bench.only(ada)
    assert held.remote_id == first.remote_id
    assert (held.fields[LAST_NAME], held.fields[TEXT], held.fields[NUMBER]) == ("Byron", "Countess", -3)


def test_false_arrives_on_creation_and_on_update(bench: Bench) -> None:
    ada = Contact(custom={FLAG: False})
    bench.sync(ada)
    assert bench.only(ada).fields == {FLAG: False}
    bench.sync(ada.edit(custom={FLAG: True}))
    bench.sync(ada.edit(custom={FLAG: False}))
    assert bench.only(ada).fields == {FLAG: False}


@pytest.mark.needs(Capability.ZEROS)
def test_zero_arrives_on_creation_and_on_update(bench: Bench) -> None:
    ada = Contact(custom={NUMBER: 0})
    bench.sync(ada)
    assert bench.only(ada).fields == {NUMBER: 0}
    bench.sync(ada.edit(custom={NUMBER: 7}))
    bench.sync(ada.edit(custom={NUMBER: 0}))
    assert bench.only(ada).fields == {NUMBER: 0}


def test_a_zero_replaces_what_was_there_and_is_told_if_it_does_not_arrive(bench: Bench) -> None:
    ada = Contact(custom={NUMBER: 7, TEXT: "ours"})
    bench.sync(ada)
    [outcome] = bench.sync(ada.edit(custom={NUMBER: 0, TEXT: "ours"}))
    arrived = bench.only(ada).fields == {NUMBER: 0, TEXT: "ours"}
    assert arrived or bench.only(ada).fields == {TEXT: "ours"}
    assert arrived or outcome.left_out == {bench.subject.names[NUMBER]}
    assert arrived or any(bench.subject.names[NUMBER] in told for told in outcome.warnings)


def test_what_became_blank_is_cleared_and_what_is_false_is_not(bench: Bench) -> None:
    ada = full()
    bench.sync(ada)
    [outcome] = bench.sync(ada.edit(name=None, phone_number=None, custom={FLAG: False, TEXT: "", DAY: None}))
    assert bench.only(ada).fields == {FLAG: False}
    assert outcome.sent_attributes == {bench.subject.names[FLAG]}


def test_what_was_never_ours_is_left_as_it_is(bench: Bench) -> None:
    bench.subject.seed(Remote(address="p1@example.com", remote_id="", fields={TEXT: "theirs", NUMBER: 5}))
    ada = Contact(name="Ada", custom={NUMBER: 6})
    bench.sync(ada)
    assert bench.only(ada).fields == {FIRST_NAME: "Ada", TEXT: "theirs", NUMBER: 6}


@pytest.mark.parametrize(
    "text",
    [
        "Zoë Ångström 李小龍 😀 עברית",
        "quotes \" ' and back\\slash, comma; 1 < 2 & 3 > 2 %41 {{ name }}",
        "=1+1",
        "null",
        "0",
    ],
)
def test_a_text_arrives_letter_by_letter(bench: Bench, text: str) -> None:
    ada = Contact(name="Zoë 李", custom={TEXT: text})
    bench.sync(ada)
    assert bench.only(ada).fields == {FIRST_NAME: "Zoë", LAST_NAME: "李", TEXT: text}


@pytest.mark.needs(Capability.MARKUP)
def test_a_text_that_looks_like_html_arrives_letter_by_letter(bench: Bench) -> None:
    ada = Contact(custom={TEXT: "<b>&amp;</b> <script>alert('x')</script>"})
    bench.sync(ada)
    assert bench.only(ada).fields == {TEXT: "<b>&amp;</b> <script>alert('x')</script>"}


def test_a_long_text_arrives_whole_or_what_is_missing_of_it_is_told(bench: Bench) -> None:
    text = "wörd-" * 4000
    ada = Contact(custom={TEXT: text, NUMBER: 1})
    payload = bench.client.prepare(ada)
    [outcome] = bench.sync(ada)
    held = bench.only(ada).fields
    assert held[NUMBER] == 1
    assert text.startswith(held.get(TEXT, ""))
    assert held.get(TEXT) == text or bench.names(TEXT, (*payload.warnings, *outcome.warnings))


@pytest.mark.parametrize("number", [0.1, -1.5, 10**12, 1e-3])
def test_a_number_arrives_with_every_digit(bench: Bench, number: float) -> None:
    ada = Contact(custom={NUMBER: number})
    bench.sync(ada)
    assert bench.only(ada).fields == {NUMBER: number}


@pytest.mark.needs(Capability.CHOICES)
def test_choices_arrive_and_fewer_replace_them(bench: Bench) -> None:
    ada = Contact(custom={CHOICES: list(OPTIONS[:2])})
    bench.sync(ada)
    assert sorted(bench.only(ada).fields[CHOICES]) == sorted(OPTIONS[:2])
    bench.sync(ada.edit(custom={CHOICES: [OPTIONS[2]]}))
    assert bench.only(ada).fields[CHOICES] == [OPTIONS[2]]


@pytest.mark.needs(Capability.FIELDS)
def test_a_field_that_the_account_lacks_is_left_out_with_its_name_and_the_rest_arrives(bench: Bench) -> None:
    ada = Contact(custom={TEXT: "x", LACKING: "a value of somebody"})
    payload = bench.client.prepare(ada)
    [outcome] = bench.sync(ada)
    assert bench.only(ada).fields == {TEXT: "x"}
    told = (*payload.warnings, *outcome.warnings)
    assert bench.names(LACKING, told)
    assert bench.subject.names[LACKING] in payload.left_out | outcome.left_out
    assert bench.subject.names[LACKING] not in outcome.sent_attributes
    assert "a value of somebody" not in " ".join(told)


@pytest.mark.needs(Capability.FIELDS)
@pytest.mark.parametrize(("field", "value"), [(NUMBER, "many"), (FLAG, "perhaps"), (DAY, "some day")])
def test_a_value_that_a_field_cannot_hold_is_left_out_with_its_name_and_the_rest_arrives(
    bench: Bench, field: str, value: str
) -> None:
    ada = Contact(custom={TEXT: "x", field: value})
    payload = bench.client.prepare(ada)
    [outcome] = bench.sync(ada)
    assert bench.only(ada).fields == {TEXT: "x"}
    told = (*payload.warnings, *outcome.warnings)
    assert bench.names(field, told)
    assert value not in " ".join(told)


def test_a_contact_that_was_deleted_at_the_crm_is_made_again(bench: Bench) -> None:
    ada = full()
    bench.sync(ada)
    bench.subject.delete(ada.address)
    bench.sync(ada.edit(name="Ada Byron"))
    assert bench.only(ada).fields[LAST_NAME] == "Byron"


@pytest.mark.parametrize(
    "record", [{"email": None}, {"email": ""}, {"email": "no address"}], ids=["none", "empty", "no address"]
)
def test_a_contact_without_an_address_is_not_sent_and_the_reason_is_told(bench: Bench, record: dict[str, Any]) -> None:
    found = bench.client.crm.prepare({**Contact().record, **record}, sent_attributes=frozenset())
    assert getattr(found, "kind", None) in {"no_address", "invalid_address"}
    assert getattr(found, "message", "").endswith(".")


def test_what_has_been_sent_is_told_by_its_names(bench: Bench) -> None:
    ada = Contact(custom={TEXT: "x", NUMBER: 0, FLAG: False})
    [outcome] = bench.sync(ada)
    assert outcome.sent_attributes == {bench.subject.names[name] for name in (TEXT, NUMBER, FLAG)}
    assert outcome.result is Result.SYNCED
