"""What is read back is what the CRM holds, and what is equal to ours is called so."""

from typing import Any

import pytest

from crm_pipelines.crms.outcomes import Result
from crm_pipelines.crms.payloads import Compared
from crm_pipelines_tests.conformance.bench import Bench
from crm_pipelines_tests.conformance.client import Contact
from crm_pipelines_tests.conformance.subject import CHOICES, DAY, FLAG, NUMBER, OPTIONS, TEXT, Capability, Fault, Remote

needs = pytest.mark.needs

RECORDS = [
    pytest.param({"name": "Ada King Lovelace", "phone_number": "+1 202 555 0143"}, id="names"),
    pytest.param({"custom": {TEXT: "x", NUMBER: 12.5, FLAG: True, DAY: "1984-04-05"}}, id="every kind"),
    pytest.param({"custom": {FLAG: False}}, id="false"),
    pytest.param({"custom": {NUMBER: 0}}, id="zero", marks=needs(Capability.ZEROS)),
    pytest.param({"custom": {TEXT: 'Zoë 李 😀 "quoted" <b>'}}, id="letters"),
    pytest.param({"email": "ADA.Other+x@Example.com", "name": "Ada"}, id="address"),
]


def compared(bench: Bench, contact: Contact) -> list[Compared]:
    outcome, held = bench.client.look_up(contact)
    assert outcome.result is Result.SYNCED
    assert held is not None
    return list(bench.client.compare(contact, held))


def different(bench: Bench, contact: Contact) -> set[str]:
    return {one.attribute for one in compared(bench, contact) if one.same is False}


@needs(Capability.READING)
@pytest.mark.parametrize("record", RECORDS)
def test_what_was_sent_is_read_back_as_the_same_field_by_field(bench: Bench, record: dict[str, Any]) -> None:
    ada = Contact(**record)
    payload = bench.client.prepare(ada)
    bench.sync(ada)
    found = compared(bench, ada)
    assert {one.attribute for one in found if one.same} >= payload.attributes.keys()
    assert [one for one in found if one.same is False] == []


@needs(Capability.READING, Capability.CHOICES)
def test_choices_are_read_back_as_the_same(bench: Bench) -> None:
    ada = Contact(custom={CHOICES: [OPTIONS[1], OPTIONS[0]]})
    bench.sync(ada)
    assert different(bench, ada) == set()


@needs(Capability.READING)
@pytest.mark.parametrize(
    ("field", "ours", "theirs"),
    [(TEXT, "x", "X"), (NUMBER, 0, 1), (NUMBER, 0.1, 0.2), (FLAG, False, True), (DAY, "1984-04-05", "1984-05-04")],
)
def test_what_somebody_changed_at_the_crm_is_called_different(
    bench: Bench, field: str, ours: object, theirs: object
) -> None:
    ada = Contact(custom={field: ours})
    bench.sync(ada)
    bench.subject.seed(Remote(address=ada.address, remote_id="", fields={field: theirs}))
    assert different(bench, ada) == {bench.subject.names[field]}


@needs(Capability.READING)
def test_a_value_that_is_gone_at_the_crm_is_called_different(bench: Bench) -> None:
    ada = Contact(custom={NUMBER: 0, FLAG: False, TEXT: "x"})
    bench.sync(ada)
    bench.subject.delete(ada.address)
    bench.subject.seed(Remote(address=ada.address, remote_id=""))
    assert different(bench, ada) == {bench.subject.names[one] for one in (NUMBER, FLAG, TEXT)}


@needs(Capability.READING)
def test_an_edit_that_is_not_delivered_yet_is_called_different(bench: Bench) -> None:
    ada = Contact(custom={TEXT: "x", NUMBER: 1})
    bench.sync(ada)
    assert different(bench, ada.edit(custom={TEXT: "y"})) == {bench.subject.names[TEXT], bench.subject.names[NUMBER]}


@needs(Capability.READING)
def test_whom_the_crm_does_not_hold_is_told_apart_from_an_outage(bench: Bench) -> None:
    outcome, held = bench.client.look_up(Contact())
    assert (outcome.result, held) == (Result.SYNCED, None)


@needs(Capability.READING)
@pytest.mark.parametrize(
    "fault",
    [
        Fault.WRONG_KEY,
        Fault.TOO_MANY,
        Fault.ERROR,
        Fault.PAGE,
        Fault.EMPTY,
        Fault.RUBBISH,
        Fault.FOREIGN,
        Fault.REDIRECT,
        Fault.RESET_BEFORE,
    ],
    ids=lambda one: one.value,
)
def test_nobody_is_called_missing_without_a_right_answer(bench: Bench, fault: Fault) -> None:
    ada = Contact()
    bench.sync(ada)
    bench.subject.fault(fault, times=None)
    outcome, held = bench.client.look_up(ada)
    assert (outcome.result is Result.SYNCED, held) == (False, None)


@needs(Capability.READING)
def test_a_stranger_is_not_shown_as_our_contact(bench: Bench) -> None:
    bench.subject.seed(Remote(address="bob@example.com", remote_id=""))
    [stranger] = bench.subject.held()
    ada = Contact()
    ada.remote_key, ada.remote_id = "old@example.com", stranger.remote_id
    assert bench.client.look_up(ada)[1] is None
