"""What holds for one contact holds for many that are imported at once."""

from collections.abc import Sequence
from typing import Any

import pytest

from crm_pipelines.crms.bulk import ImportRow, ImportTarget
from crm_pipelines.crms.outcomes import Result
from crm_pipelines.crms.payloads import Held
from crm_pipelines_tests.conformance.bench import Bench
from crm_pipelines_tests.conformance.client import Contact
from crm_pipelines_tests.conformance.subject import (
    CHOICES,
    DAY,
    FIRST_NAME,
    FLAG,
    KEY,
    NUMBER,
    OPTIONS,
    PHONE,
    TEXT,
    Capability,
    Fault,
    Remote,
)
from crm_pipelines_tests.one_contact import at_once
from crm_pipelines_tests.patience import wait_until

pytestmark = [pytest.mark.needs(Capability.IMPORTS)]

CUSTOM: list[dict[str, Any]] = [
    {TEXT: 'Zoë 李 😀 "quoted"; <b>\\', NUMBER: 12.5, FLAG: True, DAY: "1984-04-05"},
    {NUMBER: 0, FLAG: False},
    {},
]


def opened(bench: Bench) -> ImportTarget:
    outcome, target = bench.client.imports.open(turn=at_once)
    assert outcome.result is Result.SYNCED
    assert target is not None
    return target


def rows(bench: Bench, target: ImportTarget, contacts: Sequence[Contact]) -> list[ImportRow]:
    made = [bench.client.imports.row(bench.client.prepare(one), target) for one in contacts]
    assert None not in made
    return [one for one in made if one is not None]


def imported(bench: Bench, *contacts: Contact) -> tuple[list[ImportRow], dict[str, Held]]:
    """The rows, and what is read of the account once the import has ended."""
    target = opened(bench)
    made = rows(bench, target, contacts)
    outcome, process = bench.client.imports.submit([one.content for one in made], target, turn=at_once)
    assert outcome.result is Result.SYNCED
    assert process is not None
    wait_until(lambda: ended(bench, process), "the import ends")
    return made, read(bench)


def ended(bench: Bench, process: str) -> bool:
    outcome, statuses = bench.client.imports.look(turn=at_once)
    assert outcome.result is Result.SYNCED
    return process in statuses and statuses[process].completed


def read(bench: Bench) -> dict[str, Held]:
    size = bench.client.imports.page_size
    outcome, page = bench.client.imports.read(None, offset=0, size=size, turn=at_once)
    assert outcome.result is Result.SYNCED
    assert page is not None
    return {one.key: one for one in page.contacts}


def proved(bench: Bench, row: ImportRow, held: Held | None) -> bool:
    return held is not None and bench.client.imports.proof(held, row.names) == row.proof


def test_what_is_imported_arrives_and_is_proved_by_what_is_read(bench: Bench) -> None:
    contacts = [Contact(number, name=f"N{number}", custom=custom) for number, custom in enumerate(CUSTOM)]
    made, seen = imported(bench, *contacts)
    held = bench.held()
    assert [held[one.address].fields for one in contacts] == [
        {FIRST_NAME: f"N{number}", **custom} for number, custom in enumerate(CUSTOM)
    ]
    assert [proved(bench, row, seen.get(one.address)) for row, one in zip(made, contacts, strict=True)] == [True] * 3


@pytest.mark.needs(Capability.CHOICES)
def test_choices_that_are_imported_arrive_and_are_proved(bench: Bench) -> None:
    ada = Contact(custom={CHOICES: list(OPTIONS[:2])})
    [row], seen = imported(bench, ada)
    assert sorted(bench.only(ada).fields[CHOICES]) == sorted(OPTIONS[:2])
    assert proved(bench, row, seen[ada.address])


def test_what_is_not_there_as_it_was_sent_is_not_proved(bench: Bench) -> None:
    contacts = [Contact(number, custom={NUMBER: 0, FLAG: False, TEXT: "x"}) for number in (1, 2, 3)]
    made = rows(bench, opened(bench), contacts)
    bench.subject.seed(Remote(address="p1@example.com", remote_id="", fields={NUMBER: 1, FLAG: False, TEXT: "x"}))
    bench.subject.seed(Remote(address="p2@example.com", remote_id="", fields={TEXT: "x"}))
    seen = read(bench)
    assert [proved(bench, row, seen.get(one.address)) for row, one in zip(made, contacts, strict=True)] == [False] * 3


@pytest.mark.needs(Capability.UNIQUE_PHONES)
def test_of_an_import_the_one_that_is_not_taken_is_not_proved_and_the_others_arrive(bench: Bench) -> None:
    bob = Remote(address="bob@example.com", remote_id="", fields={PHONE: "+12025550143"})
    bench.subject.seed(bob)
    contacts = [
        Contact(1, name="Ada"),
        Contact(2, name="Eve", phone_number="+1 202 555 0143"),
        Contact(3, name="Joe"),
    ]
    made, seen = imported(bench, *contacts)
    assert [proved(bench, row, seen.get(one.address)) for row, one in zip(made, contacts, strict=True)] == [
        True,
        False,
        True,
    ]
    assert bench.held()[bob.address].fields[PHONE] == "12025550143"


def test_who_is_imported_after_being_sent_is_one_contact(bench: Bench) -> None:
    ada = Contact(name="Ada", custom={NUMBER: 1})
    bench.sync(ada)
    first = bench.only(ada)
    imported(bench, ada.edit(custom={NUMBER: 0}))
    held = bench.only(ada)
    assert (held.remote_id, held.fields) == (first.remote_id, {FIRST_NAME: "Ada", NUMBER: 0})


def test_who_is_sent_after_being_imported_is_one_contact(bench: Bench) -> None:
    ada = Contact(name="Ada", custom={NUMBER: 1})
    imported(bench, ada)
    first = bench.only(ada)
    bench.sync(ada.edit(custom={NUMBER: 0}))
    held = bench.only(ada)
    assert (held.remote_id, held.fields) == (first.remote_id, {FIRST_NAME: "Ada", NUMBER: 0})


def test_a_contact_of_which_something_is_to_be_cleared_is_cleared_or_goes_singly(bench: Bench) -> None:
    ada = Contact(custom={TEXT: "x", NUMBER: 0})
    bench.sync(ada)
    row = bench.client.imports.row(bench.client.prepare(ada.edit(custom={NUMBER: 0})), opened(bench))
    if row is not None:
        imported(bench, ada)
        assert bench.only(ada).fields == {NUMBER: 0}


@pytest.mark.needs(Capability.OPT_OUTS)
def test_who_opted_out_is_known_by_each_identifier_before_an_import(bench: Bench) -> None:
    ada, bob = Contact(1, name="Ada", phone_number="+1 202 555 0143"), Contact(2, name="Bob")
    bench.sync(ada, bob)
    bench.subject.opt_out(ada.address)
    [of_ada, of_bob] = rows(bench, opened(bench), [ada, bob])
    blocked = frozenset().union(*(bench.client.imports.blocked(one) for one in read(bench).values()))
    assert of_ada.identifiers <= blocked
    assert not of_bob.identifiers & blocked


@pytest.mark.needs(Capability.LEAVERS)
def test_who_left_the_list_is_known_by_each_identifier_before_an_import(bench: Bench) -> None:
    bench.client = bench.open(on_list=True)
    ada, bob = Contact(1, name="Ada", phone_number="+1 202 555 0143"), Contact(2, name="Bob")
    bench.sync(ada, bob)
    bench.subject.leave_list(ada.address)
    [of_ada, of_bob] = rows(bench, opened(bench), [ada, bob])
    blocked = frozenset().union(*(bench.client.imports.blocked(one) for one in read(bench).values()))
    assert of_ada.identifiers <= blocked
    assert not of_bob.identifiers & blocked


@pytest.mark.parametrize(
    "fault",
    [Fault.WRONG_KEY, Fault.TOO_MANY, Fault.ERROR, Fault.PAGE, Fault.RUBBISH, Fault.FOREIGN],
    ids=lambda one: one.value,
)
def test_no_import_has_begun_without_a_right_answer(bench: Bench, fault: Fault) -> None:
    target = opened(bench)
    [row] = rows(bench, target, [Contact()])
    bench.subject.fault(fault)
    outcome, process = bench.client.imports.submit([row.content], target, turn=at_once)
    assert (outcome.result is Result.SYNCED, process) == (False, None)
    assert KEY not in repr(outcome)


@pytest.mark.parametrize(
    "fault", [Fault.WRONG_KEY, Fault.ERROR, Fault.PAGE, Fault.EMPTY, Fault.FOREIGN], ids=lambda one: one.value
)
def test_nothing_is_read_without_a_right_answer(bench: Bench, fault: Fault) -> None:
    bench.sync(Contact())
    bench.subject.fault(fault)
    outcome, page = bench.client.imports.read(None, offset=0, size=10, turn=at_once)
    assert (outcome.result is Result.SYNCED, page) == (False, None)


def test_what_the_turn_of_an_import_raises_passes_through_and_nothing_is_sent(bench: Bench) -> None:
    def closed() -> None:
        raise RuntimeError("the gate is closed")

    target = opened(bench)
    [row] = rows(bench, target, [Contact()])
    before = bench.subject.journal()
    with pytest.raises(RuntimeError, match="the gate is closed"):
        bench.client.imports.submit([row.content], target, turn=closed)
    assert bench.subject.journal() == before
