"""Contacts that have long been delivered to several destinations, and what is done to them from then on."""

import random
import time
from collections.abc import Sequence
from uuid import UUID

import psycopg
import sqlalchemy as sa

from benchmarks.setting import Stage
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.queue.ledger import Ledger

SELECTED_AT_A_TIME = 1000

# Without fields of their own: a run would wait for attributes that the account lacks.
_CONTACTS = """
    INSERT INTO crm_contacts (email, name, first_name, last_name, phone_number, custom_fields)
    SELECT 'person' || n || '@example.com', 'Person Number' || n, 'Person', 'Number' || n, '+1202' || (5550000 + n),
           '{}' FROM generate_series(1, %s) n"""
_DESTINATION = "INSERT INTO crm_destinations (name, kind) VALUES (%s, 'brevo') ON CONFLICT DO NOTHING"
_GATE = "INSERT INTO crm_gates (crm) VALUES (%s) ON CONFLICT DO NOTHING"
# Every fourth contact is delivered to none, to one, to three, to all of them.
SHARES = (0, 1, 3, 10)
_DELIVERED = """
    INSERT INTO crm_syncs (contact_id, crm, state, contact_revision, synced_revision, claim_no, payload_hash, sent_key,
                           sent_attributes, mapping_version, remote_key, remote_id, synced_at, last_attempt_at)
    SELECT id, %s, 'synced', 1, 1, 1, sha256(id::text::bytea), address,
           '{FIRSTNAME,LASTNAME,SMS,COMPANY,CITY}', '0123456789abcdef', address, right(id::text, 8), now(), now()
      FROM crm_contacts WHERE substr(email, 7, strpos(email, '@') - 7)::int %% 4 >= %s"""
_ATTEMPTS = """
    INSERT INTO crm_attempts (contact_id, crm, claim_no, run_id, revision, outcome, request_id, requests, answered,
                              remote_key, payload_hash, sent_attributes, mapping_version,
                              started_at, finished_at, applied_at)
    SELECT s.contact_id, s.crm, 1000 + n, gen_random_uuid()::text, 1, 'synced', gen_random_uuid()::text, 1, true,
           s.remote_key, s.payload_hash, s.sent_attributes, s.mapping_version, t.at, t.at, t.at
      FROM crm_syncs s, generate_series(1, %s) n,
           LATERAL (SELECT now() - make_interval(days => 200) + n * interval '1 s') t(at)
     WHERE s.crm = %s"""
_IDS = """
    SELECT id FROM crm_contacts WHERE (SELECT count(*) FROM crm_syncs WHERE contact_id = id) = %s ORDER BY id"""
_EDIT = "UPDATE crm_contacts SET name = %s, phone_number = %s WHERE id = %s"
_SELECT = "SELECT count(*) FROM crm_select(%s, %s)"


def fill(there: Stage, contacts: int) -> None:
    """Exactly so many contacts, a fourth of them delivered to each number of destinations in SHARES."""
    with _connect(there) as connection:
        connection.execute("SET statement_timeout = 0")
        connection.execute("TRUNCATE crm_contacts CASCADE")
        connection.execute(_CONTACTS, [contacts])
        for number in range(1, max(SHARES) + 1):
            name = destination(number)
            connection.execute(_DESTINATION, [name])
            connection.execute(_GATE, [name])
            connection.execute(_DELIVERED, [name, next(at for at, share in enumerate(SHARES) if share >= number)])
        connection.execute("VACUUM (ANALYZE) crm_contacts, crm_syncs, crm_attempts")


def destination(number: int) -> str:
    """The first is the one that a run on this stage delivers to."""
    return "brevo" if number == 1 else f"brevo_{number}"


def ids(there: Stage, share: int) -> list[UUID]:
    """Those delivered to so many destinations, in an order that has nothing to do with where they are stored."""
    with _connect(there) as connection:
        rows = connection.execute(_IDS, [share]).fetchall()
    return [row[0] for row in rows]


def edit(there: Stage, contacts: Sequence[UUID]) -> None:
    """Each in a transaction of its own, as an application would."""
    with _connect(there) as connection:
        for one in contacts:
            edit_one(connection, one)


def edit_one(connection: psycopg.Connection, contact: UUID) -> None:
    mark = random.randrange(10**6)  # noqa: S311
    connection.execute(_EDIT, [f"Person Renamed{mark}", f"+1202{5550000 + mark}", contact])


def select(there: Stage, crm: str, contacts: Sequence[UUID]) -> None:
    """In parts of a thousand."""
    with _connect(there) as connection:
        for start in range(0, len(contacts), SELECTED_AT_A_TIME):
            connection.execute(_SELECT, [crm, list(contacts[start : start + SELECTED_AT_A_TIME])])


def reserve(url: str, crm: str, until: float) -> int:
    """How many times slots were reserved until then, as fast as one process can, by its own clock (time.time)."""
    engine = sa.create_engine(url)
    try:
        gate, count = GateKeeper(engine, crm), 0
        gate.read()
        while time.time() < until:
            assert gate.reserve(1, 1_000_000.0) is not None
            count += 1
        return count
    finally:
        engine.dispose()


def attempt_often(there: Stage, crm: str, times: int) -> None:
    """So many entries in the ledger for each contact of a destination, all of them old."""
    with _connect(there) as connection:
        connection.execute("SET statement_timeout = 0")
        connection.execute(_ATTEMPTS, [times, crm])
        connection.execute("VACUUM (ANALYZE) crm_attempts")


def prune(there: Stage, crm: str) -> int:
    engine = sa.create_engine(there.url)
    try:
        return Ledger(engine, crm).prune(90)
    finally:
        engine.dispose()


def _connect(there: Stage) -> psycopg.Connection:
    return psycopg.connect(there.url.replace("+psycopg", ""), autocommit=True)
