"""Whoever has one contact sent is told in a sentence what came of it, or why nothing was sent."""

from typing import Any

import pytest
import sqlalchemy as sa

from crm_pipelines.contacts.named import Named, told_of
from crm_pipelines.contacts.story import story
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines_tests.integration.contacts.states import add_contact, put

LATER = sa.text("now() + interval '10 min'")
EARLIER = sa.text("now() - interval '10 min'")
ADA = "ada@example.com"


def told(engine: sa.Engine, state: str | None, *, outcome: str | None = None, **columns: Any) -> Named:
    """Of a contact in this state, after a run that came to this outcome with it; None: the run did not take it."""
    with engine.begin() as connection:
        contact = add_contact(connection, ADA)
        put(connection, contact, state, **columns)
        if outcome is not None:
            connection.execute(
                sa.text(
                    "INSERT INTO crm_attempts (contact_id, crm, claim_no, run_id, revision, outcome, started_at) "
                    "VALUES (:id, 'brevo', 1, 'this-run', 1, :outcome, now())"
                ),
                {"id": contact, "outcome": outcome},
            )
    return told_of(story(engine, ADA), "brevo", "Brevo", "this-run")


@pytest.mark.parametrize(
    ("state", "columns", "said"),
    [
        (None, {}, f"{ADA} is not selected for Brevo, so it was not sent. `crm-pipelines contacts select brevo"),
        ("claimed", {}, f"{ADA} is being delivered to Brevo by run run-1. It was not sent a second time."),
        ("claimed", {"claimed_by": "import:x"}, f"{ADA} is in a bulk import to Brevo. It was not sent a second time."),
        (
            "claimed",
            {"lease_until": EARLIER},
            f"Run run-1 took {ADA} and ended without a result. The next run returns it",
        ),
        ("rejected", {}, f"{ADA} has failed before, so it was not sent: "),
        ("skipped", {}, f"{ADA} cannot be sent to Brevo as it stands."),
        ("suppressed", {}, f"{ADA} is never sent to Brevo, by a user's decision."),
        ("queued", {"run_at": EARLIER}, f"{ADA} waits: the run did not take it."),
        ("waiting", {"run_at": LATER}, f"{ADA} waits: the run did not take it."),
    ],
)
def test_why_nothing_was_sent(engine: sa.Engine, state: str | None, columns: dict[str, Any], said: str) -> None:
    named = told(engine, state, **columns)
    assert named.says.startswith(said)
    assert not named.arrived


def test_who_was_delivered_before_and_has_not_changed_is_where_it_should_be(engine: sa.Engine) -> None:
    named = told(engine, "synced", synced_at=EARLIER)
    assert named.arrived
    assert named.says.startswith(f"{ADA} was delivered to Brevo at 20")
    assert "has not changed since, so nothing was sent. `crm-pipelines contacts select brevo" in named.says


def test_while_sending_is_paused_that_is_why(engine: sa.Engine) -> None:
    GateKeeper(engine, "brevo").close_by_hand("Moving house.")
    named = told(engine, "queued")
    assert named.says == f"{ADA} was not sent, since sending to Brevo is paused. Moving house."
    assert not named.arrived


@pytest.mark.parametrize(
    ("state", "outcome", "columns", "said", "arrived"),
    [
        ("synced", "synced", {"synced_at": EARLIER}, f"{ADA} was delivered to Brevo.", True),
        ("rejected", "rejected", {}, f"{ADA} has failed: ", False),
        ("waiting", "retry", {"run_at": LATER, "last_error": "Busy."}, f"{ADA} was not delivered: Busy. It is", False),
        ("queued", "snoozed", {"run_at": LATER}, f"{ADA} was postponed, without using up a try. It is due at", False),
    ],
)
def test_what_this_run_came_to(
    engine: sa.Engine, state: str, outcome: str, columns: dict[str, Any], said: str, arrived: bool
) -> None:
    named = told(engine, state, outcome=outcome, **columns)
    assert named.says.startswith(said)
    assert named.arrived == arrived
