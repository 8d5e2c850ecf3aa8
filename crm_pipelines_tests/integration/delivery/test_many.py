"""Many contacts in one request: who is at fault pays for it, and nobody else."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import dagster as dg
import pytest
import sqlalchemy as sa

from crm_pipelines.crms import transport
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Sendable
from crm_pipelines.crms.turns import DeliveryTurn
from crm_pipelines.database import connecting
from crm_pipelines.delivery import fence, planning
from crm_pipelines.delivery.pace.session import STOPPED
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.destinations.registered import register
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Attempt, Claim
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.postbox import Fault, Postbox, PostboxClient, reverse
from crm_pipelines_tests.integration.delivery.conftest import Delivery
from crm_pipelines_tests.patience import PATIENCE

Open = Callable[..., Delivery]


@pytest.fixture
def people(engine: sa.Engine) -> People:
    """Whose contacts go to the postbox."""
    register(engine, "postbox", "postbox")
    return People(engine, "postbox")


@pytest.fixture
def open_postbox(
    database_url: str, postbox: Postbox, people: People, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Open]:
    """A delivery to it, by a client with as much of the interface as the arguments say."""
    monkeypatch.setattr(transport, "READ_SECONDS", PATIENCE)
    engine = connecting.create_engine(database_url)
    opened: list[PostboxClient] = []

    def open_it(**settings: Any) -> Delivery:
        opened.append(PostboxClient(postbox.url, longest_request=timedelta(seconds=PATIENCE), **settings))
        return Delivery(engine, opened[-1])

    yield open_it
    for client in opened:
        client.close()
    engine.dispose()


@pytest.fixture
def delivery(open_postbox: Open) -> Delivery:
    return open_postbox()


def test_a_hundred_go_in_one_request(people: People, delivery: Delivery, postbox: Postbox) -> None:
    people.add(100)
    receipt = delivery.courier().deliver(delivery.claim())
    assert (receipt.released, receipt.halted) == (0, None)
    assert delivery.apply() == {"synced": 100}
    assert len(postbox.held()) == 100
    assert [len(one.addresses) for one in postbox.deliveries()] == [100]
    assert people.all("SELECT sum(requests) AS n, bool_and(answered) AS all_answered FROM crm_attempts") == [
        {"n": 1, "all_answered": True}
    ]


def address(people: People, contact_id: UUID) -> str:
    [row] = people.all("SELECT email FROM crm_contacts WHERE id = :id", id=contact_id)
    found: str = row["email"]
    return found


def sizes(postbox: Postbox) -> list[int]:
    """Of the requests, in the order in which they came."""
    return [len(one.addresses) for one in postbox.deliveries()]


def charged(people: People) -> dict[str, int]:
    """Attempts and crashes of all contacts together."""
    return people.all("SELECT sum(attempts)::int AS attempts, sum(crashes)::int AS crashes FROM crm_syncs")[0]


NOBODY = {"attempts": 0, "crashes": 0}


class Before(PostboxClient):
    """Something happens when its `at`th delivery begins: after the contacts were read, before the request's turn."""

    def __init__(self, box: Postbox, happen: Callable[[], object], *, at: int = 1, **settings: Any) -> None:
        super().__init__(box.url, longest_request=timedelta(seconds=PATIENCE), **settings)
        self._happen = happen
        self._left = at

    def deliver(self, contacts: Sequence[Sendable], **how: Any) -> list[Outcome | None]:
        self._left -= 1
        if self._left == 0:
            self._happen()
        return super().deliver(contacts, **how)


@pytest.mark.parametrize("position", [0, 36, 49, 50, 99])
def test_of_a_hundred_that_are_refused_for_one_the_others_arrive_with_thirteen_requests_more(
    people: People, delivery: Delivery, postbox: Postbox, position: int
) -> None:
    ids = people.add(100)
    postbox.refuse_whole(address(people, ids[position]))
    receipt = delivery.courier().deliver(delivery.claim())
    assert (receipt.released, receipt.halted) == (0, None)
    assert delivery.apply() == {"synced": 99, "failed": 1}
    assert (people.sync(ids[position])["state"], len(postbox.held())) == ("failed", 99)
    assert "One of these is not wanted" in people.sync(ids[position])["last_error"]
    assert len(sizes(postbox)) <= 14
    assert people.all("SELECT sum(requests) AS n FROM crm_attempts") == [{"n": len(sizes(postbox))}]


def test_each_of_several_culprits_is_found_and_nobody_else_pays(
    people: People, delivery: Delivery, postbox: Postbox
) -> None:
    ids = people.add(100)
    culprits = {ids[3], ids[4], ids[80]}
    for one in culprits:
        postbox.refuse_whole(address(people, one))
    delivery.courier().deliver(delivery.claim())
    assert delivery.apply() == {"synced": 97, "failed": 3}
    assert all(people.sync(one)["state"] == "failed" for one in culprits)


def test_two_that_only_clash_in_one_request_both_arrive(people: People, delivery: Delivery, postbox: Postbox) -> None:
    ids = people.add(100)
    postbox.refuse_whole(address(people, ids[20]), address(people, ids[21]))
    delivery.courier().deliver(delivery.claim())
    assert delivery.apply() == {"synced": 100}


def test_who_is_refused_by_name_costs_no_further_request(people: People, delivery: Delivery, postbox: Postbox) -> None:
    ids = people.add(100)
    postbox.partial = 207
    postbox.refuse(address(people, ids[7]), "This one is not wanted")
    delivery.courier().deliver(delivery.claim())
    assert delivery.apply() == {"synced": 99, "failed": 1}
    assert people.sync(ids[7])["last_error"] == "This one is not wanted"
    assert sizes(postbox) == [100]


def test_answers_in_another_order_are_not_mixed_up(people: People, delivery: Delivery, postbox: Postbox) -> None:
    people.add(100)
    postbox.results = reverse
    delivery.courier().deliver(delivery.claim())
    assert delivery.apply() == {"synced": 100}
    held = {one["id"]: str(number) for number, one in postbox.contacts.items()}
    rows = people.all("SELECT contact_id::text, remote_id FROM crm_syncs")
    assert {row["contact_id"]: row["remote_id"] for row in rows} == held


def test_who_is_missing_in_the_answer_is_tried_again_and_is_no_outage(
    people: People, delivery: Delivery, postbox: Postbox
) -> None:
    people.add(100)
    postbox.results = lambda results: results[1:]
    receipt = delivery.courier().deliver(delivery.claim())
    assert receipt.halted is None
    assert delivery.apply() == {"synced": 99, "queued": 1}
    assert charged(people) == {"attempts": 1, "crashes": 0}


def test_of_two_requests_that_a_module_makes_only_the_refused_one_is_taken_apart(
    people: People, delivery: Delivery, postbox: Postbox
) -> None:
    class InTwo(PostboxClient):
        """The way of a module that creates some and changes others."""

        def deliver(self, contacts: Sequence[Sendable], **how: Any) -> list[Outcome | None]:
            first, second = contacts[: len(contacts) // 2], contacts[len(contacts) // 2 :]
            return [one for part in (first, second) if part for one in super(InTwo, self).deliver(part, **how)]

    ids = people.add(100)
    postbox.refuse_whole(address(people, ids[60]))
    delivery.courier(crm=InTwo(postbox.url)).deliver(delivery.claim())
    assert delivery.apply() == {"synced": 99, "failed": 1}
    assert people.sync(ids[60])["state"] == "failed"
    counts = [sum(address(people, one) in request.addresses for request in postbox.deliveries()) for one in ids[:50]]
    assert counts == [1] * 50


def test_a_refusal_of_the_whole_of_one_contact_is_that_contacts_own(
    people: People, delivery: Delivery, postbox: Postbox
) -> None:
    class Careless(PostboxClient):
        def deliver(self, contacts: Sequence[Sendable], **how: Any) -> list[Outcome | None]:
            outcomes = super().deliver(contacts, **how)
            return [one and replace(one, whole=one.result is Result.REJECTED) for one in outcomes]

    ids = people.add(3)
    postbox.refuse(address(people, ids[0]))
    delivery.courier(crm=Careless(postbox.url)).deliver(delivery.claim())
    assert delivery.apply() == {"synced": 2, "failed": 1}
    assert sizes(postbox) == [3]
    [alone] = people.add()
    postbox.refuse(address(people, alone))
    delivery.courier(crm=Careless(postbox.url)).deliver(delivery.claim())
    assert delivery.apply("run-1")["failed"] == 1
    assert people.sync(alone)["state"] == "failed"


def test_a_mistake_that_is_in_everybody_does_not_bury_the_table(
    people: People, delivery: Delivery, postbox: Postbox
) -> None:
    ids = people.add(400)
    for one in ids:
        postbox.refuse_whole(address(people, one))
    receipt = delivery.courier(rate=20).deliver(delivery.claim(400))
    assert receipt.halted is not None
    assert "circuit breaker" in receipt.halted
    done = delivery.apply()
    assert 0 < done["failed"] < 200
    assert receipt.released == 400 - done["failed"]


def test_a_refusal_for_rate_of_all_is_one_pause_and_all_are_sent_again_once(
    people: People, delivery: Delivery, postbox: Postbox
) -> None:
    pauses: list[timedelta] = []

    class Noting(GateKeeper):
        def pause(self, kind: str, reason: str, duration: timedelta) -> None:
            pauses.append(duration)
            super().pause(kind, reason, duration)

    people.add(100)
    postbox.fault(Fault(status=429, headers={"Retry-After": "0.2"}))
    courier = delivery.courier(gate=Noting(delivery.engine, "postbox"))
    receipt = courier.deliver(delivery.claim())
    assert (receipt.released, receipt.halted) == (0, None)
    assert delivery.apply() == {"synced": 100}
    assert sizes(postbox) == [100, 100]
    assert pauses == [timedelta(seconds=0.2)]
    assert courier.session.refused_for_rate == 1
    assert people.all("SELECT sum(requests) AS n FROM crm_attempts") == [{"n": 2}]


def test_who_is_asked_to_wait_each_time_is_sent_four_times_and_has_one_outcome(
    people: People, delivery: Delivery, postbox: Postbox
) -> None:
    people.add(1)
    postbox.fault(Fault(status=429, headers={"Retry-After": "0.05"}, times=None))
    courier = delivery.courier()
    courier.deliver(delivery.claim())
    assert sizes(postbox) == [1] * 4
    assert courier.session.refused_for_rate == 4
    assert people.all("SELECT outcome, requests FROM crm_attempts") == [{"outcome": "snoozed", "requests": 4}]


def test_a_long_refusal_for_rate_charges_nobody_and_sends_no_more(
    people: People, delivery: Delivery, postbox: Postbox
) -> None:
    people.add(200)
    postbox.fault(Fault(status=429, headers={"Retry-After": "60"}, times=None))
    delivery.courier(rate=1).deliver(delivery.claim(200))
    assert delivery.apply() == {"queued": 100}
    assert people.states() == {"queued": 200}
    assert charged(people) == NOBODY
    assert sizes(postbox) == [100]


@pytest.mark.parametrize("status", [401, 429])
def test_when_the_gate_closes_between_halves_nobody_is_refused_who_was_not_alone(
    people: People, delivery: Delivery, postbox: Postbox, status: int
) -> None:
    ids = people.add(100)
    postbox.refuse_whole(address(people, ids[99]))
    closing = Fault(status=status, headers={"Retry-After": "60"})
    client = Before(postbox, lambda: postbox.fault(closing), at=3)
    receipt = delivery.courier(crm=client).deliver(delivery.claim())
    assert receipt.halted is not None
    assert sizes(postbox) == [100, 50, 25], "the second half is divided at once"
    delivery.apply()
    assert people.states() == {"synced": 50, "queued": 50}
    assert receipt.released == 25
    assert charged(people) == NOBODY
    assert people.all("SELECT contact_id FROM crm_attempts WHERE outcome = 'rejected'") == []


def test_a_request_that_fails_is_charged_to_each_of_its_contacts_and_counts_as_one_failure(
    people: People, delivery: Delivery, postbox: Postbox
) -> None:
    people.add(100)
    postbox.fault(Fault(status=503))
    receipt = delivery.courier().deliver(delivery.claim())
    assert receipt.halted is None
    assert delivery.apply() == {"queued": 100}
    assert charged(people) == {"attempts": 100, "crashes": 0}
    assert not delivery.gate.read().paused


def test_what_was_applied_before_the_connection_broke_is_sent_again_and_is_there_once(
    people: People, delivery: Delivery, postbox: Postbox
) -> None:
    people.add(100)
    postbox.fault(Fault(applied=True, reset=True))
    delivery.courier().deliver(delivery.claim())
    assert delivery.apply() == {"queued": 100}
    people.make_due()
    delivery.courier().deliver(delivery.claim())
    assert delivery.apply()["synced"] == 100
    assert len(postbox.contacts) == 100


@pytest.fixture
def pass_trust(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let a time go by after which a renewal allows no request any more."""
    now = 1000.0

    def go_by() -> None:
        nonlocal now
        now += 2 * planning.TRUST.total_seconds()

    clock = SimpleNamespace(clock_gettime=lambda _: now)
    monkeypatch.setattr(fence, "time", clock)
    return go_by


def test_who_is_taken_over_right_before_the_request_is_not_in_it_and_the_others_are(
    people: People, delivery: Delivery, postbox: Postbox, pass_trust: Callable[[], None]
) -> None:
    ids = people.add(100)
    unselected, elsewhere = ids[10], ids[99]
    gone = {address(people, unselected), address(people, elsewhere)}

    def take_over() -> None:
        people.run("SELECT crm_unselect('postbox', ARRAY[CAST(:id AS uuid)])", id=unselected)
        people.run("UPDATE crm_syncs SET lease_until = now() - interval '1 s' WHERE contact_id = :id", id=elsewhere)
        delivery.queue.rescue(orderly_runs=[], crashed_runs=[])
        assert len(delivery.queue.claim_suspects("another run", limit=1, lease=timedelta(hours=1))) == 1
        pass_trust()

    receipt = delivery.courier(crm=Before(postbox, take_over)).deliver(delivery.claim())
    assert receipt.released == 0
    assert delivery.apply() == {"synced": 98}
    assert sizes(postbox) == [98]
    assert not gone & postbox.held().keys()
    assert (people.sync(unselected)["state"], people.sync(elsewhere)["state"]) == ("unselected", "claimed")


def test_an_edit_right_before_the_request_is_delivered_afterwards(
    people: People, delivery: Delivery, postbox: Postbox
) -> None:
    [edited, *_] = people.add(100)
    edit = lambda: people.run("UPDATE crm_contacts SET name = 'After' WHERE id = :id", id=edited)  # noqa: E731
    delivery.courier(crm=Before(postbox, edit)).deliver(delivery.claim())
    assert delivery.apply() == {"synced": 99, "queued": 1}
    delivery.courier().deliver(delivery.claim())
    assert delivery.apply()["synced"] == 1
    assert postbox.held()[address(people, edited)]["first_name"] == "After"
    assert sizes(postbox) == [100, 1]


def test_who_is_taken_over_between_halves_is_in_no_further_request(
    people: People, delivery: Delivery, postbox: Postbox, pass_trust: Callable[[], None]
) -> None:
    ids = people.add(100)
    postbox.refuse_whole(address(people, ids[0]))

    def unselect_all() -> None:
        people.run("SELECT crm_unselect('postbox', CAST(:ids AS uuid[]))", ids=ids[1:])
        pass_trust()

    receipt = delivery.courier(crm=Before(postbox, unselect_all, at=2)).deliver(delivery.claim())
    assert receipt.released == 0
    assert delivery.apply() == {"failed": 1}
    assert people.states() == {"failed": 1, "unselected": 99}
    assert sizes(postbox) == [100, 1]


def test_a_worker_that_was_frozen_until_others_took_over_sends_nothing(
    people: People, delivery: Delivery, postbox: Postbox, pass_trust: Callable[[], None]
) -> None:
    people.add(100)

    def freeze() -> None:
        people.expire_leases()
        delivery.queue.rescue(orderly_runs=[], crashed_runs=[])
        assert len(delivery.queue.claim_suspects("another run", limit=100, lease=timedelta(hours=1))) == 100
        pass_trust()

    receipt = delivery.courier(crm=Before(postbox, freeze)).deliver(delivery.claim())
    assert (receipt.released, receipt.halted) == (0, None)
    assert delivery.apply() == {}
    assert postbox.deliveries() == []


def test_if_the_database_fails_between_the_turn_and_the_request_nothing_is_sent(
    people: People, delivery: Delivery, postbox: Postbox
) -> None:
    class Failing(fence.Fence):
        def still_ours(self, contact_ids: Any) -> set[UUID]:
            raise sa.exc.OperationalError("renew", {}, Exception("the server is away"))

    people.add(100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crm_pipelines.delivery.single.courier.Fence", Failing)
        receipt = delivery.courier().deliver(delivery.claim())
    assert (receipt.released, receipt.halted) == (100, "the contacts database failed")
    assert postbox.deliveries() == []
    assert people.states() == {"queued": 100}
    assert charged(people) == NOBODY


def test_a_stop_between_halves_keeps_what_arrived_and_gives_the_rest_back_uncharged(
    people: People, delivery: Delivery, postbox: Postbox
) -> None:
    ids = people.add(100)
    postbox.refuse_whole(address(people, ids[99]))
    courier = delivery.courier(crm=Before(postbox, lambda: postbox.fault(Fault(hold=True)), at=2))
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(courier.deliver, delivery.claim())
        postbox.wait_for(2)
        courier.session.halt(STOPPED)
        postbox.release()
        receipt = sending.result(PATIENCE)
    assert (receipt.released, receipt.halted) == (50, STOPPED)
    delivery.apply()
    assert people.states() == {"synced": 50, "queued": 50}
    assert charged(people) == NOBODY


def test_after_a_worker_died_with_a_request_under_way_each_of_its_contacts_goes_alone(
    people: People, delivery: Delivery, postbox: Postbox
) -> None:
    people.add(5)
    delivery.queue.renew(delivery.claim(run_id="that died"), lease=timedelta(minutes=1))
    people.expire_leases()
    assert delivery.queue.rescue(orderly_runs=[], crashed_runs=[]).charged == 5
    assert delivery.claim() == []
    suspects = delivery.queue.claim_suspects("run-1", limit=5, lease=timedelta(minutes=1))
    delivery.courier().deliver_one_at_a_time(suspects)
    assert sizes(postbox) == [1] * 5
    assert delivery.apply() == {"synced": 5}


def test_the_one_contact_that_a_gate_tries_out_goes_alone_and_the_others_together(
    people: People, delivery: Delivery, postbox: Postbox
) -> None:
    people.add(101)
    people.run("UPDATE crm_gates SET probing = true, pause_seconds = 30 WHERE crm = 'postbox'")
    assert delivery.gate.read().probing
    delivery.courier().deliver_after_a_probe(delivery.claim(101))
    assert sizes(postbox) == [1, 100]


@pytest.mark.parametrize("repeatable", [True, False])
def test_a_defect_for_one_of_a_hundred_costs_that_one_an_attempt_and_nobody_else(
    people: People, delivery: Delivery, postbox: Postbox, repeatable: bool
) -> None:
    class Defective(PostboxClient):
        def deliver(self, contacts: Sequence[Sendable], **how: Any) -> list[Outcome | None]:
            if any(one.payload.attributes.get("context") == "Unspeakable" for one in contacts):
                raise ValueError(contacts[0].payload.key)
            return super().deliver(contacts, **how)

    [culprit] = people.add(context="Unspeakable")
    people.add(99)
    receipt = delivery.courier(crm=Defective(postbox.url, repeatable=repeatable)).deliver(delivery.claim())
    assert (receipt.released, receipt.halted) == (0, None)
    assert delivery.apply() == {"synced": 99, "queued": 1}
    assert charged(people) == {"attempts": 1, "crashes": 0}
    row = people.sync(culprit)
    assert (row["attempts"], row["last_error_kind"]) == (1, "internal")
    assert "example.com" not in row["last_error"]


@pytest.mark.parametrize("defect", ["too few outcomes", "a contact that it was not given"])
def test_a_module_that_loses_one_of_a_hundred_costs_that_one_an_attempt_and_nobody_else(
    people: People, delivery: Delivery, postbox: Postbox, defect: str
) -> None:
    def is_culprit(one: Sendable) -> bool:
        return one.payload.attributes.get("context") == "Unspeakable"

    class Losing(PostboxClient):
        def deliver(self, contacts: Sequence[Sendable], *, turn: DeliveryTurn, **how: Any) -> list[Outcome | None]:
            if defect == "too few outcomes":
                return super().deliver([one for one in contacts if not is_culprit(one)], turn=turn, **how)
            strange = [
                replace(one, payload=replace(one.payload, external_id="nobody")) if is_culprit(one) else one
                for one in contacts
            ]
            return super().deliver(strange, turn=turn, **how)

    people.add(99)
    [culprit] = people.add(context="Unspeakable")
    receipt = delivery.courier(crm=Losing(postbox.url)).deliver(delivery.claim())
    assert (receipt.released, receipt.halted) == (0, None)
    assert delivery.apply() == {"synced": 99, "queued": 1}
    assert charged(people) == {"attempts": 1, "crashes": 0}
    assert people.sync(culprit)["last_error_kind"] == "internal"


def test_who_was_in_a_request_that_must_not_be_repeated_is_not_known_after_a_defect_and_not_sent_again(
    people: People, delivery: Delivery, postbox: Postbox
) -> None:
    class Breaking(PostboxClient):
        def deliver(self, contacts: Sequence[Sendable], **how: Any) -> list[Outcome | None]:
            outcomes = super().deliver(contacts[:60], **how)
            if len(contacts) == 100:
                raise KeyError("after the request")
            return [*outcomes, *super().deliver(contacts[60:], **how)] if contacts[60:] else outcomes

    outcomes: list[str] = []

    class Listening(Queue):
        def record(self, run_id: str, attempts: Sequence[Attempt]) -> set[Claim]:
            outcomes.extend(one.outcome for one in attempts)
            return {one.claim for one in attempts}

    people.add(100)
    courier = delivery.courier(queue=Listening(delivery.engine, "postbox"), crm=Breaking(postbox.url, repeatable=False))
    courier.deliver(delivery.claim())
    assert sorted(outcomes) == ["synced"] * 40 + ["unknown"] * 60
    sent = [one for request in postbox.deliveries() for one in request.addresses]
    assert len(sent) == len(set(sent)) == 100


def test_the_real_job_delivers_many_in_a_request(
    postbox_people: People, postbox_environment: Postbox, in_memory: dg.DagsterInstance
) -> None:
    postbox_people.add(250)
    run = Pipeline(in_memory, "postbox").run()
    assert run.problem is None
    assert run.counts == {"claimed": 250, "synced": 250}
    assert sorted(len(one.addresses) for one in postbox_environment.deliveries()) == [50, 100, 100]
