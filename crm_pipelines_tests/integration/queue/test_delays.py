"""From which moment on a delivery's delay counts, and where it ends: docs/glossary.md, delay."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from crm_pipelines.contacts.selection import Who, retry, select
from crm_pipelines.database import connecting, migrating
from crm_pipelines.database.sql import load_statements
from crm_pipelines.destinations.attributes import AttributeStore
from crm_pipelines.destinations.blocklist import Blocklist
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.queue.bulk_imports import BulkImports, ToldRow, holder
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Attempt, Claim, RetryPolicy
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.integration.database.test_database import upgrade_to

LEASE = timedelta(minutes=25)
HOUR = timedelta(hours=1)
POLICY = RetryPolicy(delays=(timedelta(minutes=5),))


@dataclass
class Desk:
    """People who do things to contacts, and a run that delivers them."""

    people: People
    queue: Queue

    def at(self, act: Callable[[], Any]) -> tuple[datetime, datetime]:
        """Do something; between which moments it was done, by the clock of the database."""
        before = self.people.now()
        act()
        return before, self.people.now()

    def edit(self, name: str) -> tuple[datetime, datetime]:
        return self.at(lambda: self.people.run("UPDATE crm_contacts SET name = :name", name=name))

    def select(self) -> tuple[datetime, datetime]:
        return self.at(lambda: self.people.run("SELECT crm_select('brevo', ARRAY(SELECT id FROM crm_contacts))"))

    def take(self) -> Claim:
        self.people.make_due()
        claimed = self.queue.claim("run", limit=10, lease=LEASE)
        [claim] = claimed or self.queue.claim_suspects("run", limit=10, lease=LEASE)
        return claim

    def begin(self, claim: Claim) -> tuple[Claim, int]:
        """The claim by its number from here on, and the revision that is sent."""
        [revision] = self.queue.begin([claim], lease=LEASE, leap=5).values()
        return Claim(contact_id=claim.contact_id, claim_no=claim.claim_no + 5), revision

    def record(self, claim: Claim, revision: int, outcome: str = "synced") -> None:
        attempt = Attempt(
            claim=claim,
            revision=revision,
            outcome=outcome,
            duration=timedelta(),
            requests=1,
            answered=True,
            kind=None if outcome == "synced" else "x",
            mapping_version="one",
        )
        self.queue.record("run", [attempt])

    def end(self, claim: Claim, revision: int, outcome: str = "synced") -> None:
        self.record(claim, revision, outcome)
        self.queue.apply("run", POLICY)

    def deliver(self, outcome: str = "synced") -> None:
        self.end(*self.begin(self.take()), outcome)

    def since(self) -> datetime | None:
        """From when on the delay of the latest delivery counts."""
        found: datetime | None = self.people.all("SELECT wanted_since FROM crm_attempts ORDER BY id DESC LIMIT 1")[0][
            "wanted_since"
        ]
        return found


@pytest.fixture
def desk(people: People, queue: Queue) -> Desk:
    return Desk(people, queue)


@pytest.fixture
def delivered(desk: Desk) -> Desk:
    """One contact, at the CRM."""
    desk.people.add()
    desk.deliver()
    return desk


def within(moment: datetime | None, bounds: tuple[datetime, datetime]) -> bool:
    return moment is not None and bounds[0] <= moment <= bounds[1]


def test_the_first_delivery_counts_from_the_selection(desk: Desk) -> None:
    desk.people.add(select=False)
    selected = desk.select()
    desk.edit("While it waits")
    desk.deliver()
    assert within(desk.since(), selected)


def test_an_edit_counts_from_itself_and_not_from_the_selection(delivered: Desk) -> None:
    edited = delivered.edit("Once")
    delivered.deliver()
    assert within(delivered.since(), edited)


def test_several_edits_count_from_the_first_that_is_not_at_the_crm(delivered: Desk) -> None:
    first = delivered.edit("One")
    delivered.edit("Two")
    claim = delivered.take()
    delivered.edit("Three, before the delivery has begun")
    delivered.end(*delivered.begin(claim))
    assert within(delivered.since(), first)
    later = delivered.edit("Four")
    delivered.deliver()
    assert within(delivered.since(), later)


def test_an_edit_while_a_delivery_is_under_way_counts_from_itself_for_the_next_one(delivered: Desk) -> None:
    before = delivered.edit("Before")
    sent = delivered.begin(delivered.take())
    meanwhile = delivered.edit("Meanwhile")
    delivered.edit("And again")
    delivered.end(*sent)
    assert within(delivered.since(), before)
    delivered.deliver()
    assert within(delivered.since(), meanwhile)
    assert delivered.people.states() == {"synced": 1}


def test_a_selection_while_a_delivery_is_under_way_counts_from_itself_for_the_next_one(delivered: Desk) -> None:
    before = delivered.edit("Before")
    sent = delivered.begin(delivered.take())
    meanwhile = delivered.select()
    delivered.end(*sent)
    assert within(delivered.since(), before)
    delivered.deliver()
    assert within(delivered.since(), meanwhile)


def test_an_edit_between_the_outcome_and_its_writing_back_counts_for_the_next_delivery(delivered: Desk) -> None:
    before = delivered.edit("Before")
    sent = delivered.begin(delivered.take())
    delivered.record(*sent)
    meanwhile = delivered.edit("Meanwhile")
    delivered.queue.apply("run", POLICY)
    assert within(delivered.since(), before)
    delivered.deliver()
    assert within(delivered.since(), meanwhile)


def test_tries_that_fail_are_part_of_the_delay_and_have_none_of_their_own(delivered: Desk) -> None:
    edited = delivered.edit("Once")
    delivered.deliver("retry")
    assert delivered.since() is None
    sent = delivered.begin(delivered.take())
    delivered.edit("While it is tried again")
    delivered.end(*sent, "snoozed")
    delivered.deliver()
    assert within(delivered.since(), edited)


def test_a_worker_that_died_is_part_of_the_delay(delivered: Desk) -> None:
    edited = delivered.edit("Once")
    delivered.begin(delivered.take())
    delivered.people.expire_leases()
    delivered.queue.rescue()
    delivered.deliver()
    assert within(delivered.since(), edited)


def test_a_late_answer_after_a_rescue_does_not_cover_what_came_meanwhile(delivered: Desk) -> None:
    before = delivered.edit("Before")
    sent = delivered.begin(delivered.take())
    delivered.people.expire_leases()
    delivered.queue.rescue()
    meanwhile = delivered.edit("After the rescue")
    delivered.end(*sent)
    assert within(delivered.since(), before)
    delivered.deliver()
    assert within(delivered.since(), meanwhile)


@pytest.mark.parametrize("outcome", ["rejected", "skipped"])
def test_who_is_given_up_has_no_delay_and_the_edit_that_corrects_it_counts_from_itself(
    delivered: Desk, outcome: str
) -> None:
    delivered.edit("Wrong")
    delivered.deliver(outcome)
    assert delivered.since() is None
    corrected = delivered.edit("Right")
    delivered.deliver()
    assert within(delivered.since(), corrected)


def test_an_edit_while_the_former_state_is_refused_counts_from_itself(delivered: Desk) -> None:
    delivered.edit("Wrong")
    sent = delivered.begin(delivered.take())
    corrected = delivered.edit("Right")
    delivered.end(*sent, "rejected")
    delivered.deliver()
    assert within(delivered.since(), corrected)


def test_a_retry_by_a_person_counts_from_itself(delivered: Desk, engine: sa.Engine) -> None:
    delivered.edit("Wrong")
    delivered.deliver("rejected")
    asked = delivered.at(lambda: retry(engine, "brevo", Who(everyone=True)))
    delivered.deliver()
    assert within(delivered.since(), asked)


def test_a_retry_of_what_waits_for_its_next_try_does_not_begin_anew(delivered: Desk, engine: sa.Engine) -> None:
    edited = delivered.edit("Once")
    delivered.deliver("retry")
    retry(engine, "brevo", Who(everyone=True))
    delivered.deliver()
    assert within(delivered.since(), edited)


def test_a_selection_of_what_is_delivered_counts_from_itself(delivered: Desk, engine: sa.Engine) -> None:
    asked = delivered.at(lambda: select(engine, "brevo", Who(everyone=True)))
    delivered.deliver()
    assert within(delivered.since(), asked)


def test_whoever_was_taken_back_counts_from_the_next_selection(desk: Desk) -> None:
    desk.people.add()
    desk.people.run("SELECT crm_unselect('brevo', ARRAY(SELECT id FROM crm_contacts))")
    desk.edit("While it is not selected")
    selected = desk.select()
    desk.deliver()
    assert within(desk.since(), selected)


def test_whose_suppression_is_lifted_counts_from_the_next_selection(desk: Desk) -> None:
    desk.people.add()
    desk.people.run("SELECT crm_suppress('brevo', ARRAY(SELECT id FROM crm_contacts))")
    desk.edit("While it is never sent")
    desk.people.run("SELECT crm_unsuppress('brevo', ARRAY(SELECT id FROM crm_contacts))")
    selected = desk.select()
    desk.deliver()
    assert within(desk.since(), selected)


def of_before(people: People) -> None:
    """As a former version leaves it, which is being replaced."""
    people.run("UPDATE crm_syncs SET wanted_since = now() - interval '1 day'")


def by_another_mapping(desk: Desk) -> None:
    desk.edit("Wrong by the former mapping")
    desk.deliver("rejected")
    of_before(desk.people)
    assert desk.queue.requeue_parked("two") == 1


def by_attributes_that_were_made(desk: Desk) -> None:
    of_before(desk.people)
    desk.people.run("UPDATE crm_syncs SET left_out = '{AGE}'")
    made = [{"name": "AGE", "category": "normal", "type": "float"}]
    assert AttributeStore(desk.people.engine, "brevo").keep(made, "version", ["AGE"]) == 1


def by_attributes_that_have_changed(desk: Desk) -> None:
    of_before(desk.people)
    desk.people.run("UPDATE crm_syncs SET sent_attributes = '{AGE}'")
    judge_anew = load_statements("destinations/attributes")["judge_anew"]
    with desk.people.engine.begin() as connection:
        connection.execute(judge_anew, {"crm": "brevo", "names": ["AGE"], "limit": 9})


@pytest.mark.parametrize(
    "queue_again", [by_another_mapping, by_attributes_that_were_made, by_attributes_that_have_changed]
)
def test_what_is_queued_without_anybody_having_edited_it_has_no_delay_but_an_edit_meanwhile_has(
    delivered: Desk, queue_again: Callable[[Desk], None]
) -> None:
    queue_again(delivered)
    sent = delivered.begin(delivered.take())
    meanwhile = delivered.edit("Meanwhile")
    delivered.end(*sent)
    assert delivered.since() is None
    delivered.deliver()
    assert within(delivered.since(), meanwhile)


def test_an_edit_before_the_delivery_has_begun_is_in_it(delivered: Desk) -> None:
    delivered.people.run("UPDATE crm_syncs SET state = 'queued', wanted_since = NULL")
    claim = delivered.take()
    edited = delivered.edit("Before it has begun")
    delivered.end(*delivered.begin(claim))
    assert within(delivered.since(), edited)


def test_an_edit_while_what_nobody_edited_is_tried_counts_from_itself_though_the_try_fails(delivered: Desk) -> None:
    delivered.people.run("UPDATE crm_syncs SET state = 'queued', wanted_since = NULL")
    sent = delivered.begin(delivered.take())
    meanwhile = delivered.edit("Meanwhile")
    delivered.end(*sent, "retry")
    delivered.deliver()
    assert within(delivered.since(), meanwhile)


def test_where_nothing_was_to_be_sent_there_is_no_delay(delivered: Desk) -> None:
    delivered.edit("Of no consequence")
    delivered.deliver("unchanged")
    assert delivered.since() is None
    edited = delivered.edit("Of consequence")
    delivered.deliver()
    assert within(delivered.since(), edited)


def test_a_delivery_of_which_the_crm_may_have_dropped_values_is_not_the_end_of_the_delay(delivered: Desk) -> None:
    delivered.people.run("INSERT INTO crm_attributes (crm, version) VALUES ('brevo', 'new')")
    edited = delivered.edit("Once")
    claim, revision = delivered.begin(delivered.take())
    attempt = Attempt(
        claim=claim, revision=revision, outcome="synced", duration=timedelta(), requests=1, attributes_version="old"
    )
    delivered.queue.record("run", [attempt])
    delivered.queue.apply("run", POLICY)
    assert delivered.since() is None
    delivered.deliver()
    assert within(delivered.since(), edited)


def test_who_was_taken_over_is_not_counted_by_the_former_worker(delivered: Desk) -> None:
    edited = delivered.edit("Once")
    former = delivered.begin(delivered.take())
    delivered.people.expire_leases()
    delivered.queue.rescue()
    present = delivered.begin(delivered.take())
    delivered.end(*former)
    assert delivered.since() is None
    delivered.end(*present)
    assert within(delivered.since(), edited)
    assert delivered.people.all("SELECT count(*) AS n FROM crm_attempts WHERE wanted_since IS NOT NULL")[0]["n"] == 2


def test_a_restore_keeps_since_when_what_waits_has_been_wanted(delivered: Desk, engine: sa.Engine) -> None:
    edited = delivered.edit("Once")
    delivered.begin(delivered.take())
    delivered.people.run("UPDATE crm_gates SET home = 'elsewhere'")
    assert GateKeeper(engine, "brevo").read().pause_kind == "restored"
    GateKeeper(engine, "brevo").open_by_hand()
    delivered.deliver()
    assert within(delivered.since(), edited)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE contacts SET name = 'By the view'",
        "SELECT * FROM crm_upsert_contact((SELECT email FROM crm_contacts), name => 'By a function')",
        "UPDATE contacts SET brevo_sync_status = 'Selected', brevo_processing_status = 'Queued'",
    ],
)
def test_whatever_way_sql_takes_it_counts_from_the_statement(delivered: Desk, statement: str) -> None:
    done = delivered.at(lambda: delivered.people.run(statement))
    delivered.deliver()
    assert within(delivered.since(), done)


def test_an_edit_within_a_long_transaction_counts_from_the_statement_and_not_from_its_begin(delivered: Desk) -> None:
    with delivered.people.engine.begin() as connection:
        connection.execute(sa.text("SELECT pg_sleep(0.05)"))
        began = connection.execute(sa.text("SELECT now()")).scalar_one()
        connection.execute(sa.text("UPDATE crm_contacts SET name = 'At the end'"))
    delivered.deliver()
    since = delivered.since()
    assert since is not None
    assert since - began >= timedelta(seconds=0.05)


def test_in_bulk_the_delay_ends_when_the_contact_was_seen_and_an_edit_meanwhile_counts_for_the_next(
    desk: Desk, engine: sa.Engine
) -> None:
    [contact_id] = desk.people.add(select=False)
    selected = desk.select()
    imports, blocklist = BulkImports(engine, "brevo", "run"), Blocklist(engine, "brevo")
    import_id = imports.begin("one", scan_id=blocklist.complete(blocklist.begin(longest_life=HOUR)).id)
    [bulk] = imports.claim(import_id, limit=10, lease=HOUR)
    told: dict[str, Any] = {"key": "a@example.com", "payload_hash": b"h", "proof": b"p", "names": (), "warnings": ()}
    imports.note(import_id, [ToldRow(claim=bulk.claim, revision=bulk.revision, **told)])
    imports.begin_submitting(import_id, modified_since=datetime.now(UTC), time_limit=HOUR, scan_trust=HOUR)
    imports.accepted(import_id, "process-1")
    meanwhile = desk.edit("While the import is under way")
    seen = desk.at(lambda: imports.record_proved(import_id, {"a@example.com": ("1", None)}))
    desk.queue.apply(holder(import_id), POLICY, [contact_id])
    [entry] = desk.people.all("SELECT wanted_since, finished_at FROM crm_attempts")
    assert within(entry["wanted_since"], selected)
    assert within(entry["finished_at"], seen)
    desk.deliver()
    assert within(desk.since(), meanwhile)


FORMER_APPLY = """
WITH done AS (
    UPDATE crm_syncs SET state = 'synced', synced_revision = revision, claimed_by = NULL, lease_until = NULL,
           delivery_started_at = NULL, synced_at = now()
     WHERE state = 'claimed' RETURNING contact_id, claim_no
)
UPDATE crm_attempts a SET applied_at = now() FROM done d
 WHERE a.contact_id = d.contact_id AND a.claim_no = d.claim_no"""


def test_what_waited_at_the_upgrade_has_no_delay_and_what_a_former_version_delivers_since_counts_for_no_later_edit(
    empty_database_url: str,
) -> None:
    upgrade_to(empty_database_url, "0029")
    engine = connecting.create_engine(empty_database_url)
    try:
        desk = Desk(People(engine), Queue(engine, "brevo"))
        desk.people.add()
        migrating.upgrade(empty_database_url)
        desk.deliver()
        assert desk.since() is None
        desk.edit("Delivered by a run of the former version")
        sent = desk.begin(desk.take())
        desk.record(*sent)
        assert desk.people.run(FORMER_APPLY) == 1
        assert desk.since() is None
        later = desk.edit("Later")
        desk.deliver()
        assert within(desk.since(), later)
    finally:
        engine.dispose()


def test_the_migration_rewrites_neither_table(empty_database_url: str) -> None:
    upgrade_to(empty_database_url, "0029")
    engine = connecting.create_engine(empty_database_url)
    try:
        people = People(engine)
        files = "SELECT pg_relation_filenode('crm_syncs') AS syncs, pg_relation_filenode('crm_attempts') AS attempts"
        before = people.all(files)
        migrating.upgrade(empty_database_url)
        assert people.all(files) == before
    finally:
        engine.dispose()


def test_a_contact_whose_address_was_freed_counts_from_that(desk: Desk) -> None:
    [holder_id] = desk.people.add(email="same@example.com", select=False)
    [twin] = desk.people.add(email=None, select=False)
    desk.people.run("ALTER TABLE crm_contacts DISABLE TRIGGER USER")
    desk.people.run("UPDATE crm_contacts SET email = 'same@example.com' || chr(9) WHERE id = :id", id=twin)
    desk.people.run("ALTER TABLE crm_contacts ENABLE TRIGGER USER")
    desk.people.run("SELECT crm_select('brevo', ARRAY[CAST(:id AS uuid)])", id=twin)
    desk.people.run("UPDATE crm_syncs SET state = 'skipped', last_error_kind = 'same_address', wanted_since = NULL")
    freed = desk.at(lambda: desk.people.run("DELETE FROM crm_contacts WHERE id = :id", id=holder_id))
    desk.deliver()
    assert within(desk.since(), freed)
