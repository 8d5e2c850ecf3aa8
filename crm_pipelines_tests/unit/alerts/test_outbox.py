"""Nothing is lost that a channel did not take, and no channel stands in another's way."""

import logging
import threading
from datetime import UTC, datetime, timedelta

import pytest

from crm_pipelines.alerts import outbox
from crm_pipelines.alerts.channels.base import ChannelFailed, PartlyTaken
from crm_pipelines.alerts.memory import Memory
from crm_pipelines.alerts.messages import Alert, Phase
from crm_pipelines.alerts.outbox import Box, post, troubles
from crm_pipelines.alerts.states import Told
from crm_pipelines_tests.patience import PATIENCE

NOW = datetime(2026, 11, 22, 3, 14, tzinfo=UTC)
SECRET = "s3cr3t"


def alert(key: str = "brevo.gate", phase: Phase = "begun") -> Alert:
    return Alert(key=key, phase=phase, headline="It is so.", action="Mend it.", runbook="x", since=NOW, at=NOW)


class Fake:
    """Takes alerts, or fails with `error`."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name = name
        self.error = error
        self.taken: list[Alert] = []
        self.tries = 0

    def send(self, alert: Alert) -> None:
        self.tries += 1
        if self.error and not isinstance(self.error, PartlyTaken):
            raise self.error
        self.taken.append(alert)
        if self.error:
            raise self.error

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(one.key, one.phase) for one in self.taken]


def later(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def test_a_channel_that_fails_does_not_stop_the_others_and_gets_it_later() -> None:
    down, up = Fake("slack", ChannelFailed("HTTP status 500.")), Fake("email")
    boxes = post({}, [down, up], [alert()], now=NOW)
    assert up.said == [("brevo.gate", "begun")]
    down.error = None
    boxes = post(boxes, [down, up], [], now=later(1))
    assert down.said == [("brevo.gate", "begun")]
    post(boxes, [down, up], [], now=later(2))
    assert (down.tries, up.tries) == (2, 1), "taken once, sent no more"


def test_what_waits_survives_the_cursor() -> None:
    down = Fake("slack", ChannelFailed("HTTP status 500."))
    told = {
        "brevo.gate": Told(headline="It is so.", action="Mend it.", runbook="x", page="", since=NOW, at=later(1)),
    }
    memory = Memory(told=told, boxes=post({}, [down], [alert()], now=NOW))
    assert Memory.read(memory.write()) == memory


@pytest.mark.parametrize(
    "cursor", [None, "", "not JSON", "[]", '{"told": 3}', '{"told": {"a": {}}}', '"x"', "1700000000"]
)
def test_a_cursor_that_cannot_be_read_is_an_empty_memory(cursor: str | None) -> None:
    assert Memory.read(cursor) == Memory()


def test_an_unsent_alert_gives_way_to_a_newer_one_about_the_same() -> None:
    down = Fake("slack", ChannelFailed("HTTP status 500."))
    boxes: dict[str, Box] = {}
    for hour in range(100):
        boxes = post(boxes, [down], [alert(phase="begun" if hour == 0 else "reminder")], now=later(60 * hour))
    assert len(boxes["slack"].letters) == 1
    down.error = None
    post(boxes, [down], [alert(phase="over")], now=later(6000))
    assert down.said == [("brevo.gate", "over")]


def test_a_failing_channel_is_tried_ever_more_rarely_but_at_once_for_a_new_alert() -> None:
    down = Fake("slack", ChannelFailed("HTTP status 404."))
    boxes = post({}, [down], [alert()], now=NOW)
    for minute in range(1, 24 * 60):
        boxes = post(boxes, [down], [], now=later(minute))
    assert 24 < down.tries < 36
    tries = down.tries
    post(boxes, [down], [alert("brevo.error_backlog")], now=later(24 * 60))
    assert down.tries == tries + 1


def test_a_channel_that_fails_twice_is_told_through_the_others_only(caplog: pytest.LogCaptureFixture) -> None:
    down, up = Fake("slack", ChannelFailed("HTTP status 404.")), Fake("email")
    with caplog.at_level(logging.WARNING):
        boxes = post({}, [down, up], [alert()], now=NOW)
        assert troubles(boxes) == [], "the next tick mends most"
        boxes = post(boxes, [down, up], [], now=later(1))
    [trouble] = troubles(boxes)
    assert trouble.key == "alerts.slack"
    assert trouble.reasons()[0].text == "HTTP status 404."
    assert "channel slack failed (2 in a row; what waits: 1 alert): HTTP status 404." in caplog.text
    boxes = post(boxes, [down, up], [alert("alerts.slack")], now=later(2))
    assert up.said[-1] == ("alerts.slack", "begun")
    assert "alerts.slack" not in boxes["slack"].letters
    down.error = None
    boxes = post(boxes, [down, up], [], now=later(90))
    assert troubles(boxes) == []


def test_an_unexpected_error_is_a_failure_whose_text_nobody_sees() -> None:
    down, up = Fake("slack", RuntimeError(f"https://hooks/{SECRET}")), Fake("email")
    boxes = post({}, [down, up], [alert()], now=NOW)
    assert boxes["slack"].reason == "Unexpected RuntimeError."
    assert len(up.taken) == 1


def test_what_was_taken_in_part_is_not_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    partly = Fake("email", PartlyTaken("The mail server refused 1 of 2 recipients."))
    boxes = post({}, [partly], [alert()], now=NOW)
    assert boxes["email"] == Box()
    assert "refused 1 of 2" in caplog.text


def test_a_channel_that_hangs_does_not_hold_the_others_and_keeps_its_alerts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    going, hanging, taken = threading.Event(), threading.Event(), threading.Event()

    class Hangs(Fake):
        def send(self, alert: Alert) -> None:
            going.set()
            hanging.wait(PATIENCE)
            super().send(alert)

    class Takes(Fake):
        def send(self, alert: Alert) -> None:
            super().send(alert)
            taken.set()

    def until_both_are_at_it(*_: object) -> None:
        """The time is over as soon as there is something to be seen."""
        going.wait(PATIENCE)
        taken.wait(PATIENCE)

    monkeypatch.setattr(outbox._Delivery, "join", until_both_are_at_it)
    up = Takes("email")
    boxes = post({}, [Hangs("slack"), up], [alert()], now=NOW)
    assert len(up.taken) == 1
    assert boxes["slack"].reason == "It did not end in time."
    assert len(boxes["slack"].letters) == 1
    hanging.set()


def test_a_channel_that_is_no_longer_configured_loses_its_box() -> None:
    boxes = post({}, [Fake("slack", ChannelFailed("HTTP status 500."))], [alert()], now=NOW)
    assert post(boxes, [Fake("email")], [], now=later(1)) == {"email": Box()}
