"""Every channel against a real receiver: what arrives, and what a failure is called."""

import hashlib
import hmac
import json
import logging
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crm_pipelines.alerts.channels import channels_of, http, mail
from crm_pipelines.alerts.channels.base import Channel, ChannelFailed, PartlyTaken
from crm_pipelines.alerts.channels.log import Log
from crm_pipelines.alerts.channels.mail import Mail
from crm_pipelines.alerts.channels.sentry import Sentry
from crm_pipelines.alerts.channels.slack import Slack
from crm_pipelines.alerts.channels.webhook import Webhook
from crm_pipelines.alerts.messages import Alert, Links, Reason
from crm_pipelines.settings import ChannelSettings
from crm_pipelines_tests.fixtures.receivers import HttpReceiver, SmtpReceiver

SECRET = "s3cr3t"
UI = "https://dagster.example.org"
LINKS = Links(dagster=UI, status_page="https://crm.example.org", docs="https://git.example.org/docs")
NOW = datetime(2026, 11, 22, 3, 14, tzinfo=UTC)
ALERT = Alert(
    key="brevo.error_backlog",
    phase="begun",
    headline="53 contacts have failed for good at brevo (alert at 50).",
    action="See `crm-pipelines status brevo`.",
    runbook="contacts-have-failed-for-good",
    page="/assets/brevo/contacts",
    since=NOW - timedelta(hours=2, minutes=13),
    at=NOW,
    reasons=(Reason(text="Invalid <phone> number & so on", contacts=40), Reason(text="Grüße", contacts=13)),
)
OVER = Alert(
    **{
        **{name: getattr(ALERT, name) for name in ("key", "headline", "action", "runbook", "page", "since", "at")},
        "phase": "over",
    }
)

Start = Callable[[], HttpReceiver]
StartSmtp = Callable[..., SmtpReceiver]


def over_http(kind: str, url: str) -> Channel:
    if kind == "slack":
        return Slack(f"{url}/services/{SECRET}", LINKS)
    if kind == "webhook":
        return Webhook(f"{url}/{SECRET}", SECRET, LINKS)
    return Sentry(f"{url.replace('://', f'://{SECRET}@')}/7", LINKS, hide=(SECRET,))


HTTP = ["slack", "webhook", "sentry"]


def test_slack_gets_no_more_than_it_takes_whatever_is_to_be_told(http_receiver: Start) -> None:
    receiver = http_receiver()
    reasons = tuple(Reason(text="&" * 3000) for _ in range(9))
    Slack(receiver.url, LINKS).send(
        Alert(**{**vars(ALERT), "headline": "<" * 4000, "action": ">" * 4000, "reasons": reasons})
    )
    message = receiver.received[0].json
    assert len(message["text"]) <= 3000
    assert all(len(block["text"]["text"]) <= 3000 for block in message["blocks"])


def test_the_webhook_is_signed_over_timestamp_and_body(http_receiver: Start) -> None:
    receiver = http_receiver()
    before = int(datetime.now(UTC).timestamp())
    Webhook(receiver.url, SECRET, LINKS).send(ALERT)
    [request] = receiver.received
    signed = f"{request.headers['X-Timestamp']}.".encode() + request.body
    assert request.headers["X-Signature"] == hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert before <= int(request.headers["X-Timestamp"]) <= datetime.now(UTC).timestamp()
    assert request.headers["Content-Type"] == "application/json"
    assert request.json == {
        "id": "brevo.error_backlog/begun/20261122T031400Z",
        "key": "brevo.error_backlog",
        "phase": "begun",
        "headline": ALERT.headline,
        "action": ALERT.action,
        "runbook": "contacts-have-failed-for-good",
        "since": "2026-11-22T01:01:00+00:00",
        "at": "2026-11-22T03:14:00+00:00",
        "page": "/assets/brevo/contacts",
        "link": f"{UI}/assets/brevo/contacts",
        "status_page_link": "https://crm.example.org/",
        "runbook_link": "https://git.example.org/docs/runbook.md#contacts-have-failed-for-good",
        "reasons": [
            {"text": "Invalid <phone> number & so on", "contacts": 40},
            {"text": "Grüße", "contacts": 13},
        ],
    }


def test_without_a_secret_the_webhook_is_not_signed(http_receiver: Start) -> None:
    receiver = http_receiver()
    Webhook(receiver.url, None, Links()).send(ALERT)
    assert "X-Signature" not in receiver.received[0].headers
    assert receiver.received[0].json["link"] is None


def test_sentry_gets_one_event_of_the_state_and_nothing_of_the_machine(http_receiver: Start) -> None:
    receiver = http_receiver()
    channel = over_http("sentry", receiver.url)
    for alert in (ALERT, OVER):
        channel.send(alert)
    assert [request.path for request in receiver.received] == ["/api/7/envelope/"] * 2
    assert f"sentry_key={SECRET}" in receiver.received[0].headers["X-Sentry-Auth"]
    events = [json.loads(request.body.split(b"\n")[2]) for request in receiver.received]
    assert [event["message"] for event in events] == [ALERT.headline, f"Over: {ALERT.headline}"]
    assert [event["level"] for event in events] == ["error", "info"]
    assert [event["fingerprint"] for event in events] == [["crm-pipelines", "brevo.error_backlog"]] * 2
    assert "40 × Invalid" in events[0]["extra"]["text"]
    for event in events:
        assert {"server_name", "user", "request", "breadcrumbs", "modules", "exception", "contexts"} & set(
            event
        ) == set()
        assert socket.gethostname() not in json.dumps(event)


def test_what_sentry_gets_is_scrubbed_once_more(http_receiver: Start) -> None:
    receiver = http_receiver()
    leaky = f"ada@example.com {SECRET}"
    over_http("sentry", receiver.url).send(
        Alert(**{**vars(ALERT), "headline": leaky, "reasons": (Reason(text=leaky),)})
    )
    assert "ada@" not in receiver.texts
    assert SECRET not in receiver.received[0].body.split(b"\n", 1)[1].decode(), "its header holds the public key"


def test_sentrys_sdk_is_not_even_imported_without_a_dsn() -> None:
    code = (
        "import sys\nfrom crm_pipelines.alerts.channels import channels_of\n"
        "from crm_pipelines.settings import ChannelSettings\n"
        "channels_of(ChannelSettings())\nsys.exit('sentry_sdk' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("kind", HTTP)
@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_an_http_error_is_a_failure_with_its_status(http_receiver: Start, kind: str, status: int) -> None:
    receiver = http_receiver()
    receiver.status, receiver.answer = status, b"no_service"
    with pytest.raises(ChannelFailed) as failed:
        over_http(kind, receiver.url).send(ALERT)
    assert str(failed.value) == f"It answered with HTTP status {status} (no_service)."
    assert failed.value.__cause__ is None


@pytest.mark.parametrize("kind", HTTP)
def test_a_redirect_is_not_followed(http_receiver: Start, kind: str) -> None:
    receiver, elsewhere = http_receiver(), http_receiver()
    receiver.status, receiver.headers = 307, {"Location": elsewhere.url}
    with pytest.raises(ChannelFailed, match="redirect, which is not followed"):
        over_http(kind, receiver.url).send(ALERT)
    assert elsewhere.received == []


@pytest.mark.parametrize("kind", HTTP)
def test_a_receiver_that_does_not_answer_is_given_up(
    http_receiver: Start, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LONGEST", timedelta(seconds=0.3))
    receiver = http_receiver()
    receiver.held = True
    with pytest.raises(ChannelFailed, match="No answer within"):
        over_http(kind, receiver.url).send(ALERT)


@pytest.mark.parametrize("kind", HTTP)
def test_no_failure_names_the_url(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str, *more: Any, **options: Any) -> Any:
        """Without a name server: it may be slow, or not be there."""
        if host == "no.such.host.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return really(host, *more, **options)

    really = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for url in ("http://127.0.0.1:9", "https://127.0.0.1:9", "http://[bad", "http://no.such.host.invalid"):
        with pytest.raises(Exception) as failed:  # noqa: PT011
            over_http(kind, url).send(ALERT)
        if isinstance(failed.value, ChannelFailed):
            assert SECRET not in str(failed.value)
            assert "127.0.0.1" not in str(failed.value)


def test_an_answer_that_repeats_the_url_is_not_repeated(http_receiver: Start) -> None:
    receiver = http_receiver()
    receiver.status, receiver.answer = 404, f"no route for /services/{SECRET}".encode()
    with pytest.raises(ChannelFailed) as failed:
        over_http("slack", receiver.url).send(ALERT)
    assert str(failed.value) == "It answered with HTTP status 404."


def to_mail(receiver: SmtpReceiver, url: str = "smtp://127.0.0.1:{port}", **given: Any) -> Mail:
    values = {"recipients": "night@example.org, day@example.org", "sender": None, "links": LINKS, **given}
    return Mail(url.format(port=receiver.port), **values)


def test_an_email_arrives_at_everybody(smtp_receiver: StartSmtp) -> None:
    receiver = smtp_receiver()
    to_mail(receiver).send(ALERT)
    [message] = receiver.messages
    assert receiver.recipients == [["night@example.org", "day@example.org"]]
    assert message["Subject"] == f"[crm-pipelines] {ALERT.headline}"
    assert message["From"] == "night@example.org"
    assert message["Auto-Submitted"] == "auto-generated"
    text = message.get_content()
    assert "- 40 × Invalid <phone> number & so on" in text
    assert "- 13 × Grüße" in text


def test_nothing_in_an_alert_adds_a_header_or_a_recipient(smtp_receiver: StartSmtp) -> None:
    receiver = smtp_receiver()
    evil = Alert(**{**vars(ALERT), "headline": "down\r\nBcc: evil@example.net\r\n\r\nhello"})
    to_mail(receiver).send(evil)
    [message] = receiver.messages
    assert message["Bcc"] is None
    assert receiver.recipients == [["night@example.org", "day@example.org"]]


def test_a_password_goes_over_tls_only(smtp_receiver: StartSmtp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "is_loopback", lambda url: False)
    receiver = smtp_receiver(tls="starttls")
    to_mail(receiver, "smtp://crm:pass%40word@localhost:{port}").send(ALERT)
    assert receiver.logins == [("crm", "pass@word")]
    assert receiver.encrypted == [True]


def test_a_server_without_starttls_gets_neither_password_nor_message(
    smtp_receiver: StartSmtp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "is_loopback", lambda url: False)
    receiver = smtp_receiver()
    with pytest.raises(ChannelFailed, match="does not offer what is needed"):
        to_mail(receiver, f"smtp://crm:{SECRET}@localhost:{{port}}").send(ALERT)
    assert receiver.logins == []
    assert receiver.messages == []
    to_mail(receiver, "smtp://localhost:{port}?starttls=never").send(ALERT)
    assert receiver.encrypted == [False]


def test_tls_from_the_start(smtp_receiver: StartSmtp) -> None:
    receiver = smtp_receiver(tls="implicit")
    to_mail(receiver, "smtps://crm:secret@localhost:{port}").send(ALERT)
    assert receiver.logins == [("crm", "secret")]
    assert len(receiver.messages) == 1


@pytest.mark.parametrize(("scheme", "tls"), [("smtps", "implicit"), ("smtp", "starttls")])
def test_a_certificate_for_another_name_is_not_accepted(
    smtp_receiver: StartSmtp, monkeypatch: pytest.MonkeyPatch, scheme: str, tls: str
) -> None:
    monkeypatch.setattr(mail, "is_loopback", lambda url: False)
    receiver = smtp_receiver(tls=tls, name="mail.example.net")
    with pytest.raises(ChannelFailed, match="certificate is not accepted"):
        to_mail(receiver, f"{scheme}://crm:{SECRET}@localhost:{{port}}").send(ALERT)
    assert receiver.logins == []


@pytest.mark.parametrize(
    ("refuse", "said"),
    [
        ({"RCPT": "550 <night@example.org> unknown"}, "none of the recipients"),
        ({"DATA": "554 night@example.org is spam"}, "refused with code 554"),
    ],
)
def test_a_refusal_is_a_failure_without_anybodys_address(
    smtp_receiver: StartSmtp, refuse: dict[str, str], said: str
) -> None:
    receiver = smtp_receiver()
    receiver.refuse = refuse
    with pytest.raises(ChannelFailed, match=said) as failed:
        to_mail(receiver).send(ALERT)
    assert "@" not in str(failed.value)


def test_one_refused_recipient_does_not_send_it_again_to_the_other(smtp_receiver: StartSmtp) -> None:
    receiver = smtp_receiver()
    receiver.refuse = {"RCPT": "550 unknown", "except": "day@example.org"}
    with pytest.raises(PartlyTaken, match="refused 1 of 2 recipients"):
        to_mail(receiver).send(ALERT)
    assert receiver.recipients == [["day@example.org"]]


def test_a_mail_server_that_is_down_or_silent_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "_STEP_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(ChannelFailed, match="hung up, or did not answer in time"):
            Mail(f"smtp://u:{SECRET}@127.0.0.1:{port}", recipients="a@example.org", sender=None, links=Links()).send(
                ALERT
            )
    # A port that the system gives to nobody who asks for a free one.
    with pytest.raises(ChannelFailed, match="No connection to the mail server") as failed:
        Mail(f"smtp://u:{SECRET}@127.0.0.1:1", recipients="a@example.org", sender=None, links=Links()).send(ALERT)
    assert SECRET not in str(failed.value)


def test_the_log_always_has_it(caplog: pytest.LogCaptureFixture) -> None:
    [log] = channels_of(ChannelSettings())
    assert isinstance(log, Log)
    with caplog.at_level(logging.WARNING, "crm_pipelines.alerts"):
        log.send(ALERT)
        log.send(OVER)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "40 × Invalid <phone>" in caplog.text
    assert "Over: 53 contacts" in caplog.text
