"""What a person, or another system, has decided at the CRM stays so."""

from collections.abc import Callable

import pytest

from crm_pipelines.crms.outcomes import Result
from crm_pipelines_tests.conformance.bench import Bench
from crm_pipelines_tests.conformance.client import Contact
from crm_pipelines_tests.conformance.subject import FIRST_NAME, TEXT, Capability, Remote

ADA = "p1@example.com"
needs = pytest.mark.needs
Edit = Callable[[Contact], Contact]
Leave = Callable[[Bench], None]


def fields(ada: Contact) -> Contact:
    return ada.edit(name="Ada King", custom={TEXT: "new"})


def blank(ada: Contact) -> Contact:
    return ada.edit(name=None, custom={})


def address(ada: Contact) -> Contact:
    return ada.edit(email="new@example.com")


def nothing(ada: Contact) -> Contact:
    return ada


def left(bench: Bench) -> None:
    bench.subject.leave_list(ADA)


def taken_off(bench: Bench) -> None:
    bench.subject.take_off_list(ADA)


off_the_list = pytest.mark.parametrize("leave", [left, taken_off])


def sent(bench: Bench, *, on_list: bool = False) -> Contact:
    ada = Contact(name="Ada", custom={TEXT: "x"})
    client = bench.open(on_list=True) if on_list else None
    bench.sync(ada, client=client)
    return ada


@needs(Capability.OPT_OUTS)
@pytest.mark.parametrize("edit", [fields, blank, nothing])
def test_who_opted_out_stays_so_whatever_is_updated(bench: Bench, edit: Edit) -> None:
    ada = sent(bench)
    bench.subject.opt_out(ADA)
    bench.sync(edit(ada))
    assert bench.only(ada).opted_out


@needs(Capability.OPT_OUTS, Capability.RENAMES)
@pytest.mark.parametrize("remembers_id", [True, False])
def test_who_opted_out_stays_so_when_the_address_changes(bench: Bench, remembers_id: bool) -> None:
    ada = sent(bench)
    bench.subject.opt_out(ADA)
    if not remembers_id:
        ada.remote_id = None
    [outcome] = bench.send(address(ada))
    assert [one.opted_out for one in bench.held().values()] == [True]
    assert outcome.result is Result.SYNCED or (outcome.result, outcome.kind) == (Result.REJECTED, "consent")


@needs(Capability.OPT_OUTS)
@pytest.mark.parametrize("on_list", [False, True])
def test_who_opted_out_before_us_stays_so_when_sent_for_the_first_time(bench: Bench, on_list: bool) -> None:
    bench.subject.seed(Remote(address=ADA, remote_id="", opted_out=True))
    bench.sync(Contact(name="Ada"), client=bench.open(on_list=on_list))
    held = bench.held()[ADA]
    assert (held.opted_out, held.fields[FIRST_NAME]) == (True, "Ada")


@needs(Capability.OPT_OUTS, Capability.REPEATABLE)
def test_who_opted_out_after_an_answer_was_lost_stays_so_when_it_is_tried_again(bench: Bench) -> None:
    ada = Contact(name="Ada")
    assert bench.lose(ada).result is Result.RETRY
    bench.subject.opt_out(ADA)
    bench.sync(ada)
    assert bench.only(ada).opted_out


@needs(Capability.LISTS)
def test_a_new_contact_is_put_on_the_list(bench: Bench) -> None:
    assert bench.only(sent(bench, on_list=True)).on_list


@needs(Capability.LISTS)
def test_who_was_at_the_crm_before_us_and_never_left_is_put_on_the_list(bench: Bench) -> None:
    bench.subject.seed(Remote(address=ADA, remote_id=""))
    assert bench.only(sent(bench, on_list=True)).on_list


@needs(Capability.LISTS)
def test_without_a_list_in_the_settings_nobody_is_put_on_one(bench: Bench) -> None:
    assert not bench.only(sent(bench)).on_list


@needs(Capability.LISTS)
@pytest.mark.parametrize("edit", [fields, blank, nothing])
@off_the_list
def test_who_left_the_list_is_not_put_back_whatever_is_updated(bench: Bench, edit: Edit, leave: Leave) -> None:
    ada = sent(bench, on_list=True)
    leave(bench)
    bench.sync(edit(ada), client=bench.open(on_list=True))
    assert not bench.only(ada).on_list


@needs(Capability.LISTS, Capability.RENAMES)
@off_the_list
def test_who_left_the_list_is_not_put_back_when_the_address_changes(bench: Bench, leave: Leave) -> None:
    ada = sent(bench, on_list=True)
    leave(bench)
    bench.sync(address(ada), client=bench.open(on_list=True))
    assert not bench.only(ada).on_list


@needs(Capability.LISTS, Capability.LEAVERS)
def test_who_left_the_list_before_us_is_not_put_back_by_the_first_delivery_and_the_rest_arrives(bench: Bench) -> None:
    bench.subject.seed(Remote(address=ADA, remote_id="", on_list=True))
    bench.subject.leave_list(ADA)
    held = bench.only(sent(bench, on_list=True))
    assert (held.on_list, held.fields) == (False, {FIRST_NAME: "Ada", TEXT: "x"})


@needs(Capability.LISTS, Capability.LEAVERS, Capability.REPEATABLE)
@off_the_list
def test_who_left_the_list_after_an_answer_was_lost_is_not_put_back_when_it_is_tried_again(
    bench: Bench, leave: Leave
) -> None:
    ada, client = Contact(name="Ada"), bench.open(on_list=True)
    assert bench.lose(ada, client=client).result is Result.RETRY
    assert bench.only(ada).on_list
    leave(bench)
    bench.sync(ada, client=client)
    assert not bench.only(ada).on_list


@needs(Capability.MARKS)
@pytest.mark.parametrize("edit", [fields, nothing])
def test_the_id_that_another_system_gave_stays(bench: Bench, edit: Edit) -> None:
    bench.subject.seed(Remote(address=ADA, remote_id="", mark="shop-42"))
    ada = sent(bench)
    bench.sync(edit(ada))
    assert bench.only(ada).mark == "shop-42"


@needs(Capability.MARKS, Capability.RENAMES)
def test_the_id_that_another_system_gave_stays_when_the_address_changes(bench: Bench) -> None:
    bench.subject.seed(Remote(address=ADA, remote_id="", mark="shop-42"))
    ada = sent(bench)
    bench.sync(address(ada))
    assert bench.only(ada).mark == "shop-42"
