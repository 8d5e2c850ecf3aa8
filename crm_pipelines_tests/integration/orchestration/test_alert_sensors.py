"""Who is told what, when: the sensors against a real database, with real receivers."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.orchestration.watching.sensors import error_backlog_sensor, run_failure_alert_sensor
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import API_KEY, Pipeline, job_of
from crm_pipelines_tests.fixtures.receivers import HttpReceiver, SmtpReceiver
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox

SLACK_SECRET = "T000/B000/slack-secret"
HOOK_SECRET = "hook-secret"
DSN_SECRET = "dsn-secret"

Build = Callable[[Callable[[], datetime]], dg.SensorDefinition]


class Watch:
    """A sensor whose process ends after every tick: all that it remembers is its cursor. Its clock is the test's."""

    def __init__(self, instance: dg.DagsterInstance, build: Build, hook: HttpReceiver) -> None:
        self._instance, self._build, self._hook = instance, build, hook
        self.now = datetime.now(UTC)
        self.cursor: str | None = None
        self.shown = ""

    def tick(self, minutes: float = 1) -> list[tuple[str, str]]:
        """Let time pass, evaluate, and return what arrived at the webhook: (key, phase)."""
        self.now += timedelta(minutes=minutes)
        before = len(self._hook.received)
        with dg.build_sensor_context(instance=self._instance, cursor=self.cursor) as context:
            result: Any = self._build(lambda: self.now)(context)
        self.cursor = result.cursor
        self.shown = result.skip_reason.skip_message
        return [(one.json["key"], one.json["phase"]) for one in self._hook.received[before:]]

    @property
    def last(self) -> dict[str, Any]:
        """The alert that arrived last."""
        document: dict[str, Any] = self._hook.received[-1].json
        return document


@pytest.fixture
def hook(http_receiver: Callable[[], HttpReceiver], monkeypatch: pytest.MonkeyPatch) -> HttpReceiver:
    receiver = http_receiver()
    monkeypatch.setenv("ALERT_WEBHOOK_URL", f"{receiver.url}/{HOOK_SECRET}")
    monkeypatch.setenv("DAGSTER_UI_URL", "https://dagster.example.org/")
    return receiver


@pytest.fixture
def backlog(brevo_environment: BrevoSandbox, in_memory: dg.DagsterInstance, hook: HttpReceiver) -> Watch:
    def build(clock: Callable[[], datetime]) -> dg.SensorDefinition:
        settings = load_settings()
        return error_backlog_sensor(settings.destination("brevo"), settings, clock=clock)

    return Watch(in_memory, build, hook)


@pytest.fixture
def failures(pipeline: Pipeline, hook: HttpReceiver) -> Watch:
    def build(clock: Callable[[], datetime]) -> dg.SensorDefinition:
        return run_failure_alert_sensor(load_settings(), ["brevo_sync"], clock=clock)

    return Watch(pipeline.instance, build, hook)


def fail(people: People, count: int, text: str = "Invalid phone number", kind: str = "invalid_phone") -> None:
    """Let so many queued contacts have failed for good."""
    people.run(
        "UPDATE crm_syncs SET state = 'failed', last_error_kind = :kind, last_error = :text WHERE (contact_id, crm) IN "
        "(SELECT contact_id, crm FROM crm_syncs WHERE state = 'queued' ORDER BY contact_id LIMIT :count)",
        kind=kind,
        text=text,
        count=count,
    )


def attempt(people: People, outcome: str, message: str | None = None, ago: str = "1 minute") -> None:
    """Add one attempt of every contact to the ledger."""
    people.run(
        "INSERT INTO crm_attempts"
        " (contact_id, crm, claim_no, run_id, revision, outcome, message, started_at, finished_at)"
        " SELECT id, 'brevo', (random() * 1e15)::bigint, 'run', 1, :outcome, :message,"
        " now() - CAST(:ago AS interval), now() - CAST(:ago AS interval) FROM crm_contacts",
        outcome=outcome,
        message=message,
        ago=ago,
    )


def gate_open_since(people: People, ago: str) -> None:
    people.run("UPDATE crm_gates SET counting_since = now() - CAST(:ago AS interval)", ago=ago)


# brevo_error_backlog_sensor


def test_when_all_is_well_nobody_is_told_and_the_tick_has_the_figures(people: People, backlog: Watch) -> None:
    people.add(3)
    assert backlog.tick() == []
    assert backlog.shown == (
        "3 contacts are due for Brevo; at this pace they are delivered in 1 minute. "
        "0 contacts failed; 0 of 0 attempts failed lately."
    )
    assert people.all("SELECT due FROM crm_queue_depths")[0] == {"due": 3}, "the status page draws it"


def test_twenty_ticks_of_a_backlog_are_one_alert_then_a_reminder_then_its_end(
    people: People, backlog: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERT_ERROR_BACKLOG", "10")
    monkeypatch.setenv("ALERT_REMINDER_MINUTES", "30")
    people.add(12)
    fail(people, 9, "Invalid phone number +49 151 23456789 of ada@example.com")
    assert backlog.tick() == []
    fail(people, 3, "attribute FIRSTNAME is wrong", "rejected")
    told = [backlog.tick() for _ in range(20)]
    assert [alert for tick in told for alert in tick] == [("brevo.error_backlog", "begun")]
    assert backlog.last["headline"] == "12 contacts have failed at Brevo (alert at 10)."
    assert backlog.last["reasons"] == [
        {"text": "Invalid phone number … of …", "contacts": 9},
        {"text": "attribute FIRSTNAME is wrong", "contacts": 3},
    ]
    assert "crm-pipelines retry brevo --all" in backlog.last["action"]
    assert backlog.last["link"] == "https://dagster.example.org/assets/brevo/contacts"
    assert backlog.tick(11) == [("brevo.error_backlog", "reminder")]
    assert backlog.tick() == []
    people.run("UPDATE crm_syncs SET state = 'queued' WHERE last_error_kind = 'rejected'")
    assert backlog.tick() == [], "9 is hardly below 10"
    people.run("UPDATE crm_syncs SET state = 'queued'")
    assert backlog.tick() == [("brevo.error_backlog", "over")]
    assert backlog.tick() == []


def test_a_share_of_failed_attempts_is_told_once_there_were_enough(people: People, backlog: Watch) -> None:
    gate_open_since(people, "2 hours")
    people.add(9)
    attempt(people, "retry", "HTTP status 500 for ada@example.com")
    attempt(people, "retry", "HTTP status 500 for bob@example.com", ago="61 minutes")
    assert backlog.tick() == [], "9 attempts say nothing, those of long ago least"
    attempt(people, "synced")
    attempt(people, "rejected", "Invalid phone number")
    assert backlog.tick() == [("brevo.failure_rate", "begun")]
    assert backlog.last["headline"] == "67 % of the last hour's 27 attempts at Brevo failed (alert at 50 %)."
    assert [reason["text"] for reason in backlog.last["reasons"]] == ["HTTP status 500 for …", "Invalid phone number"]
    for _ in range(3):
        attempt(people, "synced")
    assert backlog.tick() == [("brevo.failure_rate", "over")]


def test_contacts_that_are_due_for_too_long_are_told(people: People, backlog: Watch) -> None:
    gate_open_since(people, "1 day")
    people.add(5)
    people.run("UPDATE crm_syncs SET run_at = now() - interval '61 minutes', last_error_kind = 'x', last_error = 'Why'")
    assert backlog.tick() == [("brevo.oldest_due", "begun")]
    assert re.search("5 contacts are due for Brevo, the oldest for 6[0-9] minutes", backlog.last["headline"])
    assert backlog.last["reasons"] == [{"text": "Why", "contacts": 5}]
    people.run("UPDATE crm_syncs SET run_at = now()")
    assert backlog.tick() == [("brevo.oldest_due", "over")]


def test_contacts_that_are_put_off_for_too_long_are_told(people: People, backlog: Watch) -> None:
    gate_open_since(people, "1 day")
    people.add(2)
    people.run(
        "UPDATE crm_syncs SET run_at = now() + interval '1 minute', due_since = now() - interval '61 minutes', "
        "selected_at = now() - interval '1 day'"
    )
    assert backlog.tick() == [("brevo.oldest_due", "begun")]
    assert re.search("0 contacts are due and 2 postponed for Brevo, the oldest for 6[0-9]", backlog.last["headline"])


def deliver(people: People, count: int, *, took: str, ago: str = "1 minute") -> None:
    """So many contacts were delivered so long ago, so long after somebody had edited them."""
    ids = people.add(count)
    people.run(
        "UPDATE crm_syncs SET state = 'synced', synced_revision = revision WHERE contact_id = ANY (:ids)", ids=ids
    )
    people.run(
        "INSERT INTO crm_attempts"
        " (contact_id, crm, claim_no, run_id, revision, outcome, started_at, finished_at, wanted_since)"
        " SELECT id, 'brevo', 1, 'run', 1, 'synced', t.at, t.at, t.at - CAST(:took AS interval)"
        " FROM unnest(CAST(:ids AS uuid[])) id, LATERAL (SELECT now() - CAST(:ago AS interval) AS at) t",
        ids=ids,
        took=took,
        ago=ago,
    )


def let_wait(people: People, count: int, *, since: str) -> None:
    """So many contacts were edited so long ago, and wait."""
    people.run(
        "UPDATE crm_syncs SET wanted_since = now() - CAST(:since AS interval) WHERE contact_id = ANY (:ids)",
        ids=people.add(count),
        since=since,
    )


@pytest.fixture
def watched(people: People, backlog: Watch, monkeypatch: pytest.MonkeyPatch) -> Watch:
    """With an alert at ten minutes; sending has been on for a day."""
    monkeypatch.setenv("ALERT_DELAY_P95_MINUTES", "10")
    gate_open_since(people, "1 day")
    return backlog


def test_late_deliveries_are_told_once_and_once_more_when_they_are_an_hour_old(people: People, watched: Watch) -> None:
    deliver(people, 19, took="3 minutes")
    assert watched.tick() == []
    deliver(people, 2, took="34 minutes", ago="50 minutes")
    assert [alert for _ in range(20) for alert in watched.tick()] == [("brevo.delay", "begun")]
    assert watched.last["headline"] == (
        "Changes take 34 min to Brevo: the 95th percentile of the last hour, with 21 deliveries (alert at 10 min)."
    )
    assert watched.last["runbook"] == "changes-arrive-late"
    late = "finished_at < now() - interval '9 minutes'"
    people.run(f"UPDATE crm_attempts SET wanted_since = finished_at - interval '9 minutes' WHERE {late}")
    assert watched.tick() == [], "9 is hardly below 10"
    people.run(f"UPDATE crm_attempts SET finished_at = finished_at - interval '11 minutes' WHERE {late}")
    assert watched.tick() == [("brevo.delay", "over")]
    assert watched.tick() == []


def test_one_late_delivery_of_twenty_is_not_told(people: People, watched: Watch) -> None:
    deliver(people, 1, took="1 hour")
    deliver(people, 19, took="1 second")
    assert watched.tick() == []
    deliver(people, 1, took="1 hour")
    assert watched.tick() == [("brevo.delay", "begun")]


def test_one_late_delivery_of_many_that_wait_is_told(people: People, watched: Watch) -> None:
    deliver(people, 1, took="1 hour")
    let_wait(people, 19, since="1 second")
    assert watched.tick() == [("brevo.delay", "begun")], "how long those who wait will have waited is not known yet"


def test_when_it_stands_still_those_who_wait_are_told_of_and_once_more_when_they_wait_no_longer(
    people: People, watched: Watch
) -> None:
    deliver(people, 100, took="3 seconds", ago="55 minutes")
    let_wait(people, 50, since="7 minutes")
    assert watched.tick() == [], "what waits for a while is on its way"
    people.run("UPDATE crm_syncs SET wanted_since = now() - interval '11 minutes' WHERE state = 'queued'")
    assert [alert for _ in range(20) for alert in watched.tick()] == [("brevo.delay", "begun")]
    assert "with 100 deliveries; 50 contacts still wait (alert at 10 min)." in watched.last["headline"]
    people.run(
        "UPDATE crm_syncs SET state = 'claimed', claimed_by = 'run', lease_until = now() + interval '1 hour' "
        "WHERE state = 'queued'"
    )
    assert watched.tick() == [], "being delivered is not delivered"
    people.run(
        "UPDATE crm_syncs SET state = 'failed', last_error_kind = 'x', claimed_by = NULL, lease_until = NULL "
        "WHERE contact_id IN (SELECT contact_id FROM crm_syncs WHERE state = 'claimed' LIMIT 45)"
    )
    assert watched.tick() == [("brevo.delay", "over")], "who is given up waits no more, and is told of as failed"


def test_nobody_is_told_of_late_changes_who_has_not_asked_for_it(people: People, backlog: Watch) -> None:
    gate_open_since(people, "1 day")
    let_wait(people, 5, since="8 hours")
    deliver(people, 5, took="8 hours")
    assert backlog.tick() == []


def test_while_sending_is_stopped_by_a_person_nothing_is_late_nor_for_that_afterwards(
    people: People, watched: Watch, engine: sa.Engine
) -> None:
    gate = GateKeeper(engine, "brevo")
    gate.close_by_hand("holidays")
    let_wait(people, 5, since="8 hours")
    assert watched.tick() == [("brevo.gate.manual", "begun")]
    assert watched.tick() == []
    gate.open_by_hand()
    assert watched.tick() == [("brevo.gate.manual", "over")]
    gate_open_since(people, "9 minutes")
    deliver(people, 5, took="8 hours")
    assert watched.tick() == []
    gate_open_since(people, "11 minutes")
    people.run("UPDATE crm_attempts SET finished_at = now() - interval '10 minutes'")
    people.run("UPDATE crm_syncs SET state = 'synced', synced_revision = revision WHERE state = 'queued'")
    assert watched.tick() == [], "they took a minute from when sending was on"
    let_wait(people, 1, since="8 hours")
    assert watched.tick() == [("brevo.delay", "begun")], "eleven minutes from when sending was on"
    assert watched.last["headline"].startswith("Changes take 11 min to Brevo")


def test_a_stop_neither_ends_nor_repeats_what_was_told_of_late_changes(
    people: People, watched: Watch, engine: sa.Engine
) -> None:
    let_wait(people, 5, since="20 minutes")
    assert watched.tick() == [("brevo.delay", "begun")]
    gate = GateKeeper(engine, "brevo")
    gate.close_by_hand("holidays")
    assert watched.tick() == [("brevo.gate.manual", "begun")]
    gate.open_by_hand()
    assert watched.tick() == [("brevo.gate.manual", "over")], "for ten minutes nobody can tell"
    gate_open_since(people, "11 minutes")
    assert watched.tick() == []
    people.run("UPDATE crm_syncs SET state = 'synced', synced_revision = revision")
    assert watched.tick() == [("brevo.delay", "over")]


def test_what_nobody_waits_for_is_not_late(people: People, watched: Watch) -> None:
    people.add(5)
    people.run("UPDATE crm_syncs SET wanted_since = NULL")
    attempt(people, "synced")
    assert watched.tick() == []


@pytest.mark.parametrize(
    ("kind", "headline", "action"),
    [
        ("credentials", "Brevo refuses the key. Nothing is sent", "Set a valid key"),
        ("ip_not_authorised", "Brevo refuses this machine's address. Nothing is sent", "Allow the address"),
        ("credits", "Brevo refuses requests: the account has no credits.", "Buy credits"),
        ("permission", "Brevo refuses the key: it lacks a permission.", "right to write"),
        ("account", "Brevo refuses requests of this account.", "validate the account"),
        (None, "Brevo refuses us. Nothing is sent", "Do what the reason says"),
    ],
)
def test_each_way_of_being_refused_has_a_sentence_of_its_own(
    people: People, backlog: Watch, engine: sa.Engine, kind: str | None, headline: str, action: str
) -> None:
    GateKeeper(engine, "brevo").close("In the CRM's own words.", "fingerprint", refused_kind=kind)
    assert backlog.tick() == [("brevo.gate.credentials", "begun")]
    assert backlog.last["headline"].startswith(headline)
    assert action in backlog.last["action"]
    assert backlog.last["reasons"][0]["text"] == "In the CRM's own words."
    GateKeeper(engine, "brevo").open()
    assert backlog.tick() == [("brevo.gate.credentials", "over")]


def test_an_outage_is_one_alert_however_often_sending_pauses_for_it(
    people: People, backlog: Watch, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(1)
    pipeline.run()  # from now on it is known which attributes the account has
    people.add(100)
    brevo_sandbox.fault("status", status=503, body={"message": "maintenance"})
    pipeline.run()
    assert backlog.tick() == [("brevo.gate.outage", "begun")]
    assert "maintenance" in backlog.last["reasons"][0]["text"]
    for _ in range(3):
        people.run("UPDATE crm_gates SET paused_until = now() - interval '1 s' WHERE crm = 'brevo'")
        assert backlog.tick() == []
        pipeline.run()
        assert backlog.tick() == []
    brevo_sandbox.clear_faults()
    people.run("UPDATE crm_gates SET paused_until = now() - interval '1 s' WHERE crm = 'brevo'")
    pipeline.run()
    assert backlog.tick() == [("brevo.gate.outage", "over")]
    assert backlog.tick() == [], "neither what waited for the gate nor what failed against it is told besides"


def test_what_waits_for_a_closed_gate_is_told_as_that_alone(people: People, backlog: Watch, engine: sa.Engine) -> None:
    gate_open_since(people, "1 day")
    people.add(30)
    people.run("UPDATE crm_syncs SET run_at = now() - interval '3 hours'")
    attempt(people, "refused", "Key not found")
    GateKeeper(engine, "brevo").close("Key not found", "fingerprint")
    assert backlog.tick() == [("brevo.gate.credentials", "begun")]
    GateKeeper(engine, "brevo").open()
    assert backlog.tick() == [("brevo.gate.credentials", "over")]
    assert backlog.tick() == [], "they have just been let through"
    gate_open_since(people, "2 hours")
    assert backlog.tick() == [("brevo.failure_rate", "begun"), ("brevo.oldest_due", "begun")]
    GateKeeper(engine, "brevo").close("Key not found", "fingerprint")
    assert backlog.tick() == [("brevo.gate.credentials", "begun")], "the others are neither over nor told again"


def test_a_gate_that_waits_for_a_person_is_told_until_it_is_opened(
    people: People, backlog: Watch, engine: sa.Engine
) -> None:
    gate = GateKeeper(engine, "brevo")
    gate.close_by_hand("Until the import is checked.")
    assert backlog.tick() == [("brevo.gate.manual", "begun")]
    gate.open_by_hand()
    assert backlog.tick() == [("brevo.gate.manual", "over")]
    people.run("UPDATE crm_gates SET home = 'where the dump was made'")
    assert backlog.tick() == [("brevo.gate.restored", "begun")]
    gate.open_by_hand()
    assert backlog.tick() == [("brevo.gate.restored", "over")]


def test_a_gate_closed_for_a_setting_is_one_alert_with_its_own_words(
    people: People, backlog: Watch, engine: sa.Engine
) -> None:
    gate_open_since(people, "1 day")
    people.add(30)
    people.run("UPDATE crm_syncs SET run_at = now() - interval '3 hours'")
    attempt(people, "refused", "List ID does not exist")
    advice = "Set BREVO_LIST_ID to a list of this account."
    GateKeeper(engine, "brevo").close(f"List ID does not exist. {advice}", "fingerprint", "settings")
    assert backlog.tick() == [("brevo.gate.settings", "begun")]
    assert advice in backlog.last["reasons"][0]["text"]
    assert backlog.last["runbook"].endswith("the-crm-does-not-take-a-setting")
    assert backlog.tick() == []
    GateKeeper(engine, "brevo").open()
    assert backlog.tick() == [("brevo.gate.settings", "over")]


def test_a_pause_for_rejects_that_comes_again_is_no_news(people: People, backlog: Watch, engine: sa.Engine) -> None:
    GateKeeper(engine, "brevo").pause("rejects", "30 of the last 50 were rejected.", timedelta(minutes=15))
    assert backlog.tick() == [("brevo.gate.rejects", "begun")]
    people.run(
        "UPDATE crm_gates SET paused_until = now() - interval '1 s', changed_at = now() - interval '16 min' "
        "WHERE crm = 'brevo'"
    )
    assert backlog.tick() == []
    people.run("UPDATE crm_gates SET changed_at = now() - interval '31 min'")
    assert backlog.tick(0) == [("brevo.gate.rejects", "over")]


def test_a_rate_limit_that_is_waited_out_is_no_trouble(people: People, backlog: Watch, engine: sa.Engine) -> None:
    GateKeeper(engine, "brevo").pause("rate_limit", "429", timedelta(minutes=10))
    assert backlog.tick() == []


def test_a_database_that_cannot_be_used_is_told_and_ends_no_other_state(
    people: People, backlog: Watch, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    GateKeeper(engine, "brevo").close("Key not found", "fingerprint")
    assert backlog.tick() == [("brevo.gate.credentials", "begun")]
    monkeypatch.setenv("CRM_DATABASE_URL", "postgresql://u:hidden-password@127.0.0.1:9/nowhere")
    assert backlog.tick() == [("brevo.database", "begun")]
    assert "127.0.0.1:9/nowhere does not answer" in backlog.last["reasons"][0]["text"]
    assert "hidden-password" not in json.dumps(backlog.last)
    assert backlog.tick() == []
    monkeypatch.setenv("CRM_DATABASE_URL", database_url)
    assert backlog.tick() == [("brevo.database", "over")]
    people.run("ALTER TABLE crm_gates RENAME TO gone")
    assert backlog.tick() == [("brevo.database", "begun")]
    assert "UndefinedTable" in backlog.last["reasons"][0]["text"]


def test_without_a_key_nobody_is_told_anything_new_but_what_waits_is_sent(
    people: People, backlog: Watch, engine: sa.Engine, hook: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    GateKeeper(engine, "brevo").close("Key not found", "fingerprint")
    hook.status = 500
    backlog.tick()
    hook.status = 200
    monkeypatch.delenv("BREVO_API_KEY")
    assert backlog.tick() == [("brevo.gate.credentials", "begun")]
    GateKeeper(engine, "brevo").open()
    assert backlog.tick() == []
    assert backlog.shown == "BREVO_API_KEY is not set."


def test_all_channels_at_once_each_gets_one_and_nothing_personal_or_secret(
    people: People,
    backlog: Watch,
    hook: HttpReceiver,
    http_receiver: Callable[[], HttpReceiver],
    smtp_receiver: Callable[..., SmtpReceiver],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    slack, sentry, mail = http_receiver(), http_receiver(), smtp_receiver()
    monkeypatch.setenv("ALERT_SLACK_WEBHOOK_URL", f"{slack.url}/services/{SLACK_SECRET}")
    monkeypatch.setenv("SENTRY_DSN", f"{sentry.url.replace('://', f'://{DSN_SECRET}@')}/7")
    monkeypatch.setenv("ALERT_EMAIL_TO", "night@example.org")
    monkeypatch.setenv("SMTP_URL", f"smtp://127.0.0.1:{mail.port}")
    people.add(60, name="Zebedee Quux")
    fail(people, 60, f"Invalid: zebedee@example.com, %2B4915123456789, +49 151 234567, key {API_KEY}")
    backlog.tick()
    assert [len(one.received) for one in (slack, hook, sentry)] == [1, 1, 1]
    assert len(mail.messages) == 1
    people.run("UPDATE crm_syncs SET state = 'queued'")
    backlog.tick()
    assert [len(one.received) for one in (slack, hook, sentry)] == [2, 2, 2]
    assert len(mail.messages) == 2
    bodies = [one.body.decode() for receiver in (slack, hook) for one in receiver.received]
    # An envelope's first line holds the DSN's public key.
    bodies += [one.body.decode().split("\n", 1)[1] for one in sentry.received]
    everything = "\n".join([*bodies, mail.texts, caplog.text, backlog.cursor or ""])
    assert "60 × Invalid:" in everything
    for hidden in ("zebedee", "Quux", "15123456789", "234567", API_KEY, SLACK_SECRET, HOOK_SECRET, DSN_SECRET):
        assert hidden not in everything


def test_a_channel_that_is_down_gets_it_later_and_is_told_through_the_others(
    people: People,
    backlog: Watch,
    engine: sa.Engine,
    http_receiver: Callable[[], HttpReceiver],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slack = http_receiver()
    monkeypatch.setenv("ALERT_SLACK_WEBHOOK_URL", slack.url)
    slack.status, slack.answer = 500, b"rollup_error"
    GateKeeper(engine, "brevo").close("Key not found", "fingerprint", refused_kind="credentials")
    assert backlog.tick() == [("brevo.gate.credentials", "begun")]
    assert backlog.tick() == []
    assert backlog.tick() == [("alerts.slack", "begun")]
    assert backlog.last["reasons"] == [{"text": "It answered with HTTP status 500 (rollup_error).", "contacts": None}]
    slack.status = 200
    before = len(slack.received)
    assert backlog.tick() == []
    assert len(slack.received) == before + 1, "what it had not taken"
    assert "refuses the key" in slack.received[-1].json["text"]
    assert backlog.tick() == [("alerts.slack", "over")]
    assert len(slack.received) == before + 1


# run_failure_alert_sensor


def break_runs(people: People) -> None:
    """No outcome can be recorded any more."""
    people.add()
    people.run("ALTER TABLE crm_attempts RENAME COLUMN outcome TO broken")


def mend_runs(people: People) -> None:
    people.run("ALTER TABLE crm_attempts RENAME COLUMN broken TO outcome")


def test_runs_that_fail_are_one_state_until_one_succeeds(people: People, pipeline: Pipeline, failures: Watch) -> None:
    assert failures.tick() == []
    break_runs(people)
    run = pipeline.run()
    assert not run.success
    assert failures.tick() == [("brevo_sync.run_failed", "begun")]
    assert failures.last["headline"] == "A run of brevo_sync has failed, and none has succeeded since."
    assert failures.last["link"] == f"https://dagster.example.org/runs/{run.result.run_id}"
    assert failures.last["reasons"][0]["text"].startswith("Unexpected ")
    for _ in range(3):
        pipeline.run()
        assert failures.tick() == []
    assert failures.tick(240) == [("brevo_sync.run_failed", "reminder")]
    assert failures.last["headline"] == "4 runs of brevo_sync in a row have failed, and none has succeeded since."
    mend_runs(people)
    pipeline.run(dry_run=True)
    assert failures.tick() == [], "a dry run delivers nothing"
    pipeline.run()
    assert failures.tick() == [("brevo_sync.run_failed", "over")]


def test_a_failure_is_told_even_if_an_evaluation_in_between_broke(
    people: People, pipeline: Pipeline, failures: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_runs(people)
    pipeline.run()
    with monkeypatch.context() as broken:
        broken.setattr("crm_pipelines.orchestration.watching.sensors.post", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            failures.tick()
    assert failures.tick() == [("brevo_sync.run_failed", "begun")]


def test_a_run_that_will_be_retried_is_not_told(people: People, pipeline: Pipeline, failures: Watch) -> None:
    break_runs(people)
    run = pipeline.run()
    pipeline.instance.add_run_tags(run.result.run_id, {"dagster/will_retry": "true"})
    assert failures.tick() == []


def test_a_run_that_failed_for_the_gate_is_told_as_the_gate_alone(
    people: People, pipeline: Pipeline, failures: Watch, backlog: Watch, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(3)
    brevo_sandbox.configure(revoked_keys=[API_KEY])
    assert not pipeline.run().success
    assert failures.tick() == []
    assert backlog.tick() == [("brevo.gate.credentials", "begun")]


def test_a_worker_that_died_is_told_without_a_step_to_blame(pipeline: Pipeline, failures: Watch) -> None:
    run = pipeline.instance.create_run_for_job(job_of(), tags=job_of().tags)
    pipeline.instance.report_run_failed(run)
    assert failures.tick() == [("brevo_sync.run_failed", "begun")]
    assert "Its worker ended without a message" in failures.last["reasons"][0]["text"]


def test_a_refused_key_after_an_outage_is_news(people: People, backlog: Watch, engine: sa.Engine) -> None:
    GateKeeper(engine, "brevo").pause("outage", "HTTP status 503", timedelta(minutes=1))
    assert backlog.tick() == [("brevo.gate.outage", "begun")]
    GateKeeper(engine, "brevo").close("Key not found", "fingerprint")
    assert backlog.tick() == [("brevo.gate.credentials", "begun"), ("brevo.gate.outage", "over")]


def test_a_back_off_is_no_wait(people: People, backlog: Watch) -> None:
    people.add()
    people.run("UPDATE crm_syncs SET run_at = now() + interval '3 hours'")
    assert backlog.tick() == []
