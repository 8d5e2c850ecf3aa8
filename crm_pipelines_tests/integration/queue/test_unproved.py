"""Who was not seen at the CRM as sent goes back to the queue, whoever else is held, at a price that does not grow."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from crm_pipelines.database.sql import load_statements
from crm_pipelines.destinations.blocklist import Blocklist
from crm_pipelines.queue import bulk_imports
from crm_pipelines.queue.bulk_imports import BulkImports, ToldRow, Unproved
from crm_pipelines_tests.fixtures.people import People

HOUR = timedelta(hours=1)
REASON = "It was not seen."


@pytest.fixture
def imports(engine: sa.Engine) -> BulkImports:
    return BulkImports(engine, "brevo", "run-1")


@pytest.fixture
def by_threes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_imports, "_PORTION", 3)


def under_way(engine: sa.Engine, imports: BulkImports) -> tuple[UUID, list[UUID]]:
    """An import of all that is due; and its contacts in the order of their keys."""
    blocklist = Blocklist(engine, "brevo")
    import_id = imports.begin("mapping", scan_id=blocklist.complete(blocklist.begin(longest_life=HOUR)).id)
    claims = imports.claim(import_id, limit=10_000, lease=HOUR)
    rows = [
        ToldRow(
            claim=one.claim,
            revision=one.revision,
            key=f"{n:05}@example.com",
            payload_hash=b"hash",
            proof=b"proof",
            names=(),
            warnings=("a warning",),
        )
        for n, one in enumerate(claims)
    ]
    imports.note(import_id, rows)
    imports.begin_submitting(import_id, modified_since=datetime.now(UTC), time_limit=HOUR, scan_trust=HOUR)
    assert imports.accepted(import_id, "process-1")
    return import_id, [one.claim.contact_id for one in rows]


def recorded(imports: BulkImports, import_id: UUID) -> list[Unproved]:
    """All calls, as whoever ends an import makes them."""
    calls = [imports.record_unproved(import_id, REASON)]
    while (last := calls[-1].last) is not None:
        calls.append(imports.record_unproved(import_id, REASON, last))
        assert len(calls) < 10, "it ends"
    return calls


@contextmanager
def held(engine: sa.Engine, contacts: list[UUID]) -> Iterator[None]:
    """Somebody's transaction changes the ids of these, or deletes them."""
    with engine.begin() as connection:
        connection.execute(sa.text("SELECT 1 FROM crm_contacts WHERE id = ANY (:ids) FOR UPDATE"), {"ids": contacts})
        yield


@pytest.mark.usefixtures("by_threes")
def test_contacts_that_somebody_holds_hide_none_of_the_others(
    people: People, engine: sa.Engine, imports: BulkImports
) -> None:
    people.add(10)
    import_id, contacts = under_way(engine, imports)
    with held(engine, contacts[:4]):
        calls = recorded(imports, import_id)
    assert [len(one.contacts) for one in calls] == [0, 2, 3, 1, 0]
    assert {one for call in calls for one in call.contacts} == set(contacts[4:])
    left = people.all("SELECT contact_id FROM crm_bulk_rows")
    assert {row["contact_id"] for row in left} == set(contacts[:4])
    assert {one for call in recorded(imports, import_id) for one in call.contacts} == set(contacts[:4])
    assert people.all("SELECT * FROM crm_bulk_rows") == []


@pytest.mark.usefixtures("by_threes")
def test_of_each_there_is_one_entry_and_of_the_deleted_none(
    people: People, engine: sa.Engine, imports: BulkImports
) -> None:
    both = []
    for _ in range(2):
        people.add(7)
        both.append(under_way(engine, imports))
    (import_id, contacts), (another, _) = sorted(both)  # whose rows stand behind those of the first
    people.run("DELETE FROM crm_contacts WHERE id = :id", id=contacts[1])
    imports.report(import_id, {"00002@example.com": "invalidEmails"})
    calls = recorded(imports, import_id)
    assert sum(one.gone for one in calls) == 1
    assert sorted(one for call in calls for one in call.contacts) == sorted({*contacts} - {contacts[1]})
    entries = people.all(
        "SELECT contact_id, outcome, kind, message, warnings, run_id, claim_no, started_at IS NOT NULL AS begun "
        "FROM crm_attempts"
    )
    assert {row["contact_id"]: row["message"] for row in entries} == {
        one: f"{REASON} The CRM's report says: invalidEmails." if one == contacts[2] else REASON
        for one in contacts
        if one != contacts[1]
    }
    for row in entries:
        assert (row["outcome"], row["kind"], row["warnings"]) == ("snoozed", "unproved", ["a warning"])
        assert (row["run_id"], row["claim_no"], row["begun"]) == (f"import:{import_id}", 1, True)
    assert people.all("SELECT DISTINCT import_id FROM crm_bulk_rows") == [{"import_id": another}]


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for part in plan.get("Plans", []) for node in nodes(part))]


def looked_at(engine: sa.Engine, import_id: UUID, table: str) -> int:
    """How many rows of the table one call for 100 looks at."""
    statement = f"EXPLAIN (ANALYZE, FORMAT JSON) {load_statements('queue/bulk_imports')['record_unproved'].text}"
    tended_by = sa.text("SELECT tended_by FROM crm_bulk_imports WHERE id = :id")
    with engine.connect() as connection:
        given = {"crm": "brevo", "id": import_id, "reason": REASON, "after": "", "limit": 100}
        tender = connection.execute(tended_by, {"id": import_id}).scalar_one()
        plan = connection.execute(sa.text(statement), {**given, "tender": tender}).scalar_one()[0]["Plan"]
        connection.rollback()
    scans = [node for node in nodes(plan) if node.get("Relation Name") == table and "Scan" in node["Node Type"]]
    rows = [(one["Actual Rows"] + one.get("Rows Removed by Filter", 0)) * one["Actual Loops"] for one in scans]
    return int(sum(rows))


@pytest.mark.parametrize("statistics", ["none", "of an empty table", "of another import", "of this one"])
def test_a_call_looks_at_no_more_rows_than_it_records_however_many_are_left(
    people: People, engine: sa.Engine, imports: BulkImports, statistics: str
) -> None:
    people.run("ALTER TABLE crm_bulk_rows SET (autovacuum_enabled = off)")
    people.run("ALTER TABLE crm_contacts SET (autovacuum_enabled = off)")
    if statistics == "of an empty table":
        people.run("ANALYZE crm_bulk_rows, crm_contacts")
    if statistics == "of another import":
        people.add(500)
        under_way(engine, imports)
        people.run("ANALYZE crm_bulk_rows, crm_contacts")
    people.add(5000)
    import_id, _ = under_way(engine, imports)
    if statistics == "of this one":
        people.run("ANALYZE crm_bulk_rows, crm_contacts")
    assert looked_at(engine, import_id, "crm_bulk_rows") <= 2 * 100
    assert looked_at(engine, import_id, "crm_contacts") <= 100
