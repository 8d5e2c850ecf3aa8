"""What people see and are told, end to end: the real daemon, a sandbox that fails, and real receivers of alerts."""

import gzip
import json
from collections.abc import Callable, Iterator

import pytest

from crm_pipelines_tests.fixtures.postgres import temporary_folder
from crm_pipelines_tests.fixtures.receivers import HttpReceiver, SmtpReceiver
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.fixtures.stack import Stack
from crm_pipelines_tests.patience import wait_until

CONTACTS = 3
TICKS_BETWEEN = 3


@pytest.fixture
def hasty_stack(stack_down: Stack, stack_sandbox_server: str) -> Iterator[Stack]:
    """A stack of its own that is down, whose sensors tick as often as Dagster lets them: every five seconds.

    So is the other one, which would send to the same account.
    """
    with temporary_folder() as folder:
        stack = Stack(folder, f"{stack_sandbox_server}/v3")
        for name in ("orchestration/watching/sensors.py", "orchestration/checks.py"):
            stack.change(name, "_INTERVAL_SECONDS = 30", "_INTERVAL_SECONDS = 1")
        try:
            yield stack
        finally:
            stack.cut_power()


def events(sentry: HttpReceiver) -> list[str]:
    """The messages that arrived at the receiver in Sentry's format."""
    found = []
    for one in sentry.received:
        body = gzip.decompress(one.body) if one.headers.get("Content-Encoding") == "gzip" else one.body
        lines = [json.loads(line) for line in body.splitlines() if line.startswith(b"{")]
        found += [line["logentry"]["message"] if "logentry" in line else line["message"] for line in lines[2:]]
    return found


def test_a_failure_is_seen_and_told_once_and_so_is_its_end(
    hasty_stack: Stack,
    stack_sandbox: BrevoSandbox,
    http_receiver: Callable[[], HttpReceiver],
    smtp_receiver: Callable[..., SmtpReceiver],
) -> None:
    hook, sentry, mail = http_receiver(), http_receiver(), smtp_receiver()
    hasty_stack.start(
        ALERT_ERROR_BACKLOG=str(CONTACTS),
        ALERT_WEBHOOK_URL=f"{hook.url}/alerts",
        SENTRY_DSN=sentry.url.replace("//", "//key@") + "/1",
        SMTP_URL=f"smtp://localhost:{mail.port}",
        ALERT_EMAIL_TO="ops@example.org",
        DAGSTER_UI_URL="https://dagster.example.org",
    )
    pages, people = hasty_stack.pages, hasty_stack.people
    pages.stop_schedule()

    def told(expected: list[str]) -> bool:
        phases = [one.json["phase"] for one in hook.received]
        return phases == expected and len(mail.messages) == len(events(sentry)) == len(expected)

    # The CRM rejects what it is sent.
    stack_sandbox.fault("status", status=400, method="POST", body={"code": "invalid_parameter", "message": "No."})
    people.add(CONTACTS)
    pages.wait(pages.launch(), "SUCCESS")
    wait_until(lambda: pages.checks().get("error_backlog") == "FAILED", lambda: f"the check is red: {pages.checks()}")
    wait_until(lambda: told(["begun"]), lambda: f"one alert per channel: {hook.texts} {mail.texts} {events(sentry)}")
    [alert] = hook.received
    assert alert.json["key"] == "brevo.error_backlog"
    assert alert.json["reasons"] == [{"text": "No.", "contacts": CONTACTS}]
    assert f"{CONTACTS} contacts have failed at Brevo" in mail.texts
    assert "@example.com" not in f"{hook.texts} {mail.texts.replace('ops@example.org', '')} {events(sentry)}"

    # It goes on so: more fail, the sensors tick, nobody is told again.
    before = len(pages.sensor_ticks("brevo_error_backlog_sensor"))
    people.add(CONTACTS)
    people.run("UPDATE crm_syncs SET state = 'failed', last_error_kind = 'rejected' WHERE state = 'queued'")
    wait_until(
        lambda: len(pages.sensor_ticks("brevo_error_backlog_sensor")) >= before + TICKS_BETWEEN,
        "the sensor has ticked again",
    )
    assert told(["begun"]), f"{hook.texts} {mail.texts} {events(sentry)}"

    # The CRM recovers, and somebody queues the contacts again from the page.
    stack_sandbox.clear_faults()
    pages.wait(pages.launch_job("brevo_retry_failed", "retry_failed", dry_run=False), "SUCCESS")
    assert people.states() == {"queued": 2 * CONTACTS}
    pages.wait(pages.launch(), "SUCCESS")
    assert people.states() == {"synced": 2 * CONTACTS}
    wait_until(lambda: told(["begun", "over"]), lambda: f"one recovery: {hook.texts} {mail.texts} {events(sentry)}")
    wait_until(lambda: set(pages.checks().values()) == {"SUCCEEDED"}, lambda: f"all is green: {pages.checks()}")
    assert mail.messages[1]["Subject"].startswith("[crm-pipelines] Over: ")
