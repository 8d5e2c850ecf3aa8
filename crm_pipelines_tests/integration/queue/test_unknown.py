"""What may have arrived where nothing must be sent twice is parked, until a user decides."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from crm_pipelines.contacts.selection import Who, select
from crm_pipelines.contacts.story import story_of
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Attempt, Claim, RetryPolicy
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.patience import PATIENCE, wait_until

LEASE = timedelta(minutes=25)
POLICY = RetryPolicy(delays=(timedelta(minutes=5), timedelta(minutes=10)))


def take(queue: Queue, run_id: str = "run-1") -> Claim:
    [claim] = queue.claim(run_id, limit=1, lease=LEASE)
    queue.renew([claim], lease=LEASE)
    return claim


def send(queue: Queue, run_id: str = "run-1") -> Claim:
    """Up to the moment at which the request is made."""
    claim = take(queue, run_id)
    assert queue.note_sending([claim]) == {claim.contact_id}
    return claim


def finish(queue: Queue, claim: Claim, outcome: str = "unknown", run_id: str = "run-1", revision: int = 1) -> list[str]:
    attempt = Attempt(
        claim=claim,
        revision=revision,
        outcome=outcome,
        duration=timedelta(seconds=1),
        kind="outage",
        message="No answer.",
        requests=1,
        answered=True,
        mapping_version="one",
    )
    queue.record(run_id, [attempt])
    return [row.state for row in queue.apply(run_id, POLICY)]


def lose(people: People, queue: Queue) -> UUID:
    """A contact whose worker died while it sent it."""
    [contact_id] = people.add()
    send(queue)
    people.expire_leases()
    assert queue.rescue().unknown == 1
    return contact_id


def unanswered(people: People, queue: Queue) -> UUID:
    [contact_id] = people.add()
    assert finish(queue, send(queue)) == ["failed"]
    return contact_id


@pytest.fixture(params=[lose, unanswered])
def parked(request: pytest.FixtureRequest, people: People, queue: Queue) -> UUID:
    contact_id: UUID = request.param(people, queue)
    return contact_id


def kind(people: People, contact_id: UUID) -> tuple[str, str | None]:
    row = people.sync(contact_id)
    return row["state"], row["last_error_kind"]


def test_an_unknown_outcome_is_an_error_that_says_what_to_do_and_costs_no_attempt(
    people: People, queue: Queue, parked: UUID
) -> None:
    row = people.sync(parked)
    assert (row["state"], row["last_error_kind"], row["attempts"], row["due_since"]) == ("failed", "unknown", 0, None)
    assert row["last_attempt_at"] is not None
    assert "It may have arrived" in row["last_error"]
    assert "`crm-pipelines retry brevo --email …` sends it again" in row["last_error"]
    [shown] = people.all("SELECT brevo_sync_status AS sync, brevo_processing_status AS processing FROM contacts")
    assert (shown["sync"], shown["processing"]) == ("Error", "Error")


def test_an_edit_does_not_send_it_again_and_why_says_so(people: People, queue: Queue, parked: UUID) -> None:
    assert "nor what has changed" not in story_of(people.engine, parked).crms[0].next
    people.run("UPDATE crm_contacts SET name = 'New' WHERE id = :id", id=parked)
    assert kind(people, parked) == ("failed", "unknown")
    told = story_of(people.engine, parked).crms[0]
    assert (told.condition, told.edited_since) == ("unknown", True)
    assert told.next.startswith("Not sent again by itself, nor what has changed here since: it may have arrived.")
    assert "`crm-pipelines contacts unselect brevo --email …` leaves it at that." in told.next


def test_an_edit_of_which_the_trigger_knew_nothing_does_not_send_it_again(
    people: People, queue: Queue, parked: UUID
) -> None:
    people.run("ALTER TABLE crm_contacts DISABLE TRIGGER crm_contacts_requeue")
    people.run("UPDATE crm_contacts SET name = 'New' WHERE id = :id", id=parked)
    people.run("ALTER TABLE crm_contacts ENABLE TRIGGER crm_contacts_requeue")
    queue.requeue_edited("run-1")
    assert kind(people, parked) == ("failed", "unknown")
    assert queue.requeue_edited("run-1") == 0, "not looked at for ever"


def test_an_edit_while_it_was_sent_does_not_send_it_again(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    claim = send(queue)
    people.run("UPDATE crm_contacts SET name = 'New' WHERE id = :id", id=contact_id)
    assert finish(queue, claim) == ["failed"]
    assert kind(people, contact_id) == ("failed", "unknown")


def test_another_mapping_does_not_send_it_again(people: People, queue: Queue, parked: UUID) -> None:
    assert queue.requeue_parked("two") == 0
    assert kind(people, parked) == ("failed", "unknown")


def test_another_mapping_does_not_send_again_what_was_sent_under_the_former_one(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    people.run("UPDATE crm_syncs SET mapping_version = 'one'")
    send(queue)
    people.expire_leases()
    queue.rescue()
    assert queue.requeue_parked("two") == 0
    assert kind(people, contact_id) == ("failed", "unknown")


def test_an_application_that_upserts_and_selects_does_not_send_it_again(people: People, parked: UUID) -> None:
    [contact] = people.all("SELECT email FROM crm_contacts WHERE id = :id", id=parked)
    people.run(
        "SELECT * FROM crm_upsert_contact(email => :email, name => 'New', select_for => ARRAY['brevo'])",
        email=contact["email"],
    )
    assert people.all("SELECT name FROM crm_contacts") == [{"name": "New"}]
    assert kind(people, parked) == ("failed", "unknown")


def test_a_user_who_selects_it_in_sql_has_it_sent_again(people: People, queue: Queue, parked: UUID) -> None:
    people.run(
        "UPDATE contacts SET brevo_sync_status = 'Selected', brevo_processing_status = 'Queued' WHERE id = :id",
        id=parked,
    )
    assert kind(people, parked) == ("queued", None)
    claimed = queue.claim("run-2", limit=1, lease=LEASE) + queue.claim_suspects("run-2", limit=1, lease=LEASE)
    assert [claim.contact_id for claim in claimed] == [parked]


def test_whose_answer_is_lost_while_all_are_being_selected_is_not_sent_again(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    send(queue)
    ends = sa.text(
        "UPDATE crm_syncs SET state = 'failed', claimed_by = NULL, lease_until = NULL, delivery_started_at = NULL, "
        "last_error_kind = 'unknown'"
    )
    waiting = (
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "AND query LIKE '%crm_select%'"
    )
    with ThreadPoolExecutor(1) as pool, people.engine.begin() as run:
        run.execute(ends)
        selecting = pool.submit(select, people.engine, "brevo", Who(everyone=True))
        wait_until(lambda: people.all(waiting), "the selection comes to the contact", poll_seconds=0.01)
        run.commit()
        selecting.result(PATIENCE)
    assert kind(people, contact_id) == ("failed", "unknown")


def test_who_killed_a_worker_goes_alone_once_a_user_has_it_sent_again(people: People, queue: Queue) -> None:
    contact_id = lose(people, queue)
    people.run("SELECT crm_select('brevo', ARRAY[CAST(:id AS uuid)])", id=contact_id)
    assert queue.claim("run-2", limit=1, lease=LEASE) == []
    assert len(queue.claim_suspects("run-2", limit=1, lease=LEASE)) == 1


def test_what_was_begun_but_not_sent_returns_to_the_queue(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    take(queue)
    people.expire_leases()
    rescued = queue.rescue()
    assert (rescued.returned, rescued.charged, rescued.unknown) == (1, 1, 0)
    assert people.sync(contact_id)["state"] == "queued"


def test_what_was_sent_under_an_earlier_claim_is_not_held_against_the_present_one(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    queue.release("run-1", [send(queue)])
    take(queue, "run-2")
    people.expire_leases()
    assert queue.rescue().unknown == 0
    assert people.sync(contact_id)["state"] == "queued"


def test_a_run_that_ended_in_an_orderly_way_leaves_no_crash_behind(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    send(queue)
    people.expire_leases()
    rescued = queue.rescue(orderly_runs=["run-1"])
    assert (rescued.charged, rescued.given_up, rescued.unknown) == (0, 0, 1)
    assert people.sync(contact_id)["crashes"] == 0


def test_while_its_lease_lasts_it_is_left_to_its_run(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    claim = send(queue)
    assert queue.rescue(crashed_runs=["run-1"]).returned == 0
    assert finish(queue, claim, "synced") == ["synced"]
    assert people.sync(contact_id)["state"] == "synced"


def test_what_the_ledger_knows_is_not_taken_for_unknown(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    claim = send(queue)
    attempt = Attempt(claim=claim, revision=1, outcome="synced", duration=timedelta(), requests=1, answered=True)
    queue.record("run-1", [attempt])
    people.expire_leases()
    assert queue.rescue().returned == 0
    assert queue.silent_runs() == ["run-1"], "whose outcomes the next run carries over"
    queue.apply("run-1", POLICY)
    assert people.sync(contact_id)["state"] == "synced"


def test_after_a_restore_what_was_just_being_sent_is_parked_and_what_was_not_is_queued(
    people: People, queue: Queue
) -> None:
    [sent] = people.add()
    send(queue)
    [begun] = people.add()
    take(queue)
    people.run("UPDATE crm_syncs SET mapping_version = 'one'")
    GateKeeper(people.engine, "brevo").restored()
    queue.requeue_parked("two")
    assert kind(people, sent) == ("failed", "unknown")
    assert "It may have arrived" in people.sync(sent)["last_error"]
    assert kind(people, begun) == ("queued", None)


def test_a_late_success_is_believed(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    claim = send(queue)
    people.expire_leases()
    queue.rescue()
    assert finish(queue, claim, "synced") == ["synced"]
    assert people.sync(contact_id)["last_error"] is None


def test_a_late_failure_sends_nothing_again(people: People, queue: Queue) -> None:
    [contact_id] = people.add()
    claim = send(queue)
    people.expire_leases()
    queue.rescue()
    for outcome in ("retry", "snoozed"):
        assert finish(queue, claim, outcome) in (["superseded"], [])
    assert kind(people, contact_id) == ("failed", "unknown")


def test_nobody_may_send_without_the_current_claim(people: People, queue: Queue) -> None:
    people.add()
    old = take(queue, "run-old")
    people.run("SELECT crm_unselect('brevo', ARRAY[CAST(:id AS uuid)])", id=old.contact_id)
    assert queue.note_sending([old]) == set()
