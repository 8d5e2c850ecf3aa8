"""The guarantees of the queue, against a real Postgres."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from crm_pipelines.crms.mapping import SOURCES
from crm_pipelines.database import connecting
from crm_pipelines.queue.claims import MAX_CRASHES, Queue
from crm_pipelines.queue.model import Attempt, Claim, RetryPolicy
from crm_pipelines_tests.fixtures.people import People

LEASE = timedelta(minutes=25)
POLICY = RetryPolicy(delays=(timedelta(minutes=5), timedelta(minutes=10), timedelta(minutes=20)))


def take(queue: Queue, run_id: str = "run-1", limit: int = 100) -> list[Claim]:
    return queue.claim(run_id, limit=limit, lease=LEASE)


def begin(queue: Queue, claims: list[Claim]) -> dict[Any, int]:
    return queue.renew(claims, lease=LEASE)


def finish(queue: Queue, claim: Claim, outcome: str = "synced", run_id: str = "run-1", **more: Any) -> list[str]:
    """Record and apply one outcome; returns the resulting states."""
    attempt = {"revision": 1, "duration": timedelta(seconds=0.1), "requests": 1, **more}
    queue.record(run_id, [Attempt(claim=claim, outcome=outcome, **attempt)])
    return [row.state for row in queue.apply(run_id, POLICY)]


def test_claims_are_oldest_first_and_never_more_than_asked_for(people: People, queue: Queue) -> None:
    ids = people.add(10)
    for age, contact_id in enumerate(reversed(ids)):
        people.run(
            "UPDATE crm_syncs SET run_at = now() - :age * interval '1 min' WHERE contact_id = :id",
            age=age,
            id=contact_id,
        )
    claims = take(queue, limit=4)
    assert [claim.contact_id for claim in claims] == ids[:4]
    assert people.states() == {"claimed": 4, "queued": 6}


def test_a_claim_never_exceeds_its_limit_under_a_nested_loop_plan(people: People, database_url: str) -> None:
    people.add(50)
    options = "?options=-c%20enable_hashjoin%3Doff%20-c%20enable_mergejoin%3Doff%20-c%20enable_material%3Doff"
    engine = sa.create_engine(database_url + options)
    try:
        assert len(take(Queue(engine, "brevo"), limit=2)) == 2
    finally:
        engine.dispose()
    assert people.states() == {"claimed": 2, "queued": 48}


def test_sixteen_claimers_at_once_get_disjoint_contacts(people: People, database_url: str) -> None:
    people.add(600)
    engine = connecting.create_engine(database_url, pool_size=16)
    queue = Queue(engine, "brevo")

    def claim_all(worker: int) -> list[Claim]:
        mine: list[Claim] = []
        while claims := take(queue, run_id=f"run-{worker}", limit=11):
            mine += claims
        return mine

    try:
        with ThreadPoolExecutor(16) as pool:
            claims = [claim for mine in pool.map(claim_all, range(16)) for claim in mine]
    finally:
        engine.dispose()
    assert len(claims) == 600
    assert len({claim.contact_id for claim in claims}) == 600


@pytest.mark.parametrize("outcome", ["synced", "retry", "rejected", "skipped", "snoozed"])
def test_nobody_completes_without_the_current_claim(people: People, queue: Queue, outcome: str) -> None:
    [contact_id] = people.add()
    [old] = take(queue, "run-old")
    begin(queue, [old])
    people.expire_leases()
    queue.rescue()
    [suspect] = queue.claim_suspects("run-new", limit=1, lease=LEASE)
    before = people.sync(contact_id)
    assert finish(queue, old, outcome, "run-old", kind="x") == ["superseded"]
    assert queue.renew([old], lease=LEASE) == {}
    assert queue.release("run-old") == 0
    assert people.sync(contact_id) | {"due_in": 0} == before | {"due_in": 0}
    assert finish(queue, suspect, run_id="run-new") == ["synced"]


def test_a_late_success_after_a_rescue_saves_the_second_send(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    [claim] = take(queue)
    begin(queue, [claim])
    people.expire_leases()
    queue.rescue()
    assert finish(queue, claim) == ["synced"]
    assert people.sync(contact_id)["crashes"] == 0


def test_a_late_failure_after_a_rescue_is_not_charged(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    [claim] = take(queue)
    people.expire_leases()
    queue.rescue()
    assert finish(queue, claim, "retry", kind="outage") == ["superseded"]
    assert people.sync(contact_id)["attempts"] == 0


def test_an_edit_during_delivery_is_delivered_afterwards(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    [claim] = take(queue)
    revision = begin(queue, [claim])[contact_id]
    people.run("UPDATE crm_contacts SET name = 'New Name' WHERE id = :id", id=contact_id)
    assert finish(queue, claim, revision=revision) == ["queued"]
    [again] = take(queue)
    revision = begin(queue, [again])[contact_id]
    assert finish(queue, again, revision=revision) == ["synced"]
    row = people.sync(contact_id)
    assert row["synced_revision"] == row["revision"] == 2


def test_an_edit_of_what_is_not_sent_queues_nothing(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    [claim] = take(queue)
    finish(queue, claim)
    people.run("UPDATE crm_contacts SET name = name WHERE id = :id", id=contact_id)
    assert people.sync(contact_id)["state"] == "synced"


@pytest.mark.parametrize("outcome", ["synced", "rejected", "skipped"])
def test_an_edit_queues_what_was_done_with(people: People, queue: Queue, outcome: str) -> None:
    [contact_id] = people.add()
    [claim] = take(queue)
    finish(queue, claim, outcome, kind="rejected")
    people.run("UPDATE crm_contacts SET phone_number = '+12025550123' WHERE id = :id", id=contact_id)
    row = people.sync(contact_id)
    assert (row["state"], row["attempts"], row["last_error"]) == ("queued", 0, None)


def test_the_payload_is_never_older_than_the_revision_it_is_sent_as(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    [claim] = take(queue)
    revision = begin(queue, [claim])[contact_id]
    people.run("UPDATE crm_contacts SET name = 'Edited between' WHERE id = :id", id=contact_id)
    [delivery] = queue.load([claim])
    assert delivery.record["name"] == "Edited between"
    assert finish(queue, claim, revision=revision) == ["queued"]


def test_every_field_that_a_mapping_may_name_is_read(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    named = set(SOURCES)
    [loaded], glanced = queue.load(take(queue)), queue.glance(contact_id)
    assert glanced is not None
    for delivery in (loaded, glanced):
        assert delivery.record.keys() >= named
        assert delivery.record["updated_at"] is not None


def test_an_edit_that_the_trigger_missed_is_found(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    [claim] = take(queue)
    finish(queue, claim)
    people.run("ALTER TABLE crm_contacts DISABLE TRIGGER crm_contacts_requeue")
    people.run("UPDATE crm_contacts SET name = 'Unseen' WHERE id = :id", id=contact_id)
    assert people.sync(contact_id)["state"] == "synced"
    assert queue.requeue_edited("run-1") == 1
    assert people.sync(contact_id)["state"] == "queued"
    assert queue.requeue_edited("run-1") == 0


def test_four_attempts_with_growing_delays_then_given_up_with_the_last_error(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    for attempt, minutes in enumerate((5, 10, 20), start=1):
        [claim] = take(queue)
        before = people.now()
        assert finish(queue, claim, "retry", kind="outage", message="upstream down", http_status=503) == ["queued"]
        row = people.sync(contact_id)
        assert (row["attempts"], row["last_error"], row["last_http_status"]) == (attempt, "upstream down", 503)
        assert timedelta(minutes=minutes) <= row["run_at"] - before
        assert row["run_at"] - people.now() <= timedelta(minutes=1.1 * minutes)
        assert take(queue) == []
        people.make_due()
    [claim] = take(queue)
    assert finish(queue, claim, "retry", kind="outage", message="upstream down") == ["failed"]
    assert people.sync(contact_id)["last_error"] == "Max retries exceeded (3). Last error: upstream down"


def test_a_success_resets_the_attempts(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    [claim] = take(queue)
    finish(queue, claim, "retry", kind="outage")
    people.make_due()
    [claim] = take(queue)
    finish(queue, claim)
    row = people.sync(contact_id)
    assert (row["state"], row["attempts"], row["last_error"], row["last_error_kind"]) == ("synced", 0, None, None)


def test_a_snooze_is_not_charged_and_waits(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    [claim] = take(queue)
    before = people.now()
    assert finish(queue, claim, "snoozed", kind="rate_limit", retry_after=timedelta(seconds=60)) == ["queued"]
    row = people.sync(contact_id)
    assert row["attempts"] == 0
    assert timedelta(seconds=60) <= row["run_at"] - before
    assert row["run_at"] - people.now() <= timedelta(seconds=66)


def test_refused_credentials_charge_nobody(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    [claim] = take(queue)
    assert finish(queue, claim, "refused", kind="credentials") == ["queued"]
    row = people.sync(contact_id)
    assert (row["attempts"], row["last_error"]) == (0, None)
    assert row["due_in"] <= 0


def test_an_outcome_is_applied_once(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    [claim] = take(queue)
    finish(queue, claim, "retry", kind="outage")
    assert queue.apply("run-1", POLICY) == []
    assert finish(queue, claim, "synced") == [], "a second outcome for the same claim is ignored"
    assert people.sync(contact_id)["attempts"] == 1


def test_a_crash_is_charged_only_to_contacts_that_were_being_delivered(people: People, queue: Queue) -> None:
    started, waiting = people.add(2)
    claims = {claim.contact_id: claim for claim in take(queue)}
    begin(queue, [claims[started]])
    people.expire_leases()
    rescued = queue.rescue(crashed_runs=["run-1"])
    assert (rescued.returned, rescued.charged, rescued.given_up) == (2, 1, 0)
    assert people.sync(started)["crashes"] == 1
    assert people.sync(waiting)["crashes"] == 0
    assert [claim.contact_id for claim in take(queue, "run-2")] == [waiting], "suspects are not among the others"
    assert [claim.contact_id for claim in queue.claim_suspects("run-2", limit=9, lease=LEASE)] == [started]


def test_what_an_ended_run_had_begun_waits_for_its_lease_and_the_rest_is_free_at_once(
    people: People, queue: Queue
) -> None:
    begun, waiting = people.add(2)
    claims = {claim.contact_id: claim for claim in take(queue)}
    begin(queue, [claims[begun]])
    assert queue.rescue(crashed_runs=["run-1"]).returned == 1
    assert people.sync(waiting)["state"] == "queued"
    assert people.sync(begun)["state"] == "claimed"
    assert queue.renew([claims[waiting]], lease=LEASE) == {}, "what is free is not sent by its former run"


def test_a_run_shows_that_it_lives_by_its_leases_and_its_outcomes(people: People, queue: Queue) -> None:
    people.add(1)
    claims = take(queue)
    assert not queue.is_delivering("run-1"), "claims that wait prove nothing"
    begin(queue, claims)
    assert queue.is_delivering("run-1")
    people.expire_leases()
    assert not queue.is_delivering("run-1")
    finish(queue, claims[0])
    assert queue.is_delivering("run-1")
    people.run("UPDATE crm_attempts SET finished_at = now() - interval '3 min'")
    assert not queue.is_delivering("run-1")
    people.run("INSERT INTO crm_walks (crm) VALUES ('brevo')")
    assert queue.is_delivering("run-1"), "it may be reading the account, which takes five minutes"
    people.run("UPDATE crm_walks SET begun_at = now() - interval '7 min'")
    assert not queue.is_delivering("run-1")


def test_a_run_that_ended_in_an_orderly_way_charges_nobody(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    begin(queue, take(queue))
    people.expire_leases()
    queue.rescue(orderly_runs=["run-1"])
    row = people.sync(contact_id)
    assert (row["state"], row["crashes"], row["attempts"]) == ("queued", 0, 0)


def test_a_poison_contact_is_given_up_visibly(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    begin(queue, take(queue))
    people.expire_leases()
    queue.rescue(crashed_runs=["run-1"])
    for crash in range(2, MAX_CRASHES + 1):
        [suspect] = queue.claim_suspects(f"run-{crash}", limit=1, lease=LEASE)
        begin(queue, [suspect])
        people.expire_leases()
        queue.rescue(crashed_runs=[f"run-{crash}"])
    row = people.sync(contact_id)
    assert (row["state"], row["last_error_kind"], row["crashes"]) == ("failed", "crash", MAX_CRASHES)


def test_a_rescue_leaves_living_claims_alone(people: People, queue: Queue) -> None:
    people.add(3)
    take(queue)
    assert queue.rescue(crashed_runs=["another-run"]).returned == 0
    assert people.states() == {"claimed": 3}


def test_a_rescue_never_changes_a_contact_that_was_completed_meanwhile(
    people: People, queue: Queue, database_url: str
) -> None:
    [contact_id] = people.add()
    [claim] = take(queue)
    people.expire_leases()
    with psycopg.connect(database_url.replace("+psycopg", "")) as winner:
        winner.execute("SELECT 1 FROM crm_syncs WHERE contact_id = %s FOR UPDATE", [contact_id])
        assert queue.rescue().returned == 0, "a locked row is skipped, not waited for"
        winner.execute(
            "UPDATE crm_syncs SET state = 'synced', synced_revision = revision, claimed_by = NULL, lease_until = NULL"
        )
    assert queue.rescue().returned == 0
    assert people.sync(contact_id)["state"] == "synced"
    assert claim.claim_no == 1


def test_released_claims_are_uncharged_and_due_at_once(people: People, queue: Queue) -> None:
    begun, waiting = people.add(2)
    claims = {claim.contact_id: claim for claim in take(queue)}
    begin(queue, [claims[begun]])
    assert queue.release("run-1") == 1, "without ids only what is not begun goes free"
    assert queue.release("run-1", [claims[begun]]) == 1
    for contact_id in (begun, waiting):
        row = people.sync(contact_id)
        assert (row["state"], row["attempts"], row["crashes"]) == ("queued", 0, 0)
        assert row["due_in"] <= 0


def test_an_unselected_contact_stays_unselected_whatever_the_delivery_came_to(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    [claim] = take(queue)
    people.run("SELECT crm_unselect('brevo', ARRAY[CAST(:id AS uuid)])", id=contact_id)
    assert finish(queue, claim) == ["superseded"]
    assert people.sync(contact_id)["state"] == "unselected"


def test_selecting_during_delivery_sends_again_afterwards(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    [claim] = take(queue)
    people.run("SELECT crm_select('brevo', ARRAY[CAST(:id AS uuid)])", id=contact_id)
    assert finish(queue, claim) == ["queued"]


def test_selecting_again_gives_a_given_up_contact_its_full_attempts(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    for _ in range(4):
        people.make_due()
        [claim] = take(queue)
        finish(queue, claim, "retry", kind="outage")
    assert people.sync(contact_id)["state"] == "failed"
    people.run("SELECT crm_select('brevo', ARRAY[CAST(:id AS uuid)])", id=contact_id)
    row = people.sync(contact_id)
    assert (row["state"], row["attempts"]) == ("queued", 0)


def test_selecting_again_does_not_bypass_a_back_off(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    [claim] = take(queue)
    finish(queue, claim, "retry", kind="outage")
    due_at = people.sync(contact_id)["run_at"]
    people.run("SELECT crm_select('brevo', ARRAY[CAST(:id AS uuid)])", id=contact_id)
    assert people.sync(contact_id)["run_at"] == due_at


def test_a_suppressed_contact_is_never_queued_by_select_edit_or_mapping(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    people.run("SELECT crm_suppress('brevo', ARRAY[CAST(:id AS uuid)])", id=contact_id)
    people.run("SELECT crm_select('brevo', ARRAY[CAST(:id AS uuid)])", id=contact_id)
    people.run("UPDATE crm_contacts SET name = 'Changed' WHERE id = :id", id=contact_id)
    queue.requeue_parked("another mapping")
    row = people.sync(contact_id)
    assert (row["state"], row["last_error_kind"]) == ("skipped", "suppressed")


def test_a_contact_parked_under_another_mapping_goes_again(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    [claim] = take(queue)
    finish(queue, claim, "rejected", kind="rejected", mapping_version="v1")
    assert queue.requeue_parked("v1") == 0
    assert queue.requeue_parked("v2") == 1
    assert people.sync(contact_id)["state"] == "queued"


def test_one_crm_leaves_the_attempts_of_another_alone(people: People, queue: Queue, engine: sa.Engine) -> None:
    [contact_id] = people.add()
    hubspot = People(engine, "hubspot")
    hubspot.run("SELECT crm_select('hubspot', ARRAY[CAST(:id AS uuid)])", id=contact_id)
    [claim] = Queue(engine, "hubspot").claim("run-h", limit=1, lease=LEASE)
    finish(Queue(engine, "hubspot"), claim, "retry", "run-h", kind="outage")
    assert people.sync(contact_id)["attempts"] == 0
    assert hubspot.sync(contact_id)["attempts"] == 1
    assert len(take(queue)) == 1


def test_nothing_is_claimed_while_the_gate_is_paused(people: People, queue: Queue) -> None:
    people.add(3)
    people.run(
        "UPDATE crm_gates SET paused_until = 'infinity', pause_kind = 'credentials', pause_reason = 'x' "
        "WHERE crm = 'brevo'"
    )
    assert take(queue) == []
    assert queue.claim_suspects("run-1", limit=9, lease=LEASE) == []
    assert (
        queue.claim(
            "run-1", limit=9, lease=LEASE, contact_ids=[row["id"] for row in people.all("SELECT id FROM crm_contacts")]
        )
        == []
    )


def test_a_deleted_contact_leaves_no_trace_and_breaks_nothing(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    [claim] = take(queue)
    people.run("DELETE FROM crm_contacts WHERE id = :id", id=contact_id)
    assert finish(queue, claim) == []
    assert queue.load([claim]) == []
    assert queue.unattempted([claim]) == (1, 0)


@pytest.mark.parametrize(
    "change",
    [
        "state = 'nonsense'",
        "state = 'claimed'",
        "claimed_by = 'somebody'",
        "state = 'synced', synced_revision = 0",
        "synced_revision = revision + 1",
        "state = 'failed', last_error_kind = NULL",
        "state = 'skipped', last_error_kind = NULL",
        "delivery_started_at = now()",
        "attempts = -1",
        "crm = 'No name'",
    ],
)
def test_the_database_refuses_illegal_states(people: People, change: str) -> None:
    people.add()
    with pytest.raises(sa.exc.IntegrityError):
        people.run(f"UPDATE crm_syncs SET {change}")


@pytest.mark.parametrize("column", ["created_at", "updated_at"])
@pytest.mark.parametrize("moment", ["infinity", "-infinity", "20000-01-01", "0001-01-01 BC"])
def test_the_database_refuses_moments_that_would_make_a_batch_unreadable(
    people: People, column: str, moment: str
) -> None:
    columns: dict[str, Any] = {column: moment}
    with pytest.raises(sa.exc.IntegrityError, match="moments_are_of_four_digit_years"):
        people.add(**columns)


def test_two_contacts_cannot_share_an_address(people: People) -> None:
    people.add(email="Ada@Example.com")
    with pytest.raises(sa.exc.IntegrityError):
        people.add(email=" ada@example.COM ")
