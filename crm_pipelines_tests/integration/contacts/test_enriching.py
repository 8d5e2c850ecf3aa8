"""What a workflow found goes on to every CRM, and not back to the workflow; what it never told is seen."""

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from crm_pipelines.contacts.enriching import Offer
from crm_pipelines.contacts.story import story_of
from crm_pipelines.destinations.registered import register
from crm_pipelines.queue.claims import Queue
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.integration.contacts.messages import FOUND, tell
from crm_pipelines_tests.integration.contacts.states import STATES, add_contact, put


def row(engine: sa.Engine, contact: UUID, crm: str) -> dict[str, Any]:
    sync = People(engine, crm).sync(contact)
    return {name: sync[name] for name in ("state", "revision", "contact_revision", "attempts", "last_error_kind")}


@pytest.fixture
def ada(engine: sa.Engine) -> UUID:
    with engine.begin() as connection:
        return add_contact(connection)


@pytest.mark.parametrize("crm", ["n8n", "n8n_eu"])
@pytest.mark.parametrize("state", STATES)
def test_what_a_workflow_found_leaves_the_delivery_to_workflows_as_it_is(
    engine: sa.Engine, ada: UUID, state: str, crm: str
) -> None:
    with engine.begin() as connection:
        put(connection, ada, state, crm=crm)
    before = row(engine, ada, crm)
    tell(engine, ada, FOUND)
    assert row(engine, ada, crm) == {**before, "contact_revision": 2}
    Queue(engine, crm).requeue_edited("run-1")
    assert row(engine, ada, crm)["state"] == before["state"], "the look for missed edits leaves it, too"


@pytest.mark.parametrize("state", ["synced", "claimed"])
def test_what_a_workflow_found_is_delivered_everywhere_else(engine: sa.Engine, ada: UUID, state: str) -> None:
    with engine.begin() as connection:
        put(connection, ada, state, crm="brevo")
        put(connection, ada, "synced", crm="n8n")
    tell(engine, ada, FOUND)
    after = row(engine, ada, "brevo")
    assert after["revision"] == 2
    assert after["state"] == ("queued" if state == "synced" else "claimed"), "and goes again after this delivery"


@pytest.mark.parametrize("phone", ["+12025550199", None])
def test_a_users_edit_of_the_same_field_goes_to_the_workflow(engine: sa.Engine, ada: UUID, phone: str | None) -> None:
    with engine.begin() as connection:
        put(connection, ada, "synced", crm="n8n")
    tell(engine, ada, FOUND)
    People(engine).run("UPDATE crm_contacts SET phone_number = :phone", phone=phone)
    assert row(engine, ada, "n8n")["state"] == "queued"
    tell(engine, ada, FOUND)
    assert row(engine, ada, "n8n")["state"] == "queued", "an edit that waits is not taken for what the workflow found"


def test_an_edit_that_was_missed_before_goes_to_the_workflow(engine: sa.Engine, ada: UUID) -> None:
    with engine.begin() as connection:
        put(connection, ada, "synced", crm="n8n")
    People(engine).run(
        "SET LOCAL session_replication_role = replica; UPDATE crm_contacts SET name = 'Ada', revision = 2"
    )
    tell(engine, ada, FOUND)
    assert row(engine, ada, "n8n")["state"] == "queued"


def test_a_message_from_which_nothing_is_taken_changes_no_delivery(engine: sa.Engine, ada: UUID) -> None:
    with engine.begin() as connection:
        put(connection, ada, "synced", crm="brevo", synced_at=sa.func.now())
    tell(engine, ada)
    tell(engine, ada, Offer(field="phone_number", value=None, problem="not a phone number"))
    assert row(engine, ada, "brevo")["state"] == "synced"
    assert [one.kept for one in story_of(engine, ada).enrichments] == [{"phone_number": "not a phone number"}, {}]


def test_a_workflow_that_has_told_nothing_since_it_was_asked_is_named_with_the_time(
    engine: sa.Engine, ada: UUID
) -> None:
    register(engine, "n8n_eu", "n8n")
    with engine.begin() as connection:
        for crm in ("n8n", "n8n_eu", "brevo"):
            put(connection, ada, "synced", crm=crm, synced_at=sa.text("now() - interval '3 hours'"))
    asked = People(engine).all("SELECT synced_at FROM crm_syncs LIMIT 1")[0]["synced_at"]
    assert [(one.crm, one.asked_at) for one in story_of(engine, ada).awaited] == [("n8n", asked), ("n8n_eu", asked)]
    tell(engine, ada, crm="n8n_eu", status="failed")
    assert [one.crm for one in story_of(engine, ada).awaited] == ["n8n"], "that it failed is an answer"
    People(engine).run("UPDATE crm_enrichments SET received_at = now() - interval '4 hours'")
    assert len(story_of(engine, ada).awaited) == 2, "an answer of before the question is none"


def test_an_answer_that_came_while_the_delivery_was_under_way_is_one(engine: sa.Engine, ada: UUID) -> None:
    with engine.begin() as connection:
        put(connection, ada, "synced", crm="n8n", synced_at=sa.text("now() + interval '1 min'"))
    People(engine).run(
        "INSERT INTO crm_attempts (contact_id, crm, claim_no, run_id, revision, outcome, started_at, finished_at) "
        "VALUES (:id, 'n8n', 1, 'run', 1, 'synced', now() - interval '1 min', now() + interval '1 min')",
        id=ada,
    )
    assert len(story_of(engine, ada).awaited) == 1
    tell(engine, ada)
    assert story_of(engine, ada).awaited == ()
