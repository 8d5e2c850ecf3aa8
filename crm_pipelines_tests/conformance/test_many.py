"""Several contacts at once: the fate of each is its own."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.delivery.single.halving import send_apart
from crm_pipelines_tests.conformance.bench import Bench
from crm_pipelines_tests.conformance.client import Contact
from crm_pipelines_tests.conformance.subject import FIRST_NAME, TEXT, Capability, Fault, Oddity, Remote
from crm_pipelines_tests.patience import PATIENCE

needs = pytest.mark.needs


def people(*numbers: int) -> list[Contact]:
    return [Contact(number, name=f"N{number}", custom={TEXT: f"t{number}"}) for number in numbers]


def full(bench: Bench) -> list[Contact]:
    """As many as one request holds; four at least."""
    return people(*range(1, max(4, bench.client.crm.most_per_request) + 1))


def own_ids(bench: Bench, contacts: Sequence[Contact], outcomes: Sequence[Outcome]) -> bool:
    """Whether each that has arrived was told the CRM's own id of it, or all were told none."""
    held = bench.held()
    arrived = [
        (outcome.remote_id, held[contact.address].remote_id)
        for contact, outcome in zip(contacts, outcomes, strict=True)
        if outcome.result is Result.SYNCED
    ]
    return {told for told, _ in arrived} == {None} or all(told == own for told, own in arrived)


def carried_by_one(outcomes: Sequence[Outcome]) -> bool:
    """Whether the first of which the CRM told something, else the first, carries the requests that they shared."""
    untold = {Result.RETRY, Result.UNKNOWN}
    telling = next((place for place, one in enumerate(outcomes) if one.result not in untold), 0)
    return [place for place, one in enumerate(outcomes) if one.requests] == [telling]


def test_each_contact_has_one_outcome_in_the_order_in_which_they_were_given(bench: Bench) -> None:
    contacts = people(5, 3, 9, 1)
    outcomes = bench.client.deliver(contacts)
    assert [outcome.remote_key for outcome in outcomes] == [one.address for one in contacts]
    held = bench.held()
    assert {one.address: one.fields[FIRST_NAME] for one in held.values()} == {
        one.address: one.record["name"] for one in contacts
    }


def test_the_crms_own_id_is_told_to_the_contact_that_has_it(bench: Bench) -> None:
    contacts = people(1, 2, 3)
    outcomes = bench.sync(*contacts)
    held = bench.held()
    told = [outcome.remote_id for outcome in outcomes]
    assert told in ([held[one.address].remote_id for one in contacts], [None] * 3)


@pytest.mark.parametrize("refused", [0, 1, 3], ids=["first", "middle", "last"])
def test_of_many_the_one_that_is_refused_says_so_and_the_others_arrive(bench: Bench, refused: int) -> None:
    contacts = people(1, 2, 3, 4)
    bench.subject.refuse(contacts[refused].address, "This one is not wanted")
    results = [outcome.result for outcome in bench.send(*contacts)]
    assert results == [Result.REJECTED if place == refused else Result.SYNCED for place in range(4)]
    assert bench.held().keys() == {one.address for one in contacts if one is not contacts[refused]}


def test_each_of_several_that_are_refused_has_the_reason_and_no_other(bench: Bench) -> None:
    contacts = people(1, 2, 3, 4)
    bench.subject.refuse(contacts[0].address, "Reason one")
    bench.subject.refuse(contacts[2].address, "Reason two")
    said = [outcome.message or "" for outcome in bench.send(*contacts)]
    assert ["Reason one" in one for one in said] == [True, False, False, False]
    assert ["Reason two" in one for one in said] == [False, False, True, False]


def test_each_request_counts_once_and_who_was_asked_about_is_told(bench: Bench) -> None:
    [ada, bob, eve] = people(1, 2, 3)
    bench.subject.seed(Remote(address=bob.address, remote_id=""))
    before = len(bench.subject.journal())
    outcomes = bench.send(ada, bob, eve)
    assert [one.answered for one in outcomes] == [True] * 3
    assert sum(one.requests for one in outcomes) == len(bench.subject.journal()) - before


def test_new_and_known_contacts_go_together(bench: Bench) -> None:
    [ada, bob, eve] = people(1, 2, 3)
    bench.sync(bob)
    bench.sync(ada, bob.edit(name="Bobby"), eve)
    assert {one.fields[FIRST_NAME] for one in bench.held().values()} == {"N1", "Bobby", "N3"}


@pytest.mark.parametrize(
    "fault", [Fault.WRONG_KEY, Fault.ERROR, Fault.RUBBISH, Fault.TOO_MANY], ids=lambda one: one.value
)
def test_while_nothing_is_answered_rightly_none_of_many_counts_as_arrived(bench: Bench, fault: Fault) -> None:
    bench.subject.fault(fault, times=None)
    assert Result.SYNCED not in {outcome.result for outcome in bench.send(*people(1, 2, 3))}
    assert bench.held() == {}


def test_more_than_one_request_holds_go_in_several_and_each_has_its_own_outcome(bench: Bench) -> None:
    contacts = people(*range(2 * bench.client.crm.most_per_request + 1, 0, -1))
    outcomes = bench.sync(*contacts)
    assert [outcome.remote_key for outcome in outcomes] == [one.address for one in contacts]
    assert own_ids(bench, contacts, outcomes)
    assert bench.held().keys() == {one.address for one in contacts}


def test_of_a_full_request_the_one_that_is_refused_says_so_and_all_others_arrive(bench: Bench) -> None:
    contacts = full(bench)
    refused = contacts[len(contacts) // 2]
    bench.subject.refuse(refused.address, "This one is not wanted")
    outcomes = bench.send(*contacts)
    assert [one.result is Result.SYNCED for one in outcomes] == [one is not refused for one in contacts]
    assert bench.held().keys() == {one.address for one in contacts if one is not refused}
    assert own_ids(bench, contacts, outcomes)


@needs(Capability.MANY)
def test_many_contacts_take_fewer_requests(bench: Bench) -> None:
    contacts = full(bench)
    before = len(bench.subject.journal())
    bench.sync(*contacts)
    assert len(bench.subject.journal()) - before < len(contacts)


@needs(Capability.MANY)
@pytest.mark.parametrize("culprit", [0, -1], ids=["first", "last"])
def test_a_request_that_is_refused_as_a_whole_has_no_effect_and_each_outcome_says_so(
    bench: Bench, culprit: int
) -> None:
    contacts = full(bench)
    bench.subject.refuse_whole(contacts[culprit].address)
    outcomes = bench.send(*contacts)
    assert {(one.result, one.whole) for one in outcomes} == {(Result.REJECTED, True)}
    assert carried_by_one(outcomes)
    assert bench.held() == {}


@needs(Capability.MANY)
@pytest.mark.parametrize("culprit", [0, 2, -1], ids=["first", "third", "last"])
def test_of_a_request_that_is_refused_as_a_whole_only_the_culprit_is_refused_apart(bench: Bench, culprit: int) -> None:
    contacts = full(bench)
    bench.subject.refuse_whole(contacts[culprit].address)
    came_to: dict[str, Outcome] = {}

    def send(some: Sequence[Contact]) -> list[Contact]:
        outcomes = bench.send(*some)
        came_to.update(zip((one.address for one in some), outcomes, strict=True))
        return [one for one, outcome in zip(some, outcomes, strict=True) if outcome.result is not Result.SYNCED]

    send_apart(send(contacts), send)
    refused = [address for address, outcome in came_to.items() if outcome.result is not Result.SYNCED]
    assert refused == [contacts[culprit].address]
    assert (came_to[refused[0]].result, came_to[refused[0]].whole) == (Result.REJECTED, False)
    assert bench.held().keys() == came_to.keys() - set(refused)


@needs(Capability.MANY)
@pytest.mark.parametrize("oddity", [Oddity.SHUFFLED, Oddity.RESPELT], ids=lambda one: one.value)
def test_results_that_come_in_another_order_or_other_letters_are_told_apart(bench: Bench, oddity: Oddity) -> None:
    bench.answer_oddly(oddity)
    contacts = people(10, 11, 12, 13)
    bench.subject.refuse(contacts[2].address, "This one is not wanted")
    outcomes = bench.send(*contacts)
    assert [one.result is Result.SYNCED for one in outcomes] == [True, True, False, True]
    assert own_ids(bench, contacts, outcomes)


@needs(Capability.MANY)
def test_a_contact_of_which_the_answer_says_nothing_has_not_arrived_and_the_others_have(bench: Bench) -> None:
    bench.answer_oddly(Oddity.FEWER)
    contacts = people(1, 2, 3)
    outcomes = bench.send(*contacts)
    assert [one.result for one in outcomes] == [bench.lost, Result.SYNCED, Result.SYNCED]
    assert carried_by_one(outcomes)
    assert own_ids(bench, contacts, outcomes)


@needs(Capability.MANY)
@pytest.mark.parametrize("fault", [None, Fault.ERROR, Fault.TOO_MANY, Fault.WRONG_KEY])
def test_one_of_those_who_shared_a_request_carries_it(bench: Bench, fault: Fault | None) -> None:
    if fault is not None:
        bench.subject.fault(fault)
    before = len(bench.subject.journal())
    outcomes = bench.send(*people(1, 2, 3))
    assert carried_by_one(outcomes)
    assert sum(one.requests for one in outcomes) == len(bench.subject.journal()) - before
    assert [one.shared for one in outcomes] == [False, True, True]


def test_a_lost_answer_is_lost_for_each_of_many(bench: Bench) -> None:
    contacts = people(1, 2, 3)
    bench.subject.fault(Fault.RESET_AFTER, times=None)
    outcomes = bench.send(*contacts)
    assert [(one.result, one.answered) for one in outcomes] == [(bench.lost, True)] * 3
    assert bench.held().keys() == {one.address for one in contacts}, "they were applied"


@needs(Capability.REPEATABLE)
def test_many_whose_answer_was_lost_are_sent_again_and_are_one_each(bench: Bench) -> None:
    contacts = people(1, 2, 3)
    bench.subject.fault(Fault.RESET_AFTER, times=None)
    bench.send(*contacts)
    once = bench.subject.held()
    bench.subject.end_faults()
    bench.sync(*contacts)
    assert bench.subject.held() == once


def test_many_that_are_sent_twice_are_one_each_and_the_second_time_changes_nothing(bench: Bench) -> None:
    contacts = full(bench)
    bench.sync(*contacts)
    once = bench.subject.held()
    bench.sync(*reversed(contacts))
    assert bench.subject.held() == once


def test_without_a_server_each_of_many_is_tried_again(bench: Bench) -> None:
    nowhere = bench.open(base_url="http://127.0.0.1:1")
    outcomes = bench.send(*people(1, 2, 3), client=nowhere)
    assert [(one.result, one.kind) for one in outcomes] == [(Result.RETRY, "outage")] * 3


def test_nothing_is_sent_for_no_contacts(bench: Bench) -> None:
    before = bench.subject.journal()
    assert bench.send() == []
    assert bench.subject.journal() == before


def test_one_client_serves_two_threads_and_mixes_nothing_up(bench: Bench) -> None:
    begin = threading.Barrier(2)

    def deliver(numbers: range) -> list[Outcome]:
        begin.wait(PATIENCE)
        return [bench.send(one)[0] for one in people(*numbers)]

    with ThreadPoolExecutor(2) as pool:
        outcomes = [one for part in pool.map(deliver, [range(20), range(20, 40)]) for one in part]
    assert {outcome.result for outcome in outcomes} == {Result.SYNCED}
    held = bench.held()
    assert {address: (one.fields[FIRST_NAME], one.fields[TEXT]) for address, one in held.items()} == {
        f"p{number}@example.com": (f"N{number}", f"t{number}") for number in range(40)
    }
    assert [outcome.remote_key for outcome in outcomes] == [f"p{number}@example.com" for number in range(40)]
