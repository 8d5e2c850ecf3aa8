"""The migration that gives destinations names of their own, beside a former version's run."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from crm_pipelines.contacts.story import story
from crm_pipelines.database import connecting, migrating
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.destinations.registered import register
from crm_pipelines.queue.claims import Queue
from crm_pipelines.statistics.status import crm_statuses
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.integration.contacts.states import STATES, add_contact, put
from crm_pipelines_tests.integration.database.test_database import upgrade_to
from crm_pipelines_tests.patience import PATIENCE

CRMS = ("brevo", "hubspot", "mautic", "n8n")
NAMED_FOUR = {"crm_syncs", "crm_gates", "crm_walks", "crm_attributes", "crm_suppressions", "crm_put_first"}
# How the former version closes and opens a gate, suppresses, puts first, and notes what it looked at.
FORMER_STATEMENTS = (
    (
        "UPDATE crm_gates SET paused_until = 'infinity', pause_kind = 'credentials', pause_reason = 'Key not found', "
        "refused_fingerprint = 'f' WHERE crm = 'mautic'"
    ),
    (
        "UPDATE crm_gates SET paused_until = NULL, pause_kind = NULL, pause_reason = NULL, refused_fingerprint = NULL "
        "WHERE crm = 'mautic'"
    ),
    "SELECT crm_suppress('n8n', ARRAY(SELECT id FROM crm_contacts WHERE email = 'run@example.com'))",
    "SELECT crm_unsuppress('n8n', ARRAY(SELECT id FROM crm_contacts WHERE email = 'run@example.com'))",
    "INSERT INTO crm_put_first (contact_id, crm) VALUES (gen_random_uuid(), 'hubspot')",
    "INSERT INTO crm_walks (crm) VALUES ('brevo')",
    "INSERT INTO crm_attributes (crm) VALUES ('brevo') ON CONFLICT (crm) DO UPDATE SET looked_at = now()",
    (
        "UPDATE contacts SET brevo_sync_status = 'Selected', brevo_processing_status = 'Queued' "
        "WHERE email = 'run@example.com'"
    ),
    "SELECT crm_select('hubspot', ARRAY(SELECT id FROM crm_contacts WHERE email = 'run@example.com'))",
)


@pytest.fixture
def former(empty_database_url: str) -> Iterator[People]:
    """A database of before, with contacts in every state at every CRM."""
    upgrade_to(empty_database_url, "0019")
    people = People(connecting.create_engine(empty_database_url))
    states = [None, *STATES]
    with people.engine.begin() as connection:
        for number in range(400):
            contact = add_contact(connection, f"p{number}@example.com")
            for place, crm in enumerate(CRMS):
                state = states[(number * (place + 1) + number // 9 + place) % len(states)]
                put(connection, contact, state, crm=crm)
        add_contact(connection, "run@example.com")
    yield people
    people.engine.dispose()


def rows_of(people: People) -> list[dict[str, Any]]:
    return people.all(
        "SELECT c.email, s.* FROM crm_syncs s JOIN crm_contacts c ON c.id = s.contact_id "
        "WHERE c.email LIKE 'p%' ORDER BY c.email, s.crm"
    )


def test_nothing_is_lost_while_a_former_version_goes_on_writing(former: People) -> None:
    before = rows_of(former)
    assert {(row["crm"], row["state"]) for row in before} >= {
        (crm, state["state"]) for crm in CRMS for state in STATES.values()
    }
    over = threading.Event()
    contact = former.all("SELECT id FROM crm_contacts WHERE email = 'run@example.com'")[0]["id"]
    url = former.engine.url.render_as_string(hide_password=False)

    def run_on() -> None:
        queue = Queue(former.engine, "brevo")
        while True:
            last = over.is_set()
            for statement in FORMER_STATEMENTS:
                former.run(statement)
            queue.claim("former", limit=3, lease=timedelta(minutes=1), contact_ids=[contact])
            queue.release("former")
            if last:
                return

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_on)
        try:
            assert "0021" in migrating.upgrade(url)
        finally:
            over.set()
        running.result(PATIENCE)
    migrating.require_current_schema(former.engine)
    assert [{name: row[name] for name in before[0]} for row in rows_of(former)] == before
    valid = former.all(
        "SELECT conrelid::regclass::text AS name FROM pg_constraint WHERE conname LIKE '%_crm_check' AND convalidated"
    )
    assert {row["name"] for row in valid} == NAMED_FOUR


def test_who_was_selected_where_nobody_delivers_is_still_there_and_told(former: People) -> None:
    counts = {one["crm"]: one["n"] for one in former.all("SELECT crm, count(*) AS n FROM crm_syncs GROUP BY 1")}
    migrating.upgrade(former.engine.url.render_as_string(hide_password=False))
    register(former.engine, "brevo", "brevo")
    told = {one.crm: sum(one.counts.values()) - one.counts["New"] for one in crm_statuses(former.engine)}
    assert {crm: told[crm] + unselected(former, crm) for crm in CRMS} == counts
    [waiting, *_] = former.all(
        "SELECT email FROM contacts WHERE hubspot_sync_status = 'Selected' ORDER BY email LIMIT 1"
    )
    said = {one.crm: one.next for one in story(former.engine, waiting["email"]).crms}
    assert said["hubspot"].startswith("Waits: no crm-pipelines with hubspot set up has ever run.")


def unselected(people: People, crm: str) -> int:
    return int(
        people.all("SELECT count(*) AS n FROM crm_syncs WHERE crm = :crm AND state = 'unselected'", crm=crm)[0]["n"]
    )


def test_a_gate_that_a_former_version_has_closed_is_told_in_general_words(former: People) -> None:
    migrating.upgrade(former.engine.url.render_as_string(hide_password=False))
    former.run(FORMER_STATEMENTS[0])
    with former.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT refused_kind FROM crm_gates WHERE crm = 'mautic'")) is None
    assert GateKeeper(former.engine, "mautic").read().refuses
