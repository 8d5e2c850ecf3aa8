"""What a claim costs, in rows and pages, does not grow with the backlog, nor behind an open snapshot."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import psycopg
import pytest
import sqlalchemy as sa

from crm_pipelines.database import connecting
from crm_pipelines.database.sql import load_statements
from crm_pipelines.queue.bulk_imports import BulkImports
from crm_pipelines.queue.claims import Queue
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.patience import PATIENCE, wait_until

LEASE = timedelta(minutes=25)
BACKLOG = 10_000


class Cost(NamedTuple):
    """Rows that were claimed, rows of the queue that were looked at to pick them, and pages that were touched."""

    rows: int
    scanned: int
    pages: int


def fill(people: People, count: int, due: str, start: int) -> None:
    people.run("ALTER TABLE crm_syncs SET (autovacuum_enabled = off)")
    people.run(
        "WITH added AS (INSERT INTO crm_contacts (email) SELECT 'c' || n || '@example.com' "
        "FROM generate_series(:start, :start + :count - 1) n RETURNING id) "
        f"INSERT INTO crm_syncs (contact_id, crm, run_at) SELECT id, 'brevo', {due} FROM added",
        start=start,
        count=count,
    )
    people.run("ANALYZE crm_syncs")


def cost(engine: sa.Engine, file: str, **parameters: Any) -> Cost:
    """Of a claim of 1,000, which is taken back."""
    claim = sa.text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {load_statements(file)['claim'].text}")
    given = {"crm": "brevo", "run_id": "run", "limit": 1000, "lease": LEASE, **parameters}
    with engine.connect() as connection:
        plan = connection.execute(claim, given).scalar_one()[0]["Plan"]
        connection.rollback()
    [picked] = [node for node in nodes(plan) if node.get("Subplan Name") == "CTE picked"]
    scans = [node for node in nodes(picked) if node.get("Relation Name") == "crm_syncs"]
    scanned = max(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in scans)
    return Cost(round(plan["Actual Rows"]), round(scanned), plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for part in plan.get("Plans", []) for node in nodes(part))]


@pytest.mark.parametrize("when", ["now() + interval '1 day'", "now() - interval '1 minute'"], ids=["later", "now"])
def test_a_thousand_are_claimed_from_a_large_backlog_at_the_price_of_a_small_one(
    people: People, engine: sa.Engine, when: str
) -> None:
    fill(people, 2000, "now() - interval '1 h'", 1)
    small = cost(engine, "queue/claims")
    fill(people, BACKLOG, when, 10_000)
    large = cost(engine, "queue/claims")
    assert large.rows == small.rows == 1000
    assert large.scanned <= 1001
    assert large.pages <= 1.5 * small.pages


@contextmanager
def old_snapshot(engine: sa.Engine) -> Iterator[None]:
    """Somebody sees the tables as they are now, as long as the block lasts."""
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, application_name="reader") as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM crm_syncs")
        yield


def pages_of(engine: sa.Engine, work: Callable[[], object]) -> int:
    """Pages of the queue's table and its indexes that are touched by it."""
    before = _touched(engine)
    work()
    return _touched(engine) - before


def _touched(engine: sa.Engine) -> int:
    """So far, by all; a backend reports when it ends."""
    engine.dispose()
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:

        def reported() -> bool:
            return not connection.execute(
                "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "AND backend_type = 'client backend' AND application_name <> 'reader'"
            ).fetchall()

        wait_until(reported, "the others have gone")
        row = connection.execute(
            "SELECT heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read FROM pg_statio_user_tables "
            "WHERE relname = 'crm_syncs'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_behind_an_open_snapshot_imports_do_not_walk_over_what_the_run_claimed_before(
    people: People, engine: sa.Engine
) -> None:
    fill(people, 14_000, "now() - interval '1 h' + random() * interval '1 h'", 1)
    imports = BulkImports(engine, "brevo", "run")

    def claim(import_id: UUID, expected: int = 1000) -> int:
        return pages_of(engine, lambda: assert_claimed(imports, import_id, expected))

    with old_snapshot(engine):
        one, two, three = (imports.begin("mapping", scan_id=uuid4()) for _ in range(3))
        first = claim(one)
        for _ in range(8):
            later = claim(one)
        of_the_next = claim(two)
        another_run = BulkImports(engine, "brevo", "another run")
        without_floor = pages_of(engine, lambda: assert_claimed(another_run, three, 1000))
    assert later <= 1.5 * first
    assert of_the_next <= 1.5 * first
    assert without_floor > of_the_next + 5_000, "the dead entries are there, and the floor is what passes them"


def assert_claimed(imports: BulkImports, import_id: UUID, expected: int) -> None:
    assert len(imports.claim(import_id, limit=1000, lease=LEASE)) == expected


def test_what_an_import_gives_back_the_next_one_of_the_run_finds(people: People, engine: sa.Engine) -> None:
    fill(people, 20, "now() - interval '1 h'", 1)
    imports = BulkImports(engine, "brevo", "run")
    one, two = (imports.begin("mapping", scan_id=uuid4()) for _ in range(2))
    assert_claimed(imports, one, 20)
    assert imports.give_back(one) == 20
    assert_claimed(imports, two, 20)


def test_behind_an_open_snapshot_a_run_passes_over_what_was_claimed_before_a_few_times_only(
    people: People, engine: sa.Engine, queue: Queue, pipeline: Pipeline
) -> None:
    people.add(1)
    pipeline.run()
    fill(people, 4000, "now() - interval '1 h'", 1)
    with old_snapshot(engine):
        assert len(queue.claim("run-1", limit=4000, lease=LEASE)) == 4000
        people.run(
            "UPDATE crm_syncs SET state = 'unselected', claimed_by = NULL, lease_until = NULL WHERE state = 'claimed'"
        )
        people.run("ANALYZE crm_syncs")
        whole_run = pages_of(engine, pipeline.run)
    # Of its looks at what is due each passes 4,000 entries, of its looks at what is claimed some 1,200 pages.
    assert whole_run < 37_000


def test_a_tick_looks_at_no_more_edits_however_many_a_day_has(people: People, engine: sa.Engine) -> None:
    fill(people, 5000, "now()", 1)
    people.run("UPDATE crm_contacts SET name = 'Ada'")
    people.run("ANALYZE crm_contacts, crm_syncs")
    look = sa.text(f"EXPLAIN (ANALYZE, FORMAT JSON) {load_statements('queue/claims')['any_edited'].text}")
    with engine.connect() as connection:
        plan = connection.execute(look, {"crm": "brevo", "most": 100}).scalar_one()[0]["Plan"]
    looked_at = [node["Actual Rows"] for node in nodes(plan) if node.get("Relation Name") == "crm_contacts"]
    assert looked_at == [100]


def test_a_run_may_take_its_time_to_find_edits_that_their_trigger_missed(people: People, engine: sa.Engine) -> None:
    fill(people, 1, "now()", 1)
    people.run("UPDATE crm_contacts SET name = 'Ada'")
    people.run("UPDATE crm_syncs SET contact_revision = 1")
    people.run(
        "CREATE OR REPLACE FUNCTION crm_requeue_edited(p_contact_id uuid, p_revision bigint) RETURNS void "
        "LANGUAGE sql AS 'SELECT pg_sleep(0.5)'"
    )
    url = engine.url.update_query_dict({"options": "-cstatement_timeout=200"})
    hasty = connecting.create_engine(url.render_as_string(hide_password=False))
    try:
        assert Queue(hasty, "brevo").requeue_edited("run-1") == 1
    finally:
        hasty.dispose()


def test_a_run_that_looks_for_missed_edits_for_long_is_known_to_live(people: People, engine: sa.Engine) -> None:
    fill(people, 1, "now()", 1)
    people.run("UPDATE crm_contacts SET name = 'Ada'")
    people.run("UPDATE crm_syncs SET contact_revision = 1")
    people.run(
        "CREATE OR REPLACE FUNCTION crm_requeue_edited(p_contact_id uuid, p_revision bigint) RETURNS void "
        "LANGUAGE sql AS 'SELECT pg_advisory_xact_lock(1)'"
    )
    queue = Queue(engine, "brevo")
    with engine.begin() as connection, ThreadPoolExecutor(1) as pool:
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(1)"))
        look = pool.submit(queue.requeue_edited, "run-1")
        try:
            wait_until(lambda: queue.is_delivering("run-1"), "the run was taken for dead while it looked")
            assert not queue.is_delivering("run-2")
        finally:
            connection.rollback()
        assert look.result(PATIENCE) == 1
    assert not queue.is_delivering("run-1")
