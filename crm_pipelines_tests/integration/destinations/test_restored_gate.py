"""A database that was restored or copied sends nothing until a person says so, whoever restored it and how."""

import secrets
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from crm_pipelines.database import connecting
from crm_pipelines.delivery import fence
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.local.embedded import EmbeddedPostgres
from crm_pipelines.local.postgres_programs import connection_of, find_program
from crm_pipelines.queue.claims import Queue
from crm_pipelines_tests.fixtures.people import People

LEASE = timedelta(minutes=25)


@pytest.fixture
def gate(engine: sa.Engine) -> GateKeeper:
    return GateKeeper(engine, "brevo")


@pytest.fixture
def copied(postgres_server: EmbeddedPostgres, engine: sa.Engine, database_url: str) -> Iterator[Callable[[], People]]:
    """Copies the database of this test within its server, as for a test system; once."""
    name = sql.Identifier(f"copy_{secrets.token_hex(6)}")
    made: list[sa.Engine] = []

    def copy() -> People:
        engine.dispose()
        with postgres_server.connect() as server:
            template = sql.Identifier(sa.make_url(database_url).database or "")
            server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, template))
        made.append(connecting.create_engine(postgres_server.url(name._obj[0])))
        return People(made[0])

    yield copy
    for one in made:
        one.dispose()
    with postgres_server.connect() as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


def test_in_a_copy_no_slot_is_given_though_nobody_has_looked_at_the_gate(copied: Callable[[], People]) -> None:
    gate = GateKeeper(copied().engine, "brevo")
    assert gate.reserve(1, 10.0) is None
    state = gate.read()
    assert (state.paused, state.pause_kind, state.paused_until) == (True, "restored", None)
    assert "restored or copied" in (state.pause_reason or "")
    assert gate.reserve(1, 10.0) is None


def test_in_a_copy_claims_and_imports_are_over_and_what_was_sent_is_not_known(
    copied: Callable[[], People], people: People, queue: Queue
) -> None:
    claimed, synced, waiting = people.add(3)
    [claim] = queue.claim("run-1", limit=1, lease=LEASE)
    assert claim.contact_id == claimed
    people.run(
        "UPDATE crm_syncs SET state = 'synced', synced_revision = revision, payload_hash = 'x', lists = '{7}' "
        "WHERE contact_id = :id",
        id=synced,
    )
    people.run("INSERT INTO crm_bulk_imports (crm, mapping_version) VALUES ('brevo', '1')")
    people.run("INSERT INTO crm_walks (crm) VALUES ('brevo')")
    copy = copied()
    GateKeeper(copy.engine, "brevo").read()
    of_copy = Queue(copy.engine, "brevo")
    assert copy.states() == {"queued": 2, "synced": 1}
    assert not of_copy.renew([claim], lease=LEASE), "a worker of before has lost it"
    assert copy.sync(synced)["payload_hash"] is None
    assert copy.sync(synced)["bulk_ok"], "whom the scan does not see on the list goes singly by itself"
    assert not copy.sync(waiting)["bulk_ok"], "who may have been put on the list since goes singly"
    assert copy.all("SELECT state, ended_as FROM crm_bulk_imports") == [{"state": "ended", "ended_as": "lost"}]
    assert copy.all("SELECT 1 FROM crm_walks") == []
    assert of_copy.claim("run-2", limit=9, lease=LEASE) == []


def test_no_claim_after_a_restore_has_the_number_of_one_that_a_worker_of_before_may_hold(
    people: People, queue: Queue, gate: GateKeeper
) -> None:
    people.add()
    [known] = queue.claim("run-1", limit=1, lease=LEASE)
    gate.restored()
    gate.open_by_hand()
    [claim] = queue.claim("run-2", limit=1, lease=LEASE)
    deliveries_since = 100 * (1 + fence._LEAPS)
    assert claim.claim_no > known.claim_no + deliveries_since, "of claims that the restored state has never seen"


def test_a_restore_with_postgres_own_programs_is_noticed(
    database_url: str, engine: sa.Engine, people: People, tmp_path: Path, postgres_server: EmbeddedPostgres
) -> None:
    people.add()
    with postgres_server.connect() as server:
        major = server.info.server_version // 10_000
    shown, environment = connection_of(database_url)

    def program(name: str, *arguments: Any) -> None:
        path = find_program(name, at_least=major, chosen=None).path
        subprocess.run([path, "--dbname", shown, *arguments], env=environment, check=True)

    program("pg_dump", "--format=custom", "--file", tmp_path / "contacts.dump")
    assert not GateKeeper(engine, "brevo").read().paused
    engine.dispose()
    program("pg_restore", "--clean", "--if-exists", tmp_path / "contacts.dump")
    assert GateKeeper(engine, "brevo").read().pause_kind == "restored"
    assert Queue(engine, "brevo").claim("run-1", limit=9, lease=LEASE) == []


def test_an_opened_gate_is_not_closed_again_and_what_moves_no_row_closes_none(
    copied: Callable[[], People], postgres_server: EmbeddedPostgres, database_url: str, engine: sa.Engine
) -> None:
    copy = copied()
    gate = GateKeeper(copy.engine, "brevo")
    assert gate.open_by_hand().pause_kind == "restored"
    assert not gate.read().paused
    assert gate.reserve(1, 10.0) is not None
    copy.engine.dispose()
    name, other = sa.make_url(database_url).database or "", f"renamed_{secrets.token_hex(6)}"
    renaming = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    with postgres_server.connect() as server:
        server.execute(renaming.format(sql.Identifier(name), sql.Identifier(other)))
    with psycopg.connect(postgres_server.url(other).replace("+psycopg", ""), autocommit=True) as renamed:
        renamed.execute("VACUUM FULL crm_gates")
        assert renamed.execute("SELECT bool_and(home = crm_home(tableoid)) FROM crm_gates").fetchone() == (True,)
    with postgres_server.connect() as server:
        server.execute(renaming.format(sql.Identifier(other), sql.Identifier(name)))
    assert not GateKeeper(engine, "brevo").read().paused


@pytest.mark.parametrize("kind", ["manual", "restored"])
def test_nothing_but_a_person_opens_a_gate_that_a_person_or_a_restore_closed(
    people: People, gate: GateKeeper, kind: str
) -> None:
    gate.bind_account("ours", "key-1")
    if kind == "manual":
        gate.close_by_hand("Until the import is checked")
    else:
        gate.restored()
    gate.open()
    gate.close("Key not found", "key-1")
    gate.pause("rate_limit", "slow down", timedelta(seconds=1))
    assert gate.read().pause_kind == kind
    gate.open()
    gate.bind_account("other", "key-2")
    state = gate.read()
    assert (state.paused, state.pause_kind, state.paused_until) == (True, kind, None)
    assert gate.reserve(1, 10.0) is None
    gate.open_by_hand()
    assert not gate.read().paused


def test_closing_by_hand_does_not_hide_a_restore(gate: GateKeeper) -> None:
    gate.restored()
    gate.close_by_hand("for another reason")
    assert gate.read().pause_kind == "restored"


def test_a_gate_that_opens_by_itself_is_not_opened_by_hand(gate: GateKeeper) -> None:
    gate.close("Key not found", "key-1")
    assert gate.open_by_hand().pause_kind == "credentials"
    assert gate.read().closed_for_credentials


def test_a_gate_without_a_home_gets_one_and_stays_open(people: People, gate: GateKeeper) -> None:
    people.run("UPDATE crm_gates SET home = NULL")
    assert gate.reserve(1, 10.0) is None
    assert not gate.read().paused
    assert gate.reserve(1, 10.0) is not None
