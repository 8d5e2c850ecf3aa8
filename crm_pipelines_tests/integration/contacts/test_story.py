"""What is told about a contact is true, and says what happens next and what would change that."""

import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from crm_pipelines.contacts.story import ContactUnknown, story, story_of
from crm_pipelines.database.sql import load_statements
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines_tests.integration.contacts.states import add_contact, put

LATER = sa.text("now() + interval '10 min'")
EARLIER = sa.text("now() - interval '10 min'")


def next_for(engine: sa.Engine, state: str | None, **columns: Any) -> str:
    with engine.begin() as connection:
        put(connection, add_contact(connection), state, **columns)
    told = story(engine, " ADA@example.com")
    return told.crms[0].next


@pytest.mark.parametrize(
    ("state", "columns", "said"),
    [
        (None, {}, "Not selected."),
        ("unselected", {}, "Not selected."),
        ("queued", {"run_at": EARLIER}, "the next run takes it."),
        ("queued", {"run_at": LATER}, "Postponed, without using up a try; due at 20"),
        ("waiting", {"run_at": LATER}, "The next try is due at 20"),
        ("waiting", {"crashes": 1}, "It is sent alone, since a worker died"),
        ("claimed", {}, "run run-1 has it until 20"),
        ("claimed", {"lease_until": EARLIER}, "Run run-1 had it until 20"),
        ("synced", {"synced_at": EARLIER}, "Delivered at 20"),
        ("rejected", {}, "Failed, and not tried again by itself."),
        ("skipped", {}, "Cannot be sent as it stands."),
        ("suppressed", {}, "Never sent, by a person's decision."),
    ],
)
def test_what_happens_next_is_told_for_each_state(
    engine: sa.Engine, state: str | None, columns: dict[str, Any], said: str
) -> None:
    assert said in next_for(engine, state, **columns)


def test_a_pause_is_told_to_those_who_are_due(engine: sa.Engine) -> None:
    GateKeeper(engine, "brevo").pause("rate_limit", "Brevo asked to wait.", timedelta(minutes=5))
    assert "but waits. Nothing is sent until 20" in next_for(engine, "queued")


def test_a_gate_closed_for_the_key_names_the_way_to_open_it(engine: sa.Engine) -> None:
    GateKeeper(engine, "brevo").close("The key was refused.", "fingerprint")
    assert next_for(engine, "queued").endswith("The key was refused. See `crm-pipelines check brevo`.")


def test_the_last_attempts_are_told_and_all_fits_into_json(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        contact = add_contact(connection)
        put(connection, contact, "rejected")
        for claim_no, outcome in [(1, "retry"), (2, "rejected")]:
            connection.execute(
                sa.text(
                    "INSERT INTO crm_attempts (contact_id, crm, claim_no, run_id, revision, outcome, http_status, "
                    "started_at) VALUES (:id, 'brevo', :claim_no, 'run-1', 1, :outcome, 400, now())"
                ),
                {"id": contact, "claim_no": claim_no, "outcome": outcome},
            )
    told = json.loads(json.dumps(story(engine, "ada@example.com").as_dict()))
    assert told["id"] == str(contact)
    assert told == json.loads(json.dumps(story_of(engine, contact).as_dict()))
    assert told["crms"][0]["condition"] == "parked"
    assert told["crms"][0]["answer"] == "Not in brevo: failed. brevo said: Invalid phone."
    assert told["crms"][0]["selected_at"].endswith("+00:00")
    assert [attempt["outcome"] for attempt in told["attempts"]] == ["rejected", "retry"]
    assert [(one["crm"], one["sync_status"]) for one in told["crms"]][:2] == [("brevo", "Error"), ("hubspot", "New")]
    assert told["crms"][0]["error"] == "Invalid phone"


def test_the_ledger_is_not_walked_for_want_of_statistics(engine: sa.Engine) -> None:
    statement = load_statements("contacts/story")["attempts"]
    with engine.begin() as connection:
        given = {"contact_id": add_contact(connection), "limit": 10}
        # A planner that takes sorting for dear, as one without statistics does, would rather follow the primary key.
        connection.execute(sa.text("SET LOCAL enable_sort = off"))
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(connection.execute(sa.text(f"EXPLAIN {statement.text}"), given).scalars())
    assert "on crm_attempts_contact_id_crm_claim_no_key" in plan or "using crm_attempts_contact_id" in plan
    assert "crm_attempts_pkey" not in plan


def test_an_unknown_address_is_not_repeated(engine: sa.Engine) -> None:
    with pytest.raises(ContactUnknown) as error:
        story(engine, "nobody@example.com")
    assert "nobody" not in str(error.value)
