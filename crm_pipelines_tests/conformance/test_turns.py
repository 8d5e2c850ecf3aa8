"""Who is in a request: whoever had a turn for it, and nobody else."""

import re
from collections.abc import Callable, Sequence
from urllib.parse import unquote

from crm_pipelines.crms.outcomes import Result
from crm_pipelines.crms.payloads import Sendable
from crm_pipelines_tests.conformance.bench import Bench
from crm_pipelines_tests.conformance.client import Contact
from crm_pipelines_tests.conformance.subject import FIRST_NAME, TEXT


class Turns:
    """Lets pass whom `passes` says, by the number of the turn and the contact's id.

    Notes of each turn how many requests had come before, and whom it let pass.
    """

    def __init__(self, bench: Bench, passes: Callable[[int, str], bool] = lambda _number, _id: True) -> None:
        self._journal = bench.subject.journal
        self._passes = passes
        self.came: list[int] = []
        self.passed: list[list[str]] = []

    def __call__(self, contacts: Sequence[Sendable]) -> list[Sendable]:
        number = len(self.came)
        self.came.append(len(self._journal()))
        passing = [one for one in contacts if self._passes(number, one.external_id)]
        self.passed.append([one.external_id for one in passing])
        return passing


def person(number: int) -> Contact:
    return Contact(number, name=f"Person{number:04}", custom={TEXT: f"text{number:04}"})


def id_of(contact: Contact) -> str:
    return str(contact.record["id"])


def mentions(request: str, contact: Contact, *, by_number: bool = False) -> bool:
    """Whether anything of the contact is in the request; `by_number`: the CRM's own id suffices."""
    told = unquote(request).lower()
    number = contact.remote_id if by_number else None
    known = (contact.address, id_of(contact), contact.record["name"].lower(), contact.record["custom_fields"][TEXT])
    return any(one in told for one in known) or bool(number and re.search(rf"\b{re.escape(number)}\b", told))


def test_whom_the_turn_leaves_out_is_in_no_request_and_the_others_are_sent(bench: Bench) -> None:
    contacts = [person(number) for number in (1, 2, 3, 4)]
    gone = contacts[1]
    before = len(bench.subject.journal())
    outcomes = bench.client.hand_over(contacts, turn=Turns(bench, lambda _, one: one != id_of(gone)))
    assert [one and one.result for one in outcomes] == [Result.SYNCED, None, Result.SYNCED, Result.SYNCED]
    assert [one for one in bench.subject.journal()[before:] if mentions(one, gone)] == []
    assert bench.held().keys() == {one.address for one in contacts if one is not gone}


def test_a_turn_that_lets_nobody_pass_makes_no_request(bench: Bench) -> None:
    known = person(1)
    bench.sync(known)
    before = bench.subject.journal(), bench.subject.held()
    edited = known.edit(name="Somebody0001")
    outcomes = bench.client.hand_over([edited, person(2), person(3)], turn=lambda _: [])
    assert list(outcomes) == [None] * 3
    assert (bench.subject.journal(), bench.subject.held()) == before


def test_who_is_left_out_between_two_requests_is_as_before_or_has_arrived(bench: Bench) -> None:
    contacts = [person(number) for number in (1, 2, 3)]
    bench.sync(*contacts)
    before, came = bench.held(), len(bench.subject.journal())
    for one in contacts:
        one.edit(name=one.record["name"].replace("Person", "Somebody"))
    bench.client.hand_over(contacts, turn=lambda _: [])  # from now on it is not certain what the CRM holds
    outcomes = bench.client.hand_over(contacts, turn=Turns(bench, lambda number, _: number == 0))
    assert len(bench.subject.journal()) == came + 1
    for contact, outcome in zip(contacts, outcomes, strict=True):
        held = bench.held()[contact.address]
        if outcome is None:
            assert held == before[contact.address]
        else:
            assert (outcome.result, held.fields[FIRST_NAME]) == (Result.SYNCED, contact.record["name"])


def test_each_request_is_preceded_by_one_turn_for_exactly_those_who_are_in_it(bench: Bench) -> None:
    most = bench.client.crm.most_per_request
    known, uncertain, gone, *new = contacts = [person(number) for number in range(1, most + 5)]
    bench.sync(known, uncertain)
    bench.client.hand_over([uncertain], turn=lambda _: [])
    before = len(bench.subject.journal())
    turns = Turns(bench, lambda _, one: one != id_of(gone))
    bench.client.hand_over([known, *new, gone, uncertain], turn=turns)
    made = [(came, passed) for came, passed in zip(turns.came, turns.passed, strict=True) if passed]
    requests = bench.subject.journal()
    assert [came for came, _ in made] == list(range(before, len(requests)))
    for came, passed in made:
        inside = {id_of(one) for one in contacts if mentions(requests[came], one)}
        told = {id_of(one) for one in contacts if mentions(requests[came], one, by_number=True)}
        assert inside <= set(passed) <= told
        assert len(passed) <= most
