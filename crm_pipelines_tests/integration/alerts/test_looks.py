"""What each channel shows of an alert, whole, as a person sees it: when it begins, as a reminder, when it is over."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from crm_pipelines.alerts.channels.log import Log
from crm_pipelines.alerts.channels.mail import Mail
from crm_pipelines.alerts.channels.sentry import Sentry
from crm_pipelines.alerts.channels.slack import Slack
from crm_pipelines.alerts.messages import Alert, Links, Phase, Reason
from crm_pipelines_tests.fixtures.receivers import HttpReceiver, SmtpReceiver

LINKS = Links(
    dagster="https://dagster.example.org",
    status_page="https://crm.example.org",
    docs="https://git.example.org/crm-pipelines/blob/main/docs",
)
NOW = datetime(2026, 11, 22, 3, 14, tzinfo=UTC)
PHASES: tuple[Phase, ...] = ("begun", "reminder", "over")
SUBJECTS = {
    "begun": "53 contacts have failed at Brevo (alert at 50).",
    "reminder": "Still: 53 contacts have failed at Brevo (alert at 50).",
    "over": "Over: 53 contacts have failed at Brevo (alert at 50).",
}
LASTS = """\
Since 2026-11-22 01:01 UTC (2 h 13 min).

Commonest reasons:
- 40 × Invalid <phone> number & *so* on
- 13 × Grüße

What to do: See `crm-pipelines status brevo`; when the cause is mended, `crm-pipelines retry brevo --all`.

Runbook: https://git.example.org/crm-pipelines/blob/main/docs/runbook.md#contacts-have-failed-for-good
Status page: https://crm.example.org/
Dagster: https://dagster.example.org/assets/brevo/contacts"""
OVER = """\
From 2026-11-22 01:01 UTC to 2026-11-22 03:14 UTC (2 h 13 min).

Status page: https://crm.example.org/
Dagster: https://dagster.example.org/assets/brevo/contacts"""
WRAPPED = LASTS.replace("the cause is mended, `", "the cause is mended,\n`").replace("Runbook: ", "Runbook:\n")

Start = Callable[[], HttpReceiver]


def alert(phase: Phase) -> Alert:
    return Alert(
        key="brevo.error_backlog",
        phase=phase,
        headline="53 contacts have failed at Brevo (alert at 50).",
        action="See `crm-pipelines status brevo`; when the cause is mended, `crm-pipelines retry brevo --all`.",
        runbook="contacts-have-failed-for-good",
        page="/assets/brevo/contacts",
        since=NOW - timedelta(hours=2, minutes=13),
        at=NOW,
        reasons=()
        if phase == "over"
        else (Reason(text="Invalid <phone> number & *so* on", contacts=40), Reason(text="Grüße", contacts=13)),
    )


def expected(phase: Phase) -> str:
    return OVER if phase == "over" else LASTS


@pytest.mark.parametrize("phase", PHASES)
def test_slack_shows_what_since_when_why_what_to_do_and_links(http_receiver: Start, phase: Phase) -> None:
    receiver = http_receiver()
    Slack(f"{receiver.url}/services/T/B/x", LINKS).send(alert(phase))
    [request] = receiver.received
    assert request.path == "/services/T/B/x"
    link = "<https://crm.example.org/|Status page> · <https://dagster.example.org/assets/brevo/contacts|Dagster>"
    runbook = "https://git.example.org/crm-pipelines/blob/main/docs/runbook.md#contacts-have-failed-for-good"
    plain = {"type": "plain_text", "emoji": False}
    heading = {"type": "header", "text": {**plain, "text": SUBJECTS[phase]}}
    if phase == "over":
        blocks = [
            heading,
            {"type": "section", "text": {**plain, "text": OVER.partition("\n\n")[0]}},
            {"type": "section", "text": {"type": "mrkdwn", "text": link}},
        ]
    else:
        # Nothing in plain text is markup, so the words of the CRM stay as they are.
        why = (
            "Since 2026-11-22 01:01 UTC (2 h 13 min).\nCommonest reasons:\n"
            "- 40 × Invalid <phone> number & *so* on\n- 13 × Grüße"
        )
        blocks = [
            heading,
            {"type": "section", "text": {**plain, "text": why}},
            {"type": "section", "text": {"type": "mrkdwn", "text": f"What to do: {alert(phase).action}"}},
            {"type": "section", "text": {"type": "mrkdwn", "text": f"<{runbook}|Runbook> · {link}"}},
        ]
    assert request.json == {"text": SUBJECTS[phase], "blocks": blocks, "unfurl_links": False}


def test_nothing_in_slacks_markup_mentions_anybody_or_is_a_link_of_somebody_else(http_receiver: Start) -> None:
    receiver = http_receiver()
    evil = Alert(**{**vars(alert("begun")), "headline": "<!channel> & co", "action": "<https://evil.example|Mend> it."})
    Slack(receiver.url, LINKS).send(evil)
    message = receiver.received[0].json
    assert message["text"] == "&lt;!channel&gt; &amp; co", "the text of the notification is markup"
    markup = [block["text"]["text"] for block in message["blocks"] if block["text"]["type"] == "mrkdwn"]
    assert markup[0] == "What to do: &lt;https://evil.example|Mend&gt; it."


@pytest.mark.parametrize("phase", PHASES)
def test_an_email_is_read_without_scrolling_and_its_links_open(
    smtp_receiver: Callable[..., SmtpReceiver], phase: Phase
) -> None:
    receiver = smtp_receiver()
    url = f"smtp://127.0.0.1:{receiver.port}"
    Mail(url, recipients="night@example.org", sender="crm@example.org", links=LINKS).send(alert(phase))
    [message] = receiver.messages
    headers = {name: message[name] for name in ("Subject", "From", "To", "Date", "Auto-Submitted", "Content-Type")}
    assert headers == {
        "Subject": f"[crm-pipelines] {SUBJECTS[phase]}",
        "From": "crm@example.org",
        "To": "night@example.org",
        "Date": "Sun, 22 Nov 2026 03:14:00 +0000",
        "Auto-Submitted": "auto-generated",
        "Content-Type": 'text/plain; charset="utf-8"',
    }
    text = message.get_content().replace("\r\n", "\n")
    assert text == f"{SUBJECTS[phase]}\n\n{OVER if phase == 'over' else WRAPPED}\n"
    assert all(len(line) <= 76 or line.startswith("https://") for line in text.splitlines())


@pytest.mark.parametrize("phase", PHASES)
def test_sentry_shows_the_same_text(http_receiver: Start, phase: Phase) -> None:
    receiver = http_receiver()
    Sentry(f"{receiver.url.replace('://', '://key@')}/7", LINKS, hide=()).send(alert(phase))
    event = json.loads(receiver.received[0].body.split(b"\n")[2])
    assert event["message"] == SUBJECTS[phase]
    assert event["extra"]["text"] == expected(phase)


@pytest.mark.parametrize("phase", PHASES)
def test_the_log_shows_the_same_text(caplog: pytest.LogCaptureFixture, phase: Phase) -> None:
    with caplog.at_level(logging.WARNING, "crm_pipelines.alerts"):
        Log(LINKS).send(alert(phase))
    [record] = caplog.records
    assert record.getMessage() == f"brevo.error_backlog: {SUBJECTS[phase]}\n{expected(phase)}"


def test_a_page_whose_address_is_not_set_is_no_link_and_the_section_of_the_runbook_is_named() -> None:
    assert alert("begun").pages(Links()) == {}
    assert (
        alert("begun")
        .body(Links())
        .endswith(
            '`crm-pipelines retry brevo --all`.\nMore: docs/runbook.md, the section "Contacts have failed for good".'
        )
    )
    assert alert("over").body(Links()) == OVER.partition("\n\n")[0]
    assert alert("begun").document(Links())["runbook_link"] is None
