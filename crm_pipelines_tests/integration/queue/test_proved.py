"""Who was seen at the CRM as sent is delivered: in one statement where nothing has happened since, else by `apply`."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from crm_pipelines.destinations.blocklist import Blocklist
from crm_pipelines.queue.bulk_imports import BulkImports, Proved, ToldRow, holder
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import RetryPolicy
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.patience import PATIENCE, wait_until

HOUR = timedelta(hours=1)
POLICY = RetryPolicy(delays=(HOUR,))
MOMENTS = {"run_at", "synced_at", "last_attempt_at", "due_in", "selected_at"}
OWN = {"contact_id", "remote_key", "remote_id", "sent_key"}


@pytest.fixture
def imports(engine: sa.Engine) -> BulkImports:
    return BulkImports(engine, "brevo", "run-1")


def under_way(engine: sa.Engine, imports: BulkImports) -> UUID:
    blocklist = Blocklist(engine, "brevo")
    scan = blocklist.complete(blocklist.begin(longest_life=HOUR))
    import_id = imports.begin("mapping", scan_id=scan.id, attributes_version="attributes")
    rows = [
        ToldRow(
            claim=one.claim,
            revision=one.revision,
            key=key_of(one.claim.contact_id),
            payload_hash=b"hash",
            proof=b"proof",
            names=("FIRSTNAME", "SMS"),
            warnings=("a warning",),
            left_out=("SMS",),
            lists=frozenset({"7", "9"}),
        )
        for one in imports.claim(import_id, limit=100, lease=HOUR)
    ]
    imports.note(import_id, rows)
    imports.begin_submitting(import_id, modified_since=datetime.now(UTC), time_limit=HOUR, scan_trust=HOUR)
    assert imports.accepted(import_id, "process-1")
    return import_id


def key_of(contact_id: UUID) -> str:
    return f"{contact_id}@example.com"


def prove(imports: BulkImports, import_id: UUID, ids: list[UUID]) -> Proved:
    return imports.record_proved(import_id, {key_of(one): (f"at {one}", "a mark") for one in ids})


def entry(people: People, contact_id: UUID) -> dict[str, Any]:
    return people.all("SELECT * FROM crm_attempts WHERE contact_id = :id", id=contact_id)[0]


@contextmanager
def held(engine: sa.Engine, contact_id: UUID) -> Iterator[None]:
    """Somebody's transaction holds the contact's delivery."""
    with engine.begin() as connection:
        connection.execute(
            sa.text("SELECT 1 FROM crm_syncs WHERE contact_id = :id FOR NO KEY UPDATE"), {"id": contact_id}
        )
        yield


@pytest.mark.parametrize("lists", ["'{}'", "'{7,9,11}'", "'{3}'", "NULL"])
def test_what_is_set_at_once_is_what_apply_would_have_set(
    people: People, engine: sa.Engine, queue: Queue, imports: BulkImports, lists: str
) -> None:
    at_once, held_up = people.add(2)
    people.run(
        "UPDATE crm_syncs SET attempts = 2, due_since = now(), wanted_since = now(), last_error_kind = 'outage', "
        "last_error_code = '500', last_error = 'An outage.', last_http_status = 500, remote_id = 'former', "
        "maybe_keys = '{other@example.com}', "
        f"remote_mark = 'former', sent_attributes = '{{CITY}}', payload_hash = NULL, lists = {lists}"
    )
    import_id = under_way(engine, imports)
    with held(engine, held_up):
        assert prove(imports, import_id, [at_once, held_up]) == Proved(synced=1, gone=0, others=[held_up])
    assert people.states() == {"synced": 1, "claimed": 1}
    [applied] = queue.apply(holder(import_id), POLICY, [held_up])
    assert (applied.outcome, applied.state, applied.contacts) == ("synced", "synced", 1)
    rows = [
        {name: value for name, value in people.sync(one).items() if name not in MOMENTS | OWN}
        for one in (at_once, held_up)
    ]
    assert rows[0] == rows[1]
    for one in (at_once, held_up):
        row, said = people.sync(one), entry(people, one)
        assert (row["remote_key"], row["remote_id"], row["remote_mark"]) == (key_of(one), f"at {one}", "a mark")
        assert (row["synced_revision"], row["attempts"], row["last_error"]) == (row["revision"], 0, None)
        assert row["last_attempt_at"] == said["finished_at"]
        assert said["applied_at"] is not None
    different = {"id", "contact_id", "remote_key", "remote_id", "applied_at"}
    entries = [{n: v for n, v in entry(people, one).items() if n not in different} for one in (at_once, held_up)]
    assert entries[0] == entries[1]
    assert entries[0]["wanted_since"] is not None, "its delay is known"


@pytest.mark.parametrize(
    ("happened", "state"),
    [
        ("UPDATE crm_contacts SET name = 'Somebody Else'", "queued"),
        ("SELECT crm_unselect('brevo', array_agg(id)) FROM crm_contacts", "unselected"),
        ("UPDATE crm_syncs SET claim_no = claim_no + 1", "claimed"),
        ("UPDATE crm_syncs SET state = 'queued', claimed_by = NULL, lease_until = NULL", "synced"),
        ("INSERT INTO crm_attributes (crm, version, attributes) VALUES ('brevo', 'others', '[]')", "queued"),
        (
            (
                "INSERT INTO crm_enrichments (contact_id, crm, enrichment_id, digest, status, sent_at, filled) "
                "SELECT id, 'brevo', 'one', 'digest', 'complete', now(), '{name}' FROM crm_contacts"
            ),
            "synced",
        ),
    ],
)
def test_when_something_has_happened_since_the_claim_apply_decides(
    people: People, engine: sa.Engine, queue: Queue, imports: BulkImports, happened: str, state: str
) -> None:
    [contact] = people.add()
    import_id = under_way(engine, imports)
    people.run(happened)
    before = people.sync(contact)
    assert prove(imports, import_id, [contact]) == Proved(synced=0, gone=0, others=[contact])
    assert people.sync(contact) | {"due_in": 0} == before | {"due_in": 0}
    assert entry(people, contact)["applied_at"] is None
    queue.apply(holder(import_id), POLICY, [contact])
    assert people.states() == {state: 1}


def test_a_contact_that_was_deleted_or_is_not_of_the_import_counts_for_nothing(
    people: People, engine: sa.Engine, imports: BulkImports
) -> None:
    seen, deleted = people.add(2)
    import_id = under_way(engine, imports)
    [other] = people.add()
    people.run("DELETE FROM crm_contacts WHERE id = :id", id=deleted)
    assert prove(imports, import_id, [seen, deleted, other]) == Proved(synced=1, gone=1, others=[])
    assert prove(imports, import_id, [seen, deleted, other]) == Proved(synced=0, gone=0, others=[])
    assert people.states() == {"synced": 1, "queued": 1}


def test_of_two_calls_at_once_that_saw_the_same_contacts_each_contact_counts_in_one(
    people: People, engine: sa.Engine, imports: BulkImports
) -> None:
    ids = people.add(20)
    import_id = under_way(engine, imports)
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with ThreadPoolExecutor(2) as pool:
        with engine.begin() as somebody:
            somebody.execute(sa.text("SELECT 1 FROM crm_bulk_rows FOR UPDATE"))
            calls = [pool.submit(prove, imports, import_id, ids) for _ in range(2)]
            wait_until(lambda: len(people.all(waiting)) == 2, "both wait for the import's rows")
        told = [call.result(PATIENCE) for call in calls]
    assert sum(one.contacts for one in told) == 20
    assert sum(one.synced for one in told) == 20
    assert people.states() == {"synced": 20}
    assert imports.proved([import_id]) == {import_id: 20}
