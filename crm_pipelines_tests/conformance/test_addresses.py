"""Addresses that change, and what belongs to somebody else."""

import pytest

from crm_pipelines.crms.outcomes import Result
from crm_pipelines_tests.conformance.bench import Bench
from crm_pipelines_tests.conformance.client import Contact
from crm_pipelines_tests.conformance.subject import FIRST_NAME, LAST_NAME, PHONE, TEXT, Capability, Remote

BOB = Remote(address="bob@example.com", remote_id="", fields={FIRST_NAME: "Bob", PHONE: "+12025550143"})
needs = pytest.mark.needs


@needs(Capability.RENAMES)
@pytest.mark.parametrize("new", ["ada.new+x@example.com", "ADA.New@Example.com", None], ids=["tag", "capitals", "odd"])
@pytest.mark.parametrize("remembers_id", [True, False])
def test_a_change_of_address_changes_the_contact_instead_of_making_a_second(
    bench: Bench, new: str | None, remembers_id: bool
) -> None:
    new = new or bench.subject.odd_address
    ada = Contact(name="Ada")
    bench.sync(ada)
    first = bench.only(ada)
    if not remembers_id:
        ada.remote_id = None
    [outcome] = bench.sync(ada.edit(email=new, name="Ada Byron"))
    held = bench.only(ada)
    assert (held.address, held.remote_id) == (new.lower(), first.remote_id)
    assert outcome.remote_key == new.lower()
    assert held.fields[LAST_NAME] == "Byron"


@needs(Capability.RENAMES)
def test_an_address_that_changes_back_is_still_one_contact(bench: Bench) -> None:
    ada = Contact(name="Ada")
    bench.sync(ada)
    first = bench.only(ada)
    bench.sync(ada.edit(email="new@example.com"))
    bench.sync(ada.edit(email="p1@example.com"))
    assert bench.only(ada).remote_id == first.remote_id


def test_an_address_in_other_letters_is_the_same(bench: Bench) -> None:
    bench.subject.seed(Remote(address="p1@example.com", remote_id=""))
    ada = Contact(email=" P1@Example.com", name="Ada")
    bench.sync(ada)
    bench.sync(ada.edit(email="p1@EXAMPLE.com"))
    assert bench.only(ada).fields == {FIRST_NAME: "Ada"}


@needs(Capability.RENAMES)
def test_the_address_of_another_contact_is_refused_and_both_stay_as_they_were(bench: Bench) -> None:
    ada = Contact(name="Ada")
    bench.sync(ada)
    bench.subject.seed(BOB)
    before = bench.subject.held()
    [outcome] = bench.send(ada.edit(email=BOB.address, name="Eve"))
    assert (outcome.result, outcome.kind) == (Result.REJECTED, "duplicate_address")
    assert bench.subject.held() == before
    assert BOB.address not in (outcome.message or "")


@needs(Capability.UNIQUE_PHONES)
def test_a_phone_number_of_another_contact_stays_his_and_the_rest_arrives(bench: Bench) -> None:
    bench.subject.seed(BOB)
    before = bench.subject.held()
    ada = Contact(name="Ada", phone_number="+1 202 555 0143", custom={TEXT: "x"})
    [outcome] = bench.sync(ada)
    held = bench.held()
    assert held[ada.address].fields == {FIRST_NAME: "Ada", TEXT: "x"}
    assert [held[BOB.address]] == before
    [warning] = outcome.warnings
    assert "2025550143" not in warning
    assert outcome.left_out


@needs(Capability.RENAMES)
def test_a_stranger_is_never_renamed(bench: Bench) -> None:
    bench.subject.seed(BOB)
    [stranger] = bench.subject.held()
    ada = Contact(name="Ada")
    ada.remote_key, ada.remote_id = "old@example.com", stranger.remote_id
    bench.send(ada)
    assert bench.held()[BOB.address] == stranger
