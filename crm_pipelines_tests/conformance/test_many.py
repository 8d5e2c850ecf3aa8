"""Several contacts at once: the fate of each is its own."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines_tests.conformance.bench import Bench
from crm_pipelines_tests.conformance.client import Contact
from crm_pipelines_tests.conformance.subject import FIRST_NAME, TEXT, Fault, Remote
from crm_pipelines_tests.patience import PATIENCE


def people(*numbers: int) -> list[Contact]:
    return [Contact(number, name=f"N{number}", custom={TEXT: f"t{number}"}) for number in numbers]


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
