"""When people are told, and of what."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from crm_pipelines.alerts.messages import Alert, Links, Reason
from crm_pipelines.alerts.states import AlertCondition, Told, news

NOW = datetime(2026, 11, 22, 3, 14, tzinfo=UTC)
REMINDER = timedelta(hours=4)


def finding(key: str = "brevo.gate", **given: object) -> AlertCondition:
    fields: dict[str, object] = {"key": key, "headline": f"{key} is on.", "action": "Mend it.", "runbook": "x", **given}
    return AlertCondition(**fields)  # type: ignore[arg-type]


class Sensor:
    """Ticks, and keeps what was told."""

    def __init__(self) -> None:
        self.told: dict[str, Told] = {}

    def tick(
        self, *findings: AlertCondition, after: timedelta = timedelta(), unjudged: frozenset[str] = frozenset()
    ) -> list[Alert]:
        self.told, alerts = news(self.told, findings, now=NOW + after, reminder=REMINDER, unjudged=unjudged)
        return alerts


def said(alerts: Sequence[Alert]) -> list[tuple[str, str]]:
    return [(alert.key, alert.phase) for alert in alerts]


def test_twenty_ticks_of_one_state_are_one_alert_then_a_reminder_then_the_end() -> None:
    sensor = Sensor()
    minutes = [sensor.tick(finding(), after=timedelta(minutes=minute)) for minute in range(20)]
    assert said([alert for tick in minutes for alert in tick]) == [("brevo.gate", "begun")]
    assert said(sensor.tick(finding(), after=REMINDER - timedelta(seconds=1))) == []
    [reminder] = sensor.tick(finding(), after=REMINDER)
    assert (reminder.phase, reminder.since) == ("reminder", NOW)
    assert said(sensor.tick(finding(), after=REMINDER + timedelta(minutes=1))) == []
    [over] = sensor.tick(after=REMINDER + timedelta(minutes=2))
    assert (over.phase, over.since, over.headline) == ("over", NOW, "brevo.gate is on.")
    assert sensor.tick(after=REMINDER + timedelta(minutes=3)) == []


def test_figures_that_move_are_no_news_but_a_reminder_has_the_present_ones() -> None:
    sensor = Sensor()
    sensor.tick(finding(headline="50 failed."))
    assert sensor.tick(finding(headline="51 failed."), after=timedelta(minutes=1)) == []
    [reminder] = sensor.tick(finding(headline="90 failed."), after=REMINDER)
    assert reminder.subject == "Still: 90 failed."


def test_what_begins_is_told_before_what_is_over() -> None:
    sensor = Sensor()
    sensor.tick(finding("a"), finding("b"))
    assert said(sensor.tick(finding("b"), finding("c"))) == [("c", "begun"), ("a", "over")]


def test_a_figure_between_the_thresholds_keeps_a_state_going_and_begins_none() -> None:
    sensor = Sensor()
    assert sensor.tick(finding(begins=False)) == []
    assert said(sensor.tick(finding())) == [("brevo.gate", "begun")]
    assert sensor.tick(finding(begins=False)) == []
    assert said(sensor.tick()) == [("brevo.gate", "over")]


def test_what_nobody_could_look_at_is_neither_over_nor_reminded_of() -> None:
    sensor = Sensor()
    sensor.tick(finding("a"), finding("b"))
    assert said(sensor.tick(finding("c"), after=2 * REMINDER, unjudged=frozenset({"a", "b"}))) == [("c", "begun")]
    assert said(sensor.tick(after=2 * REMINDER)) == [("a", "over"), ("b", "over"), ("c", "over")]


def test_a_known_beginning_is_told_and_one_in_the_future_is_not_believed() -> None:
    [alert] = Sensor().tick(finding(since=NOW - timedelta(hours=2)))
    assert alert.since == NOW - timedelta(hours=2)
    [alert] = Sensor().tick(finding(since=NOW + timedelta(hours=2)))
    assert alert.since == NOW


def test_three_reasons_are_told_and_only_asked_for_when_somebody_is_told() -> None:
    asked = []

    def reasons() -> list[Reason]:
        asked.append(1)
        return [Reason(text=f"Reason {number} about ada@example.com", contacts=number) for number in (9, 5, 2, 1)]

    sensor = Sensor()
    [alert] = sensor.tick(finding(reasons=reasons))
    assert [str(reason) for reason in alert.reasons] == [f"{n} × Reason {n} about …" for n in (9, 5, 2)]
    sensor.tick(finding(reasons=reasons))
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("lasted", "words"),
    [
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(minutes=5), "5 min"),
        (timedelta(hours=2, minutes=13), "2 h 13 min"),
        (timedelta(days=3), "3 d"),
    ],
)
def test_the_end_says_how_long_it_lasted(lasted: timedelta, words: str) -> None:
    sensor = Sensor()
    sensor.tick(finding())
    [over] = sensor.tick(after=lasted)
    assert f"({words})" in over.body(Links())
    assert "What to do" not in over.body(Links())
