"""The figures of a CRM add up and tell what holds contacts up."""

import json

import sqlalchemy as sa

from crm_pipelines.contacts.story import story_of
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.destinations.registered import register
from crm_pipelines.statistics.status import ErrorGroup, crm_status, crm_statuses
from crm_pipelines_tests.integration.contacts.messages import tell
from crm_pipelines_tests.integration.contacts.states import STATES, add_contact, put
from crm_pipelines_tests.patience import LONGEST_TEST


def test_every_contact_is_counted_once_under_its_status(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        add_contact(connection, "new@example.com")
        for state in STATES:
            put(connection, add_contact(connection, f"{state}@example.com"), state)
    assert crm_status(engine, "brevo").counts == {
        "New": 2,
        "Selected": 1,
        "Queued": 1,
        "Processing": 1,
        "Complete": 1,
        "Error": 2,
        "Skipped": 2,
    }
    assert crm_status(engine, "hubspot").counts["New"] == 10


def test_an_empty_database_has_zeros(engine: sa.Engine) -> None:
    status = crm_status(engine, "brevo")
    assert set(status.counts.values()) == {0}
    assert (status.due, status.oldest_due, status.next_due, status.errors) == (0, None, None, ())


def test_errors_are_grouped_by_kind_with_the_latest_text(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        for minutes, text in [(5, "HTTP 500"), (1, "HTTP 503")]:
            contact = add_contact(connection, f"{minutes}@example.com")
            put(
                connection,
                contact,
                "failed",
                last_error=text,
                last_attempt_at=sa.text(f"now() - interval '{minutes} min'"),
            )
        put(connection, add_contact(connection, "w@example.com"), "waiting")
    assert crm_status(engine, "brevo").errors == (
        ErrorGroup(status="Error", kind="outage", contacts=2, sample="HTTP 503"),
        ErrorGroup(status="Queued", kind="outage", contacts=1, sample="HTTP 503"),
    )


def test_the_oldest_due_contact_and_the_next_one_are_told(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        put(connection, add_contact(connection, "a@example.com"), "queued", run_at=sa.text("now() - interval '1 hour'"))
        put(
            connection, add_contact(connection, "b@example.com"), "waiting", run_at=sa.text("now() + interval '1 hour'")
        )
    status = crm_status(engine, "brevo")
    assert status.due == 1
    assert status.oldest_due_seconds is not None
    assert 3600 <= status.oldest_due_seconds < 3600 + LONGEST_TEST
    assert status.next_due is not None


def test_a_gate_closed_without_end_is_told_and_fits_into_json(engine: sa.Engine) -> None:
    GateKeeper(engine, "brevo").close("The key was refused.", "fingerprint")
    told = json.loads(json.dumps(crm_status(engine, "brevo").as_dict()))["gate"]
    assert told == {
        "paused": True,
        "paused_until": None,
        "kind": "credentials",
        "reason": "The key was refused.",
    }


def test_what_a_workflow_was_asked_and_never_told_is_counted_after_an_hour(engine: sa.Engine) -> None:
    register(engine, "n8n_eu", "n8n")
    with engine.begin() as connection:
        contacts = [add_contact(connection, f"{minutes}@example.com") for minutes in (200, 100, 30)]
        for contact, minutes in zip(contacts, (200, 100, 30), strict=True):
            for crm in ("n8n", "n8n_eu", "brevo"):
                ago = sa.text(f"now() - interval '{minutes} min'")
                put(connection, contact, "synced", crm=crm, synced_at=ago)
    assert crm_status(engine, "brevo").unanswered is None
    assert crm_status(engine, "n8n").unanswered is None, "it may be there for something else"
    tell(engine, contacts[0])
    assert crm_status(engine, "n8n_eu").unanswered is None
    after = crm_status(engine, "n8n").unanswered
    assert after is not None
    assert after.contacts == 1
    assert crm_statuses(engine, ["n8n"], count_unanswered=False)[0].unanswered is None
    assert after.oldest == story_of(engine, contacts[1]).awaited[0].asked_at
    assert json.loads(json.dumps(crm_status(engine, "n8n").as_dict()))["unanswered"]["contacts"] == 1


def test_an_answer_that_came_while_the_delivery_was_under_way_counts(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        asked, contact = (add_contact(connection, f"{name}@example.com") for name in ("asked", "answered"))
        for one in (asked, contact):
            put(connection, one, "synced", crm="n8n", claim_no=1, synced_at=sa.text("now() - interval '3 hours'"))
            connection.execute(
                sa.text(
                    "INSERT INTO crm_attempts (contact_id, crm, claim_no, run_id, revision, outcome, started_at, "
                    "finished_at) VALUES (:contact, 'n8n', 1, 'run', 1, 'synced', "
                    "now() - interval '3 hours 20 seconds', now() - interval '3 hours')"
                ),
                {"contact": one},
            )
    tell(engine, contact)
    with engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE crm_enrichments SET received_at = now() - interval '3 hours 10 seconds'"),
        )
    found = crm_status(engine, "n8n").unanswered
    assert found is not None
    assert found.contacts == 1
    assert found.oldest == story_of(engine, asked).awaited[0].asked_at
