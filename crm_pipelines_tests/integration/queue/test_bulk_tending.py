"""An import is looked after by one process at a time, and that one alone says what becomes of it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from crm_pipelines.destinations.blocklist import Blocklist
from crm_pipelines.queue.bulk_imports import BulkImports, ImportLost, ToldRow, Unproved
from crm_pipelines.queue.claims import Queue
from crm_pipelines_tests.fixtures.people import People

RUN = "run-1"
HOUR = timedelta(hours=1)
NEVER = timedelta(days=1)


@pytest.fixture
def first(engine: sa.Engine) -> BulkImports:
    return BulkImports(engine, "brevo", RUN)


@pytest.fixture
def second(engine: sa.Engine) -> BulkImports:
    """Of another process, which executes the same run."""
    return BulkImports(engine, "brevo", RUN)


def begun(engine: sa.Engine, imports: BulkImports) -> UUID:
    """An import with all that is due in it, ready to be sent."""
    blocklist = Blocklist(engine, "brevo")
    import_id = imports.begin("mapping", scan_id=blocklist.complete(blocklist.begin(longest_life=HOUR)).id)
    claims = imports.claim(import_id, limit=100, lease=HOUR)
    rows = [
        ToldRow(
            claim=one.claim,
            revision=one.revision,
            key=f"{one.claim.contact_id}@example.com",
            payload_hash=b"hash",
            proof=b"proof",
            names=(),
            warnings=(),
        )
        for one in claims
    ]
    imports.note(import_id, rows)
    return import_id


def submitted(imports: BulkImports, import_id: UUID) -> None:
    imports.begin_submitting(import_id, modified_since=datetime.now(UTC), time_limit=HOUR, scan_trust=HOUR)


def under_way(engine: sa.Engine, imports: BulkImports) -> UUID:
    import_id = begun(engine, imports)
    submitted(imports, import_id)
    assert imports.accepted(import_id, "process-1")
    return import_id


def test_an_import_that_is_put_together_is_sent_by_no_other_process_of_the_run(
    people: People, engine: sa.Engine, first: BulkImports, second: BulkImports
) -> None:
    people.add(3)
    import_id = begun(engine, first)
    with pytest.raises(ImportLost):
        submitted(second, import_id)
    with pytest.raises(ImportLost):
        second.note(import_id, [])
    submitted(first, import_id)
    with pytest.raises(ImportLost):
        submitted(first, import_id)


def test_an_import_that_somebody_looks_after_is_taken_in_hand_by_no_other_process_of_the_run(
    people: People, engine: sa.Engine, first: BulkImports, second: BulkImports
) -> None:
    people.add(3)
    import_id = under_way(engine, first)
    assert second.tend(silence=NEVER) == []
    assert second.leave() == {}
    assert [one.id for one in first.tend(silence=NEVER)] == [import_id], "its own it finds again"
    assert first.leave() == {import_id: 3}
    assert [one.id for one in second.tend(silence=NEVER)] == [import_id]


def test_who_slept_and_lost_an_import_says_nothing_of_its_contacts(
    people: People, engine: sa.Engine, first: BulkImports, second: BulkImports
) -> None:
    people.add(3)
    import_id = under_way(engine, first)
    people.run("UPDATE crm_bulk_imports SET tended_at = now() - interval '1 hour'")
    assert [one.id for one in second.tend(silence=timedelta(minutes=3))] == [import_id]
    assert not first.accepted(import_id, "process-1")
    assert not first.completed(import_id)
    assert first.record_unproved(import_id, "It was not seen.") == Unproved(contacts=[], gone=0, last=None)
    assert first.end(import_id, "proved") is None
    assert second.completed(import_id)
    unproved = second.record_unproved(import_id, "It was not seen.")
    assert (len(unproved.contacts), unproved.gone) == (3, 0)
    assert second.end(import_id, "proved") == 0


def test_a_run_is_alive_while_one_of_its_processes_looks_after_an_import_and_an_ended_one_loses_what_it_prepared(
    people: People, engine: sa.Engine, queue: Queue, first: BulkImports, second: BulkImports
) -> None:
    people.add(3)
    begun(engine, first)
    people.run("DELETE FROM crm_walks")
    assert queue.is_delivering(RUN)
    assert not queue.is_delivering("run-2")
    assert queue.holders(except_run="run-2") == [RUN], "by the id that Dagster knows"
    assert queue.holders(except_run=RUN) == []
    assert second.recover(silence=NEVER) == 0
    assert second.recover(silence=NEVER, ended_runs=[RUN]) == 3
    assert people.states() == {"queued": 3}


def test_what_was_told_goes_with_its_import(people: People, engine: sa.Engine, first: BulkImports) -> None:
    people.add(2)
    gone = begun(engine, first)
    people.add(1)
    kept = begun(engine, first)
    people.run("DELETE FROM crm_bulk_imports WHERE id = :id", id=gone)
    assert people.all("SELECT import_id FROM crm_bulk_rows") == [{"import_id": kept}]
