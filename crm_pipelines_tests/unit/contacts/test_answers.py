"""The answer about a contact at a CRM can be read out on the phone, and says of every condition what is true."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crm_pipelines.api.pages.actions import result_of, what_helps
from crm_pipelines.contacts.answers import answer_of
from crm_pipelines.contacts.conditions import CONDITIONS, CrmStory
from crm_pipelines.settings import CrmInWords

NOW = datetime(2026, 11, 30, 15, 0, tzinfo=UTC)
BREVO = CrmInWords("Brevo")
DUE = datetime(2026, 11, 30, 14, 2, tzinfo=UTC)
TRIED = datetime(2026, 11, 30, 14, 1, tzinfo=UTC)
THERE = {"synced_at": datetime(2026, 11, 29, 23, 16, tzinfo=UTC), "remote_id": "9"}
IN_BREVO = "In Brevo, last delivered on 2026-11-29 at 23:16 UTC (number 9)"

NOR_NEWER = "It is not sent again by itself, nor is what has changed since."


def a_story(condition: str, **given: Any) -> CrmStory:
    nothing = dict.fromkeys(CrmStory.__dataclass_fields__)
    counts = {"attempts": 0, "crashes": 0, "left_out": [], "edited_since": False, "gate_paused": False}
    texts = {"crm": "brevo", "sync_status": "New", "next": "", "outlook": "", "answer": "", "attended": True}
    return CrmStory(**{**nothing, **counts, **texts, "condition": condition, **given})


CASES: list[tuple[str, dict[str, Any], str]] = [
    ("unselected", {}, "Not in Brevo: not selected."),
    ("unselected", THERE, f"{IN_BREVO}, although it is not selected any more: changes do not go there."),
    ("due", {"due_at": DUE}, "Waiting for Brevo since 14:02 UTC; the next run takes it."),
    ("due", {"due_at": DUE, "gate_paused": True}, "Waiting for Brevo since 14:02 UTC."),
    (
        "due",
        {"due_at": DUE, "attended": False},
        "Waiting for Brevo since 14:02 UTC, and nobody delivers there at present.",
    ),
    (
        "due",
        {"due_at": DUE, "edited_since": True, **THERE},
        f"{IN_BREVO}. The latest change waits since 14:02 UTC; the next run takes it.",
    ),
    (
        "due",
        {"due_at": DUE, **THERE},
        f"{IN_BREVO}. It waits to be sent again since 14:02 UTC; the next run takes it.",
    ),
    (
        "due",
        {"due_at": DUE, "attempts": 1, "error": "HTTP 503"},
        "Waiting for Brevo since 14:02 UTC; the next run takes it. 1 try failed: HTTP 503.",
    ),
    (
        "retry",
        {"due_at": DUE, "attempts": 2, "error": "HTTP 503"},
        "Not in Brevo yet. The next try is at 14:02 UTC. 2 tries failed: HTTP 503.",
    ),
    (
        "retry",
        {"due_at": DUE, "attempts": 1, **THERE},
        f"{IN_BREVO}. The latest change is not there yet. The next try is at 14:02 UTC. 1 try failed.",
    ),
    (
        "snoozed",
        {"due_at": DUE},
        "Waiting for Brevo: postponed until 14:02 UTC, without using up a try.",
    ),
    (
        "snoozed",
        {"due_at": DUE, **THERE},
        f"{IN_BREVO}. The latest change is postponed until 14:02 UTC, without using up a try.",
    ),
    ("claimed", {}, "Being delivered to Brevo now."),
    ("claimed", THERE, f"{IN_BREVO}. The latest change is being delivered now."),
    ("importing", {}, "Being delivered to Brevo with many others now."),
    ("overdue", {}, "The run that was to deliver it to Brevo has ended. The next run takes it."),
    ("overdue", {"gate_paused": True}, "The run that was to deliver it to Brevo has ended. It waits."),
    ("delivered", THERE, f"{IN_BREVO}."),
    (
        "delivered",
        {**THERE, "left_out": ["CITY", "SMS"]},
        f"{IN_BREVO}. It went without CITY and SMS.",
    ),
    (
        "parked",
        {"last_attempt_at": TRIED, "error_kind": "rejected", "error": "Invalid phone"},
        "Not in Brevo: failed at 14:01 UTC. Brevo said: Invalid phone.",
    ),
    (
        "parked",
        {"last_attempt_at": TRIED, "error_kind": "consent", "error": "They unsubscribed."},
        "Not in Brevo: failed at 14:01 UTC. The reason: They unsubscribed.",
    ),
    (
        "parked",
        {"last_attempt_at": TRIED, "error_kind": "rejected", "error": "Invalid phone", **THERE},
        f"{IN_BREVO}. The last change was refused at 14:01 UTC. Brevo said: Invalid phone.",
    ),
    (
        "parked",
        {"error_kind": "outage", "error": "HTTP 503", **THERE},
        f"{IN_BREVO}. The last change failed. The reason: HTTP 503.",
    ),
    (
        "unknown",
        {"last_attempt_at": TRIED},
        "Maybe in Brevo: it was sent at about 14:01 UTC, and no answer came. It is not sent again by itself.",
    ),
    (
        "unknown",
        {"last_attempt_at": TRIED, "edited_since": True, **THERE},
        f"{IN_BREVO}. The last change was sent at about 14:01 UTC, and no answer came. {NOR_NEWER}",
    ),
    (
        "suppressed",
        {"suppressed_by": "maria", "suppressed_at": TRIED},
        "Never sent to Brevo, by a decision of maria at 14:01 UTC.",
    ),
    ("suppressed", {}, "Never sent to Brevo, by a decision."),
    (
        "suppressed",
        {"suppressed_by": "maria", "suppressed_at": TRIED, **THERE},
        f"{IN_BREVO}. Nothing goes there any more, by a decision of maria at 14:01 UTC.",
    ),
    (
        "unsendable",
        {"error": "The contact has no address."},
        "Not in Brevo: it cannot be sent as it stands. The contact has no address.",
    ),
    (
        "unsendable",
        {"error": "The contact has no address.", **THERE},
        f"{IN_BREVO}. Changes do not go there: it cannot be sent as it stands. The contact has no address.",
    ),
]


@pytest.mark.parametrize(("condition", "given", "answer"), CASES)
def test_the_answer_is_what_one_would_say(condition: str, given: dict[str, Any], answer: str) -> None:
    assert answer_of(a_story(condition, **given), BREVO, NOW) == answer


def test_who_may_have_arrived_is_not_said_to_be_absent_once_nothing_goes_there_any_more() -> None:
    maybe = "Maybe in Brevo: it was sent at about 14:01 UTC, and no answer came."
    told = {one: answer_of(a_story(one), BREVO, NOW, unanswered=TRIED) for one in ("unselected", "suppressed")}
    assert told == {
        "unselected": f"{maybe} It is not selected any more.",
        "suppressed": f"{maybe} Nothing goes there any more, by a decision.",
    }


def test_every_condition_has_an_answer() -> None:
    assert {condition for condition, _, _ in CASES} == set(CONDITIONS)


def test_what_n8n_answered_is_no_number_and_a_workflow_holds_nobody() -> None:
    told = answer_of(a_story("delivered", **THERE), CrmInWords("n8n", keeps_contacts=False), NOW)
    assert told == "Delivered to n8n on 2026-11-29 at 23:16 UTC."


@pytest.mark.parametrize(
    ("condition", "button"),
    [
        ("parked", "Retry now"),
        ("retry", "Retry now"),
        ("unknown", "Send again"),
        ("delivered", "Send again"),
        ("unselected", "Select"),
        ("unsendable", "Try again"),
        ("suppressed", "Lift"),
        *((one, None) for one in ("due", "snoozed", "claimed", "importing", "overdue")),
    ],
)
def test_what_would_help_is_one_button(condition: str, button: str | None) -> None:
    offer = what_helps(condition, delivers=True)
    assert (offer.button if offer else None) == button


def test_nothing_is_queued_by_a_button_where_nobody_delivers() -> None:
    for condition in CONDITIONS:
        offer = what_helps(condition, delivers=False)
        assert offer is None or offer.action != "select", condition


@pytest.mark.parametrize(
    ("every", "prompt", "said"),
    [
        (5, None, "The next run takes it, in 5 minutes at the latest."),
        (5, 10, "The next run takes it, as a rule within 1 minute, in 5 minutes at the latest."),
        (60, 60, "The next run takes it, as a rule within 2 minutes, in 60 minutes at the latest."),
        (1, 10, "The next run takes it, in 1 minute at the latest."),
    ],
)
def test_when_the_next_run_comes_is_foretold_by_what_starts_it(every: int, prompt: int | None, said: str) -> None:
    told = result_of(
        "select",
        a_story("due"),
        "Brevo",
        changed=True,
        every=timedelta(minutes=every),
        prompt=None if prompt is None else timedelta(seconds=prompt),
    )
    assert told == f"Queued for Brevo. {said}"
