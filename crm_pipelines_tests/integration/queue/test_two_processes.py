"""Two processes of one run know the same claims, and are told apart all the same."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import sqlalchemy as sa

from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Attempt, Claim, RetryPolicy
from crm_pipelines_tests.fixtures.people import People

RUN = "run-1"
LEASE = timedelta(minutes=25)
POLICY = RetryPolicy(delays=(timedelta(minutes=5),))


def take(queue: Queue) -> list[Claim]:
    return queue.claim(RUN, limit=1000, lease=LEASE)


def begun(claims: list[Claim], leap: int) -> list[Claim]:
    """The numbers that the claims have once they have begun."""
    return [replace(claim, claim_no=claim.claim_no + leap) for claim in claims]


def delivered(queue: Queue, claim: Claim) -> None:
    queue.record(RUN, [Attempt(claim=claim, revision=1, outcome="synced", duration=timedelta(), requests=1)])


def test_of_those_who_know_a_claim_one_begins_and_the_others_can_do_nothing_with_it(
    people: People, queue: Queue
) -> None:
    [contact_id] = people.add()
    [known] = take(queue)
    assert queue.begin([known], lease=LEASE, leap=5) == {contact_id: 1}
    assert queue.begin([known], lease=LEASE, leap=7) == {}
    assert queue.renew([known], lease=LEASE) == {}
    assert queue.load([known]) == []
    assert queue.note_sending([known]) == set()
    [ours] = begun([known], 5)
    assert queue.renew([ours], lease=LEASE) == {contact_id: 1}
    assert queue.note_sending([ours]) == {contact_id}


def test_two_who_begin_at_the_same_moment_share_the_contacts(
    people: People, queue: Queue, database_url: str, engine: sa.Engine
) -> None:
    ids = people.add(400)
    known = take(queue)
    with ThreadPoolExecutor(2) as pool:
        parts = [pool.submit(queue.begin, known[::step], lease=LEASE, leap=leap) for step, leap in [(1, 5), (-1, 7)]]
        first, second = (part.result().keys() for part in parts)
    assert not first & second
    assert first | second == set(ids)


def test_who_begins_again_for_want_of_an_answer_finds_its_own(people: People, queue: Queue) -> None:
    ids = people.add(3)
    known = take(queue)
    assert queue.begin(known, lease=LEASE, leap=5).keys() == queue.begin(known, lease=LEASE, leap=5).keys() == set(ids)
    assert queue.renew(begun(known, 5), lease=LEASE).keys() == set(ids)


def test_a_crash_is_charged_to_those_alone_whose_delivery_had_begun(people: People, queue: Queue) -> None:
    one, other = people.add(2)
    claims = {claim.contact_id: claim for claim in take(queue)}
    queue.begin([claims[one]], lease=LEASE, leap=5)
    people.expire_leases()
    assert queue.rescue().charged == 1
    assert (people.sync(one)["crashes"], people.sync(other)["crashes"]) == (1, 0)


def test_a_process_gives_back_nothing_that_another_one_of_its_run_delivers(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    [lost] = take(queue)
    assert queue.release(RUN) == 1, "the second process begins with this"
    [known] = take(queue)
    queue.begin([known], lease=LEASE, leap=5)
    assert queue.release(RUN, [lost, known]) == 0
    assert queue.release(RUN) == 0
    assert people.sync(contact_id)["state"] == "claimed"
    assert queue.being_delivered(RUN) == 1
    assert queue.release(RUN, begun([known], 5)) == 1


def test_what_was_given_back_cannot_be_begun_by_its_former_holder(people: People, queue: Queue) -> None:
    people.add()
    former = take(queue)
    queue.release(RUN)
    assert queue.begin(former, lease=LEASE, leap=5) == {}
    take(queue)
    assert queue.begin(former, lease=LEASE, leap=5) == {}


def test_a_process_counts_the_outcomes_of_its_own_claims_alone(people: People, queue: Queue) -> None:
    people.add(2)
    former = take(queue)
    queue.begin(former[:1], lease=LEASE, leap=5)
    queue.release(RUN)
    [known] = take(queue)
    queue.begin([known], lease=LEASE, leap=7)
    delivered(queue, begun([known], 7)[0])
    delivered(queue, begun(former[:1], 5)[0])
    mine = [*begun(former[:1], 5), former[1]]
    assert [(row.state, row.contacts) for row in queue.apply(RUN, POLICY, claims=mine)] == [("synced", 1)]
    assert queue.unattempted(mine) == (1, 0)
    assert queue.taken_within_run(RUN, mine) == 1
    assert people.states() == {"synced": 1, "claimed": 1}
    assert [row.contacts for row in queue.apply(RUN, POLICY, claims=begun([known], 7))] == [1]
    assert queue.taken_within_run(RUN, mine) == 1, "also when it is through"
    assert queue.taken_within_run("run-2", mine) == 0
