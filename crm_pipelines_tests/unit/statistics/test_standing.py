"""The one judgement of how deliveries stand: every condition, in words, with its colour and what to do."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crm_pipelines.destinations import gates
from crm_pipelines.destinations.gates import Gate
from crm_pipelines.statistics.standing import Standing, standing_of
from crm_pipelines_tests.fixtures.gates import a_gate

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
WAIT = "Nothing is sent; contacts wait, and no try is used up."
TESTED = "Brevo does not answer as it should. Sending pauses; one contact at a time tests it."


def standing(gate: Gate | None = None, **figures: Any) -> Standing:
    given: dict[str, Any] = {
        "title": "Brevo",
        "due": 0,
        "oldest_due": timedelta(0),
        "longest": timedelta(hours=1),
        "now": NOW,
        **figures,
    }
    return standing_of(a_gate() if gate is None else gate, **given)


def stopped(kind: str, **changes: Any) -> Gate:
    """Paused without end."""
    return a_gate(paused=True, pause_kind=kind, pause_reason="In its own words.", **changes)


def paused(kind: str, length: timedelta, **changes: Any) -> Gate:
    given = {"paused": True, "paused_until": NOW + length, "changed_at": NOW, "pause_reason": "slowly", **changes}
    return a_gate(pause_kind=kind, **given)


MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize(
    ("told", "condition", "colour", "cause", "sentence"),
    [
        (standing(), "fine", "good", None, "Nothing is due for Brevo."),
        (standing(put_off=1), "fine", "good", None, "Nothing is due for Brevo. 1 contact is postponed."),
        (standing(delivering=2), "working", "busy", None, "2 contacts are being delivered to Brevo."),
        (standing(due=1), "working", "busy", None, "1 contact is due for Brevo."),
        (
            standing(due=1, empty_in=timedelta(seconds=2)),
            "working",
            "busy",
            None,
            "1 contact is due for Brevo; at this pace it is delivered in 1 minute.",
        ),
        (
            standing(due=9000, delivering=100, put_off=2, empty_in=5 * HOUR),
            "working",
            "busy",
            None,
            (
                "9000 contacts are due and 2 postponed for Brevo; at this pace they are delivered in 5 hours. "
                "100 contacts are being delivered."
            ),
        ),
        (
            standing(due=2, oldest_due=72 * MINUTE),
            "behind",
            "warn",
            "oldest_due",
            "2 contacts are due for Brevo, the oldest for 72 minutes (alert at 60 minutes).",
        ),
        (
            standing(put_off=1, oldest_due=74 * HOUR),
            "behind",
            "warn",
            "oldest_due",
            "0 contacts are due and 1 postponed for Brevo, the oldest for 3 days (alert at 60 minutes).",
        ),
        (
            standing(paused("rate_limit", timedelta(seconds=90)), due=5),
            "held_back",
            "busy",
            None,
            "Sending to Brevo is paused: the rate limit is used up for now. It goes on by itself at 12:01:30 UTC.",
        ),
        (
            standing(paused("rate_limit", 9 * HOUR), due=5),
            "held_back",
            "warn",
            "allowance",
            (
                "Brevo's allowance of requests for the day is used up. Sending goes on by itself when Brevo's next day "
                "begins."
            ),
        ),
        (standing(paused("outage", timedelta(seconds=30)), due=5), "testing", "bad", "outage", TESTED),
        (standing(a_gate(probing=True, pause_kind="outage"), due=5), "testing", "bad", "outage", TESTED),
        (
            standing(paused("rejects", 15 * MINUTE)),
            "rejecting",
            "bad",
            "rejects",
            "Brevo rejects too many contacts. Sending pauses for 15 minutes at a time.",
        ),
        (
            standing(a_gate(pause_kind="rejects", changed_at=NOW - 20 * MINUTE)),
            "rejecting",
            "bad",
            "rejects",
            "Brevo rejects too many contacts. Sending goes on, to see whether it ends.",
        ),
        (
            standing(stopped("credentials", refused_kind="credentials")),
            "refused",
            "bad",
            "credentials",
            f"Brevo refuses the key. {WAIT}",
        ),
        (standing(stopped("credentials")), "refused", "bad", "credentials", f"Brevo refuses us. {WAIT}"),
        (
            standing(a_gate(probing=True, pause_kind="credentials", refused_kind="ip_not_authorised")),
            "refused",
            "bad",
            "credentials",
            f"Brevo refuses this machine's address. {WAIT}",
        ),
        (
            standing(stopped("settings")),
            "refused",
            "bad",
            "settings",
            f"Brevo does not accept a setting that is part of every request. {WAIT}",
        ),
        (
            standing(stopped("manual")),
            "waiting_for_you",
            "bad",
            "manual",
            f"Sending to Brevo was stopped by hand. {WAIT}",
        ),
        (
            standing(stopped("restored")),
            "waiting_for_you",
            "bad",
            "restored",
            f"The database was restored or copied, so sending to Brevo is stopped. {WAIT}",
        ),
        (
            standing(why_not="BREVO_API_KEY is not set.", due=3),
            "not_set_up",
            "bad",
            "not_set_up",
            "Brevo is not set up, so nothing is sent there. 3 contacts are due.",
        ),
    ],
)
def test_each_state_is_one_condition_with_one_colour_and_one_sentence(
    told: Standing, condition: str, colour: str, cause: str | None, sentence: str
) -> None:
    assert (told.condition, told.colour, told.cause, told.sentence) == (condition, colour, cause, sentence)
    assert (told.crm, told.title) == ("brevo", "Brevo")
    assert told.is_well is (cause is None), "people are told exactly of what has a name"
    assert (told.action is None) is told.is_well, "whoever is told is told what to do"


@pytest.mark.parametrize(
    "gate",
    [
        paused("outage", MINUTE),
        a_gate(probing=True, pause_kind="outage"),
        paused("rate_limit", MINUTE),
        stopped("credentials"),
        stopped("manual"),
    ],
    ids=["outage", "one contact tests it", "rate limit", "key", "by hand"],
)
def test_nothing_is_foretold_while_nothing_is_sent(gate: Gate) -> None:
    assert "at this pace" not in standing(gate, due=5, empty_in=MINUTE).sentence


@pytest.mark.parametrize("kind", ["outage", "rejects", "credentials", "settings", "manual", "restored"])
def test_what_stops_sending_is_told_and_not_what_waits_for_it(kind: str) -> None:
    assert standing(stopped(kind), due=5, oldest_due=9 * HOUR).condition not in {"behind", "working"}


def test_contacts_that_wait_too_long_are_told_before_a_rate_limit_that_is_over_soon() -> None:
    assert standing(paused("rate_limit", MINUTE), due=5, oldest_due=2 * HOUR).condition == "behind"


def test_time_in_which_nothing_could_be_sent_is_no_waiting() -> None:
    assert standing(a_gate(open_for=3 * MINUTE), due=5, oldest_due=9 * HOUR).condition == "working"


def test_a_destination_that_is_not_set_up_is_that_unless_somebody_has_stopped_it() -> None:
    assert standing(stopped("credentials"), why_not="BREVO_API_KEY is not set.").action == "BREVO_API_KEY is not set."
    assert standing(stopped("manual"), why_not="BREVO_API_KEY is not set.").condition == "waiting_for_you"


def test_states_that_ended_long_ago_are_over() -> None:
    assert standing(a_gate(pause_kind="rejects", changed_at=NOW - 31 * MINUTE)).condition == "fine"
    assert standing(a_gate(pause_kind="outage", changed_at=NOW - MINUTE)).condition == "fine"
    day = {"changed_at": NOW - 9 * HOUR, "paused": False}
    assert standing(paused("rate_limit", -5 * MINUTE, **day)).cause == "allowance"
    assert standing(paused("rate_limit", -16 * MINUTE, **day)).condition == "fine"


def test_what_an_account_lacks_is_told_in_the_words_of_whoever_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "OPENED_BY_PEOPLE", gates.OPENED_BY_PEOPLE | {"attributes"})
    told = standing(stopped("attributes"), due=9)
    assert (told.condition, told.cause, told.sentence) == (
        "waiting_for_you",
        "attributes",
        "In its own words. Nothing is sent; contacts wait, and no try is used up.",
    )
    assert "crm-pipelines provision brevo" in (told.action or "")


def test_the_name_of_a_further_account_is_told() -> None:
    gate = a_gate(crm="brevo_eu", paused=True, pause_kind="manual")
    told = standing(gate, title="Brevo (brevo_eu)")
    assert told.sentence.startswith("Sending to Brevo (brevo_eu) was stopped by hand.")
    assert told.action == "`crm-pipelines gate open brevo_eu` starts it again."
