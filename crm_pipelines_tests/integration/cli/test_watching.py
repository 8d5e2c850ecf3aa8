"""crm-pipelines alerts test, crm-pipelines health."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from crm_pipelines_tests.fixtures.receivers import HttpReceiver, SmtpReceiver
from crm_pipelines_tests.integration.cli.conftest import Run

ROOT = Path(__file__).resolve().parents[3]
SECRET = "s3cr3t-path"


def test_alerts_test_sends_one_through_every_channel(
    run: Run,
    http_receiver: Callable[[], HttpReceiver],
    smtp_receiver: Callable[..., SmtpReceiver],
    caplog: pytest.LogCaptureFixture,
) -> None:
    slack, hook, sentry, mail = http_receiver(), http_receiver(), http_receiver(), smtp_receiver()
    done = run(
        *("alerts", "test"),
        ALERT_SLACK_WEBHOOK_URL=slack.url,
        ALERT_WEBHOOK_URL=hook.url,
        SENTRY_DSN=f"{sentry.url.replace('://', '://key@')}/1",
        ALERT_EMAIL_TO="night@example.org",
        SMTP_URL=f"smtp://127.0.0.1:{mail.port}",
    )
    assert done.returncode == 0, done.stderr
    assert [len(one.received) for one in (slack, hook, sentry)] == [1, 1, 1]
    assert len(mail.messages) == 1
    for channel in ("log", "slack", "webhook", "email", "sentry"):
        assert channel in done.stdout
    assert "This is a test alert of crm-pipelines." in caplog.text, "the log"
    assert "Alerts link to what they are about once these are set: DAGSTER_UI_URL, STATUS_PAGE_URL, DOCS_URL." in (
        done.stdout
    )
    assert "Nobody is told but the log" not in done.stdout


def test_alerts_test_says_that_nobody_is_told_without_a_channel(run: Run) -> None:
    addresses = ("DAGSTER_UI_URL", "STATUS_PAGE_URL", "DOCS_URL")
    done = run("alerts", "test", **dict.fromkeys(addresses, "https://example.org"))
    assert done.returncode == 0
    assert "Nobody is told but the log: set ALERT_SLACK_WEBHOOK_URL" in done.stdout
    assert "once these are set" not in done.stdout


def test_alerts_test_names_each_failing_channel_with_its_reason_and_tries_the_others(
    run: Run, http_receiver: Callable[[], HttpReceiver]
) -> None:
    slack, hook = http_receiver(), http_receiver()
    slack.status, slack.answer = 404, b"no_service"
    done = run(
        *("alerts", "test"),
        ALERT_SLACK_WEBHOOK_URL=f"{slack.url}/services/{SECRET}",
        ALERT_WEBHOOK_URL=f"{hook.url}/{SECRET}",
        ALERT_EMAIL_TO="night@example.org",
        SMTP_URL="smtp://127.0.0.1:9",
    )
    assert done.returncode == 1
    assert "It answered with HTTP status 404 (no_service)." in done.stdout
    assert "No connection to the mail server" in done.stdout
    assert len(hook.received) == 1
    assert SECRET not in done.stdout + done.stderr


def test_health_says_what_is_wrong_to_people_and_to_programs(run: Run, empty_database_url: str) -> None:
    storage = empty_database_url.replace("postgresql+psycopg://", "postgresql+psycopg2://")
    variables = {"DAGSTER_POSTGRES_URL": storage, "DAGSTER_HOME": str(ROOT), "BREVO_API_KEY": "xkeysib-of-a-test"}
    done = run("health", "--json", **variables)
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    assert document["healthy"] is False
    found = {check["subject"]: check for check in document["checks"]}
    assert found["daemon SCHEDULER"]["detail"] == "It has never given a sign of life."
    assert found["deliveries to brevo"] == {
        "subject": "deliveries to brevo",
        "ok": True,
        "detail": "Nothing is due for Brevo.",
        "action": None,
        "condition": "fine",
        "colour": "good",
    }
    for_people = run("health", **variables)
    assert for_people.returncode == 1
    assert "FAILED" in for_people.stdout
    assert "Nothing is due for Brevo." in for_people.stdout


@pytest.mark.parametrize("variable", ["CRM_DATABASE_URL", "DAGSTER_POSTGRES_URL"])
def test_a_database_that_is_down_is_a_sentence_without_its_password(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variable: str
) -> None:
    # Dagster tries six times, for six seconds.
    monkeypatch.setattr("dagster_postgres.utils.calculate_delay", lambda **_: 0)
    scheme = "postgresql+psycopg2" if variable.startswith("DAGSTER") else "postgresql"
    url = f"{scheme}://u:{SECRET}@127.0.0.1:9/db"
    done = run("health", "--json", **{"DAGSTER_HOME": str(ROOT), variable: url})
    assert done.returncode == 1
    assert done.stdout == ""
    assert "does not answer" in done.stderr
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr + caplog.text
