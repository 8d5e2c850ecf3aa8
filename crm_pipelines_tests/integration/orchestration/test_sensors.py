"""Who is told, when, and how often."""

import json
import logging
from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import pytest
import sqlalchemy as sa

from crm_pipelines.contacts.gates import GateKeeper, Tally
from crm_pipelines.orchestration.resources import Destination
from crm_pipelines.orchestration.sensors import build_brevo_error_backlog_sensor, run_failure_alert_sensor
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox

FAILURES = Tally(successes=0, failures=10, trailing_failures=10, rejects=0, last_failure="HTTP 503")


class Sensor:
    """The backlog sensor over several ticks; the cursor is all that stays in between."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.cursor: str | None = None
        self.skip_reason = ""
        self._caplog = caplog

    def tick(self) -> list[str]:
        """The alerts of one tick, `+` for begun and `-` for over; settings and connection are new each time."""
        settings = load_settings()
        sensor = build_brevo_error_backlog_sensor(settings.brevo, settings.alerts, Destination("brevo"))
        self._caplog.clear()
        with dg.build_sensor_context(cursor=self.cursor) as context:
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        assert not result.run_requests
        assert isinstance(result.skip_reason, dg.SkipReason)
        self.skip_reason = result.skip_reason.skip_message or ""
        self.cursor = result.cursor if result.cursor is not None else self.cursor
        sent = [record for record in self._caplog.records if record.name == "crm_pipelines.alerts"]
        return [
            f"{'+' if record.levelno >= logging.ERROR else '-'}{record.getMessage().split(':')[0]}" for record in sent
        ]


@pytest.fixture
def sensor(brevo_environment: BrevoSandbox, caplog: pytest.LogCaptureFixture) -> Iterator[Sensor]:
    with caplog.at_level(logging.INFO, "crm_pipelines.alerts"):
        yield Sensor(caplog)


@pytest.fixture
def gate(engine: sa.Engine) -> GateKeeper:
    return GateKeeper(engine, "brevo")


def fail(people: People, count: int) -> None:
    people.add(count)
    people.run(
        "UPDATE crm_syncs SET state = 'failed', last_error_kind = 'rejected', last_error = 'no' WHERE crm = 'brevo'"
    )


def test_all_well_says_so_with_the_figures(sensor: Sensor, people: People) -> None:
    assert sensor.tick() == []
    assert sensor.skip_reason == "0 failed, 0 due, gate open."


def test_a_backlog_of_errors_is_told_once_and_its_end_once(sensor: Sensor, people: People) -> None:
    fail(people, 49)
    assert sensor.tick() == []
    fail(people, 1)
    assert sensor.tick() == ["+brevo.error_backlog"]
    fail(people, 5)
    assert sensor.tick() == []
    assert "55 contacts have failed" in sensor.skip_reason
    people.run("SELECT crm_select('brevo', array_agg(contact_id)) FROM crm_syncs")
    assert sensor.tick() == ["-brevo.error_backlog"]
    assert sensor.tick() == []


def test_the_thresholds_are_settings(sensor: Sensor, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_ERROR_BACKLOG", "2")
    monkeypatch.setenv("ALERT_OLDEST_DUE_MINUTES", "1")
    fail(people, 2)
    people.add()
    people.run("UPDATE crm_syncs SET run_at = now() - interval '2 min' WHERE state = 'queued'")
    assert sensor.tick() == ["+brevo.error_backlog", "+brevo.oldest_due"]


def test_a_contact_that_waits_too_long_is_told_though_nothing_failed(sensor: Sensor, people: People) -> None:
    people.add(3)
    people.run("UPDATE crm_syncs SET run_at = now() - interval '59 min'")
    assert sensor.tick() == []
    people.run("UPDATE crm_syncs SET run_at = now() - interval '61 min'")
    assert sensor.tick() == ["+brevo.oldest_due"]
    assert "3 contacts are due, the oldest for 61 minutes" in sensor.skip_reason


def test_a_back_off_is_no_wait(sensor: Sensor, people: People) -> None:
    people.add()
    people.run("UPDATE crm_syncs SET run_at = now() + interval '3 hours'")
    assert sensor.tick() == []


def test_a_gate_closed_for_the_key_is_told_with_the_reason(sensor: Sensor, gate: GateKeeper) -> None:
    gate.close("Key not found. Set BREVO_API_KEY to a valid key.", "fingerprint")
    assert sensor.tick() == ["+brevo.gate.credentials"]
    assert "Key not found" in sensor.skip_reason
    assert sensor.tick() == []
    gate.open()
    assert sensor.tick() == ["-brevo.gate.credentials"]


def test_a_busy_account_is_no_news(sensor: Sensor, gate: GateKeeper) -> None:
    gate.pause("rate_limit", "slow down", timedelta(minutes=30))
    assert sensor.tick() == []


def test_an_outage_is_one_alert_and_not_one_for_each_pause_of_it(
    sensor: Sensor, gate: GateKeeper, people: People
) -> None:
    gate.judge(FAILURES)
    assert sensor.tick() == ["+brevo.gate.outage"]
    people.run("UPDATE crm_gates SET paused_until = now() - interval '1 s' WHERE crm = 'brevo'")
    assert sensor.tick() == [], "open for one probe only"
    gate.judge(FAILURES)
    assert sensor.tick() == []
    people.run("UPDATE crm_gates SET paused_until = now() - interval '1 s' WHERE crm = 'brevo'")
    gate.judge(Tally(successes=1, failures=0, trailing_failures=0, rejects=0))
    assert sensor.tick() == ["-brevo.gate.outage"]


def test_a_refused_key_after_an_outage_is_news(sensor: Sensor, gate: GateKeeper) -> None:
    gate.judge(FAILURES)
    sensor.tick()
    gate.close("Key not found", "fingerprint")
    assert sensor.tick() == ["+brevo.gate.credentials", "-brevo.gate.outage"]


@pytest.mark.parametrize("cursor", ["no json", "[1, 2]", "7", '{"brevo.error_backlog": 7}', '"text"', ""])
def test_a_cursor_that_cannot_be_read_is_begun_anew(sensor: Sensor, people: People, cursor: str) -> None:
    sensor.cursor = cursor
    assert sensor.tick() in ([], ["-brevo.error_backlog"])
    assert json.loads(sensor.cursor or "") == {}


def test_without_a_key_nothing_is_looked_at_and_what_was_told_stays_known(
    sensor: Sensor, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(people, 50)
    sensor.tick()
    with monkeypatch.context() as without_key:
        without_key.delenv("BREVO_API_KEY")
        without_key.setenv("CRM_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
        assert sensor.tick() == []
        assert sensor.skip_reason == "BREVO_API_KEY is not set."
    assert sensor.tick() == []


def test_an_alert_holds_no_address_and_no_name(
    sensor: Sensor, people: People, caplog: pytest.LogCaptureFixture
) -> None:
    people.add(50, name="Zebedee Quux")
    people.run("UPDATE crm_syncs SET state = 'failed', last_error_kind = 'rejected', last_error = 'Zebedee'")
    assert sensor.tick() == ["+brevo.error_backlog"]
    told = caplog.text + sensor.skip_reason + (sensor.cursor or "")
    assert "@example.com" not in told
    assert "Zebedee" not in told


@pytest.mark.parametrize(("will_retry", "alerts"), [("true", 0), ("false", 1), (None, 1)])
def test_a_failed_run_is_told_unless_a_retry_will_follow(
    people: People, pipeline: Pipeline, caplog: pytest.LogCaptureFixture, will_retry: str | None, alerts: int
) -> None:
    result = pipeline.run(contact_ids=["not an id"]).result
    run = result.dagster_run if will_retry is None else result.dagster_run.with_tags({"dagster/will_retry": will_retry})
    context = dg.build_run_status_sensor_context(
        sensor_name="run_failure_alert_sensor",
        dagster_event=result.get_run_failure_event(),
        dagster_instance=pipeline.instance,
        dagster_run=run,
    ).for_run_failure()
    caplog.clear()
    answer = run_failure_alert_sensor(context)
    sent = [record.getMessage() for record in caplog.records if record.name == "crm_pipelines.alerts"]
    assert len(sent) == alerts
    assert all(run.run_id in text for text in sent)
    assert isinstance(answer, dg.SkipReason) == (alerts == 0)
