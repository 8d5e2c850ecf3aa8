"""Whatever the CRM, or the way to it, does: nothing counts as arrived that is not confirmed, and nobody comes twice."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines_tests.conformance.bench import Bench
from crm_pipelines_tests.conformance.client import Contact
from crm_pipelines_tests.conformance.subject import KEY, NUMBER, TEXT, WAIT, Capability, Fault
from crm_pipelines_tests.fixtures.deadlines import Deadlines
from crm_pipelines_tests.one_contact import at_once
from crm_pipelines_tests.patience import PATIENCE

REFUSALS = [Fault.WRONG_KEY, Fault.FORBIDDEN]
OUTAGES = [
    Fault.ERROR,
    Fault.UNAVAILABLE,
    Fault.ERROR_PAGE,
    Fault.PAGE,
    Fault.EMPTY,
    Fault.RUBBISH,
    Fault.FOREIGN,
    Fault.REDIRECT,
    Fault.RESET_BEFORE,
]
APPLIED = [Fault.RESET_AFTER, Fault.ERROR_PAGE_AFTER]
SILENCES = [Fault.SILENCE_BEFORE, Fault.SILENCE_AFTER]
UNCERTAIN = [
    Fault.ERROR,
    Fault.ERROR_PAGE,
    Fault.PAGE,
    Fault.EMPTY,
    Fault.RUBBISH,
    Fault.FOREIGN,
    Fault.RESET_BEFORE,
    *APPLIED,
]
"""After these nobody here can know whether the request was applied."""
REFUSED_OR_OUT = [*REFUSALS, Fault.NOT_FOUND, Fault.TOO_MANY, *OUTAGES]

Prepare = Callable[[Bench], Contact]


def new(_bench: Bench) -> Contact:
    return Contact(name="Ada", custom={TEXT: "x"})


def known(bench: Bench) -> Contact:
    ada = Contact(name="Augusta", custom={TEXT: "before"})
    bench.sync(ada)
    return ada.edit(name="Ada", custom={TEXT: "x"})


def renamed(bench: Bench) -> Contact:
    return known(bench).edit(email="new@example.com")


def playing(faults: Sequence[Fault]) -> pytest.MarkDecorator:
    """The case for each of these; JSON of somebody else only where it can be told apart."""
    needed = {Fault.FOREIGN: pytest.mark.needs(Capability.FORM)}
    return pytest.mark.parametrize(
        "fault", [pytest.param(one, id=one.value, marks=needed.get(one, ())) for one in faults]
    )


each_fault = playing([*REFUSED_OR_OUT, *APPLIED])
new_or_known = pytest.mark.parametrize("prepare", [new, known])


@each_fault
@new_or_known
def test_nothing_counts_as_arrived_while_no_answer_confirms_it(bench: Bench, fault: Fault, prepare: Prepare) -> None:
    ada = prepare(bench)
    bench.subject.fault(fault, times=None)
    [outcome] = bench.send(ada)
    assert outcome.result is not Result.SYNCED
    assert outcome.kind
    assert outcome.message
    assert (outcome.remote_key, outcome.sent_attributes) == (None, frozenset())


@pytest.mark.needs(Capability.RENAMES)
@each_fault
def test_no_change_of_address_counts_while_no_answer_confirms_it(bench: Bench, fault: Fault) -> None:
    ada = renamed(bench)
    bench.subject.fault(fault, times=None)
    [outcome] = bench.send(ada)
    assert (outcome.result is Result.SYNCED, outcome.remote_key) == (False, None)


@pytest.mark.needs(Capability.REPEATABLE)
@playing(OUTAGES)
@new_or_known
def test_an_outage_is_tried_again_and_then_there_is_one_contact(bench: Bench, fault: Fault, prepare: Prepare) -> None:
    ada = prepare(bench)
    bench.subject.fault(fault)
    [outcome] = bench.send(ada)
    assert (outcome.result, outcome.kind) == (Result.RETRY, "outage")
    bench.sync(ada)
    assert bench.only(ada).fields[TEXT] == "x"


@playing(UNCERTAIN)
def test_what_may_have_been_applied_is_tried_again_only_where_that_does_no_harm(bench: Bench, fault: Fault) -> None:
    outcome = bench.lose(new(bench), fault)
    assert (outcome.result, outcome.remote_key, outcome.sent_attributes) == (bench.lost, None, frozenset())
    assert outcome.kind
    assert outcome.message
    assert outcome.answered


@pytest.mark.parametrize("fault", SILENCES, ids=lambda one: one.value)
def test_what_has_no_answer_in_time_may_have_been_applied(bench: Bench, deadlines: Deadlines, fault: Fault) -> None:
    bench.subject.fault(fault)
    assert send_until_the_deadline(bench, deadlines, new(bench)).result is bench.lost


@pytest.mark.needs(Capability.REPEATABLE)
@pytest.mark.parametrize("fault", APPLIED, ids=lambda one: one.value)
@pytest.mark.parametrize("prepare", [new, known, pytest.param(renamed, marks=pytest.mark.needs(Capability.RENAMES))])
def test_what_was_applied_without_an_answer_is_tried_again_and_then_there_is_one_contact(
    bench: Bench, fault: Fault, prepare: Prepare
) -> None:
    ada = prepare(bench)
    outcome = bench.lose(ada, fault)
    assert (outcome.result, outcome.kind) == (Result.RETRY, "outage")
    assert bench.only(ada).fields[TEXT] == "x", "it was applied"
    bench.sync(ada)
    assert bench.only(ada).fields[TEXT] == "x"


@pytest.mark.needs(Capability.REPEATABLE)
@pytest.mark.parametrize("fault", APPLIED, ids=lambda one: one.value)
def test_what_is_edited_after_a_lost_answer_arrives_and_what_was_sent_then_is_cleared(
    bench: Bench, fault: Fault
) -> None:
    ada = Contact(custom={TEXT: "x", NUMBER: 1})
    bench.lose(ada, fault)
    bench.sync(ada.edit(custom={NUMBER: 2}))
    assert bench.only(ada).fields == {NUMBER: 2}


@pytest.mark.needs(Capability.REPEATABLE, Capability.RENAMES)
@pytest.mark.parametrize("address", ["p1@example.com", "third@example.com"], ids=["back", "on"])
def test_an_address_that_changes_again_after_a_lost_answer_leaves_one_contact(bench: Bench, address: str) -> None:
    ada = renamed(bench)
    first = bench.held()["p1@example.com"]
    bench.lose(ada)
    bench.sync(ada.edit(email=address))
    assert bench.only(ada).remote_id == first.remote_id


@pytest.mark.needs(Capability.REPEATABLE)
@pytest.mark.parametrize("fault", SILENCES, ids=lambda one: one.value)
@new_or_known
def test_what_has_no_answer_in_time_is_tried_again_and_then_there_is_one_contact(
    bench: Bench, deadlines: Deadlines, fault: Fault, prepare: Prepare
) -> None:
    ada = prepare(bench)
    bench.subject.fault(fault)
    outcome = send_until_the_deadline(bench, deadlines, ada)
    assert (outcome.result, outcome.kind) == (Result.RETRY, "timeout")
    bench.sync(ada)
    assert bench.only(ada).fields[TEXT] == "x"


def send_until_the_deadline(bench: Bench, deadlines: Deadlines, contact: Contact) -> Outcome:
    came = len(bench.subject.journal())
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(bench.send, contact)
        bench.subject.wait_for_request(came + 1)
        deadlines.pass_now()
        [outcome] = sending.result(PATIENCE)
    bench.subject.end_faults()
    return outcome


@pytest.mark.parametrize("fault", REFUSALS, ids=lambda one: one.value)
def test_credentials_that_are_refused_are_no_fault_of_the_contact(bench: Bench, fault: Fault) -> None:
    bench.subject.fault(fault, times=None)
    ada = new(bench)
    for outcome in (bench.send(ada)[0], bench.client.probe()):
        assert outcome.result is Result.REFUSED
        assert (outcome.http_status, outcome.retry_after) == (int(fault.value), None)
    assert bench.held() == {}


def test_a_wrong_key_is_refused_and_the_right_one_is_not(bench: Bench) -> None:
    bench.subject.accept_only(KEY)
    [outcome] = bench.send(new(bench), client=bench.open(key="a-key-that-is-wrong"))
    assert (outcome.result, outcome.kind) == (Result.REFUSED, "credentials")
    assert bench.held() == {}
    bench.sync(new(bench))


def test_a_probe_tells_a_wrong_key_or_says_that_it_cannot(bench: Bench) -> None:
    bench.subject.accept_only(KEY)
    wrong, right = bench.open(key="a-key-that-is-wrong").probe(), bench.client.probe()
    tells = Capability.PROBES in bench.subject.capabilities
    assert (wrong.result is Result.SYNCED, wrong.untried) == (not tells, not tells)
    assert (right.result, right.untried) == (Result.SYNCED, not tells)
    assert bench.held() == {}


@pytest.mark.needs(Capability.PROBES)
def test_a_probe_with_a_wrong_key_is_refused_for_it(bench: Bench) -> None:
    bench.subject.accept_only(KEY)
    outcome = bench.open(key="a-key-that-is-wrong").probe()
    assert (outcome.result, outcome.kind) == (Result.REFUSED, "credentials")


@pytest.mark.needs(Capability.FORM)
def test_json_of_somebody_else_confirms_nothing(bench: Bench) -> None:
    assert bench.lose(new(bench), Fault.FOREIGN).result is bench.lost
    assert bench.held() == {}


def test_a_creation_for_which_there_is_no_such_place_is_about_the_settings(bench: Bench) -> None:
    bench.subject.fault(Fault.NOT_FOUND, times=None)
    [outcome] = bench.send(new(bench))
    assert outcome.result is Result.REFUSED


def test_too_many_requests_are_snoozed_for_as_long_as_the_crm_says(bench: Bench) -> None:
    bench.subject.fault(Fault.TOO_MANY)
    ada = new(bench)
    [outcome] = bench.send(ada)
    assert (outcome.result, outcome.kind, outcome.retry_after) == (Result.SNOOZED, "rate_limit", WAIT)
    bench.sync(ada)
    assert bench.only(ada).fields[TEXT] == "x"


@pytest.mark.needs(Capability.REPEATABLE)
def test_an_outage_of_which_the_crm_says_how_long_it_lasts_is_waited_for(bench: Bench) -> None:
    bench.subject.fault(Fault.UNAVAILABLE)
    [outcome] = bench.send(new(bench))
    assert (outcome.result, outcome.retry_after) == (Result.RETRY, WAIT)


@pytest.mark.needs(Capability.RATES)
def test_the_rate_limit_is_read_from_the_answers(bench: Bench) -> None:
    window = bench.subject.allow(36_000)
    [first] = bench.sync(Contact(1))
    [second] = bench.sync(Contact(2))
    assert (first.rate.limit, second.rate.limit) == (36_000, 36_000)
    assert first.rate.window == window
    assert first.rate.remaining is not None
    assert second.rate.remaining == first.rate.remaining - 1


def test_a_contact_that_is_refused_is_not_tried_again_by_itself(bench: Bench) -> None:
    ada = new(bench)
    bench.subject.refuse(ada.address, "This one is not wanted")
    [outcome] = bench.send(ada)
    assert (outcome.result, outcome.retry_after) == (Result.REJECTED, None)
    assert "This one is not wanted" in (outcome.message or "")


def test_each_request_waits_for_its_turn(bench: Bench) -> None:
    turns: list[int] = []

    def turn() -> None:
        turns.append(len(bench.subject.journal()))

    before = len(bench.subject.journal())
    ada, bob = Contact(1, name="Ada"), Contact(2, name="Bob")
    bench.send(ada, bob, turn=turn)
    bench.send(ada.edit(name="Ada King"), turn=turn)
    bench.client.probe(turn=turn)
    bench.client.check(turn=turn)
    assert turns == list(range(before, len(bench.subject.journal())))


def test_what_the_turn_raises_passes_through_and_nothing_is_sent(bench: Bench) -> None:
    def closed() -> None:
        raise RuntimeError("the gate is closed")

    before = bench.subject.journal()
    with pytest.raises(RuntimeError, match="the gate is closed"):
        bench.client.deliver([new(bench)], turn=closed)
    for ask in (bench.client.probe, bench.client.check):
        with pytest.raises(RuntimeError, match="the gate is closed"):
            ask(turn=closed)
    assert bench.subject.journal() == before


def test_without_a_server_there_is_an_outage_and_no_exception(bench: Bench) -> None:
    nowhere = bench.open(base_url="http://127.0.0.1:1")
    for outcome in (bench.send(new(bench), client=nowhere)[0], nowhere.probe()):
        assert (outcome.result, outcome.kind) == (Result.RETRY, "outage")


@pytest.mark.parametrize("fault", REFUSED_OR_OUT, ids=lambda one: one.value)
def test_a_probe_says_what_a_delivery_would_say(bench: Bench, fault: Fault) -> None:
    bench.subject.fault(fault, times=None)
    assert bench.client.probe(turn=at_once).result is not Result.SYNCED
