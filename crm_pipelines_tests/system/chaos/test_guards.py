"""Guards of the protocol that no other test covers: poison, clocks, plans, cost, sums, signals in a row."""

import signal
import time
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from crm_pipelines.database import connecting, migrating
from crm_pipelines.database.sql import load_statements
from crm_pipelines.local.embedded import embedded_postgres
from crm_pipelines.queue.claims import MAX_CRASHES, Queue
from crm_pipelines_tests.checker import assert_invariants
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.postgres import FAST, temporary_folder
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.system.chaos.conftest import StartWorker, until_quiet
from crm_pipelines_tests.system.chaos.proxy import proxy_to

LEASE = timedelta(minutes=25)
_PLANS = [
    "enable_hashjoin=off,enable_mergejoin=off,enable_material=off",
    "enable_nestloop=off,enable_mergejoin=off",
    "enable_nestloop=off,enable_hashjoin=off",
    "enable_indexscan=off,enable_bitmapscan=off,enable_indexonlyscan=off",
    "enable_seqscan=off,enable_sort=off",
]


def test_a_poison_contact_takes_no_neighbour_with_it(
    account: BrevoSandbox, start_worker: StartWorker, people: People, pipeline: Pipeline, engine: sa.Engine
) -> None:
    ids = people.add(50)
    poison = ids[20]
    people.run("UPDATE crm_contacts SET name = 'Poison' WHERE id = :id", id=poison)
    workers = 0
    while people.states().keys() & {"queued", "claimed"}:
        workers += 1
        assert workers <= MAX_CRASHES + 1
        start_worker({"CRM_PIPELINES_TEST_POISON": str(poison)}).wait()
        people.expire_leases()
    assert people.states() == {"synced": 49, "failed": 1}
    row = people.sync(poison)
    assert (row["state"], row["last_error_kind"], row["crashes"]) == ("failed", "crash", MAX_CRASHES)
    assert_invariants(engine, account, culprits=[poison], most_sends=2)


def test_stop_signals_in_a_row_lose_no_answer(
    account: BrevoSandbox,
    crew: list[Any],
    start_worker: StartWorker,
    people: People,
    pipeline: Pipeline,
    engine: sa.Engine,
) -> None:
    worker = start_worker(fault="after_send:delay:1")
    account.wait_for_requests(12, finished=True)
    for _ in range(5):
        worker.send(signal.SIGTERM)
        time.sleep(0.1)  # apart, as from an impatient user; nothing is waited for
    worker.wait()
    assert people.all("SELECT count(*) AS n FROM crm_attempts WHERE outcome = 'synced'") == [{"n": 12}]
    until_quiet(people, pipeline, account)
    assert people.states() == {"synced": 12}
    assert_invariants(engine, account, most_sends=1)


STARTS = 5


def test_runs_that_are_started_and_stopped_again_and_again_leave_no_claim_and_send_nothing_twice(
    account: BrevoSandbox, start_worker: StartWorker, people: People, pipeline: Pipeline, engine: sa.Engine
) -> None:
    ids = people.add(30 * STARTS)
    for number in range(STARTS):
        sent = len(account.requests())
        account.fault("hold")
        worker = start_worker({"BREVO_RATE_LIMIT_PER_SECOND": "5"})
        account.wait_for_requests(sent + 1 + number % 4)
        worker.send(signal.SIGTERM)
        worker.send(signal.SIGTERM)
        account.clear_faults()
        account.release()
        worker.wait()
        assert len(account.requests()) < sent + 30, worker.log.read_text()
        assert "claimed" not in people.states()
        people.run("UPDATE crm_contacts SET name = 'Edited' WHERE id = :id", id=ids[-1 - number])
    assert people.all("SELECT sum(attempts + crashes) AS n FROM crm_syncs") == [{"n": 0}]
    until_quiet(people, pipeline, account)
    assert people.states() == {"synced": len(ids)}
    assert_invariants(engine, account, most_sends=2)


@pytest.mark.parametrize("days", [-1, 1])
def test_a_worker_whose_clock_is_a_day_off_delivers_as_any_other(
    days: int, account: BrevoSandbox, crew: list[Any], start_worker: StartWorker, people: People, engine: sa.Engine
) -> None:
    account.fault("status", status=503, times=1)
    worker = start_worker({"CRM_PIPELINES_TEST_DAYS": str(days), "TZ": "Pacific/Kiritimati"})
    assert worker.wait() == 0
    assert people.states() == {"synced": 11, "queued": 1}
    [due] = people.all("SELECT extract(epoch FROM run_at - now())::float8 AS s FROM crm_syncs WHERE state = 'queued'")
    assert 290 < due["s"] <= 330
    people.make_due()
    assert start_worker({"CRM_PIPELINES_TEST_DAYS": str(-days), "TZ": "America/Adak"}).wait() == 0
    assert_invariants(engine, account, most_sends=1)


def test_an_update_that_failed_is_sent_again(
    account: BrevoSandbox, people: People, pipeline: Pipeline, engine: sa.Engine
) -> None:
    [contact_id] = people.add(name="Before")
    pipeline.run()
    people.run("UPDATE crm_contacts SET name = 'After' WHERE id = :id", id=contact_id)
    account.fault("status", status=503, times=1)
    assert pipeline.run().counts == {"claimed": 1, "retrying": 1}
    people.make_due()
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert_invariants(engine, account)


def test_a_run_fails_when_the_fate_of_a_contact_is_unknown(
    account: BrevoSandbox, crew: list[Any], people: People, pipeline: Pipeline
) -> None:
    people.run("CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    people.run(
        "CREATE TRIGGER swallow BEFORE INSERT ON crm_attempts FOR EACH ROW "
        f"WHEN (NEW.contact_id = '{crew[3]}') EXECUTE FUNCTION swallow()"
    )
    run = pipeline.run()
    assert not run.success
    assert "What became of 1 of 12 contacts is unknown" in (run.problem or "")
    assert people.states() == {"synced": 11, "claimed": 1}


@pytest.mark.parametrize("plan", _PLANS)
def test_a_claim_never_takes_more_than_its_limit_under_any_plan(plan: str, people: People, database_url: str) -> None:
    people.add(60)
    options = "%20".join(f"-c%20{setting.replace('=', '%3D')}" for setting in plan.split(","))
    engine = sa.create_engine(f"{database_url}?options={options}")
    queue = Queue(engine, "brevo")
    try:
        claims = queue.claim("run", limit=7, lease=LEASE)
        assert len(claims) == 7
        queue.renew(claims[:3], lease=LEASE)
        people.expire_leases()
        assert queue.rescue().returned == 7
        assert len(queue.claim_suspects("run", limit=2, lease=LEASE)) == 2
    finally:
        engine.dispose()
    assert people.states() == {"claimed": 2, "queued": 58}


def test_a_claim_touches_few_pages_whatever_the_backlog_and_what_was_in_it(people: People, database_url: str) -> None:
    people.run(
        "INSERT INTO crm_contacts (email) SELECT 'backlog' || n || '@example.com' FROM generate_series(1, 120000) n"
    )
    people.run(
        "INSERT INTO crm_syncs (contact_id, crm, run_at) "
        "SELECT id, 'brevo', now() + (CASE WHEN random() < 0.5 THEN -1 ELSE 1 END) * random() * interval '1 day' "
        "FROM crm_contacts"
    )
    # Dead entries at the head of the index, as after a burst of deliveries that no vacuum has seen.
    people.run("ALTER TABLE crm_syncs SET (autovacuum_enabled = off)")
    people.run(
        "UPDATE crm_syncs SET state = 'synced', synced_revision = revision WHERE contact_id IN "
        "(SELECT contact_id FROM crm_syncs WHERE state = 'queued' ORDER BY run_at LIMIT 20000)"
    )
    people.run("ANALYZE crm_syncs")
    engine = connecting.create_engine(database_url)
    try:
        # The first claim after the burst passes the dead entries once and marks them; from then on they cost nothing.
        Queue(engine, "brevo").claim("run", limit=100, lease=LEASE)
        assert _pages_of_a_claim(engine) < 3000
    finally:
        engine.dispose()


def _pages_of_a_claim(engine: sa.Engine) -> int:
    explain = sa.text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {load_statements('queue/claims')['claim'].text}")
    parameters = {"crm": "brevo", "run_id": "run", "limit": 100, "lease": LEASE}
    with engine.begin() as connection:
        plan = connection.execute(explain, parameters).scalar_one()[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def test_one_crm_whose_backlog_is_huge_or_whose_gate_is_closed_delays_no_other(
    people: People, engine: sa.Engine
) -> None:
    people.add(500)
    [contact_id] = People(engine, "hubspot").add(1, email="other@example.com")
    people.run("UPDATE crm_gates SET paused_until = now() + interval '1 h', pause_kind = 'outage' WHERE crm = 'brevo'")
    [claim] = Queue(engine, "hubspot").claim("run", limit=10, lease=LEASE)
    assert claim.contact_id == contact_id
    assert Queue(engine, "brevo").claim("run", limit=10, lease=LEASE) == []


def test_a_worker_whose_connections_lead_nowhere_holds_up_nobody(
    account: BrevoSandbox,
    crew: list[Any],
    start_worker: StartWorker,
    people: People,
    pipeline: Pipeline,
    engine: sa.Engine,
    database_url: str,
) -> None:
    url = sa.make_url(database_url)
    account.fault("hold_after")
    with proxy_to(url.host or "", url.port or 0) as proxy:
        through_proxy = url.set(port=proxy.port).render_as_string(hide_password=False)
        worker = start_worker({"CRM_DATABASE_URL": through_proxy})
        account.wait_for_requests(12)
        proxy.swallow()
        account.clear_faults()
        account.release()
        until_quiet(people, pipeline, account)
        assert people.states() == {"synced": 12}
        assert worker.alive
        worker.close()
    assert_invariants(engine, account, most_sends=2)


def test_a_restart_of_postgres_while_answers_are_awaited_costs_no_second_request(
    account: BrevoSandbox, start_worker: StartWorker, request: pytest.FixtureRequest
) -> None:
    with temporary_folder() as folder:
        data = folder / "postgres"
        with embedded_postgres(data, settings=FAST) as server:
            server.create_database("contacts")
            url = server.url("contacts")
            migrating.upgrade(url)
            engine = connecting.create_engine(url)
            request.addfinalizer(engine.dispose)
            people = People(engine)
            people.add(12)
            account.fault("hold_after", method="POST")
            worker = start_worker({"CRM_DATABASE_URL": url})
            account.wait_for_requests(12, method="POST")
        account.clear_faults()
        account.release()
        account.wait_for_requests(12, method="POST", finished=True)
        with embedded_postgres(data, settings=FAST) as server:
            assert server.url("contacts") == url
            assert worker.wait() == 0
            assert people.states() == {"synced": 12}
            assert_invariants(engine, account, most_sends=1)
