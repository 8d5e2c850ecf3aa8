"""When people are told."""

import logging

import pytest

from crm_pipelines.alerts.messages import Alert, changes, send


def test_a_state_is_told_when_it_begins_and_when_it_is_over() -> None:
    assert changes({}, {"brevo.gate": "Nothing is sent."}) == [Alert(key="brevo.gate", text="Nothing is sent.")]
    assert changes({"brevo.gate": "Nothing is sent."}, {}) == [
        Alert(key="brevo.gate", text="Over: Nothing is sent.", resolved=True)
    ]


def test_nothing_is_told_while_a_state_lasts_though_its_figures_move() -> None:
    assert changes({"brevo.error_backlog": "50 failed"}, {"brevo.error_backlog": "51 failed"}) == []


def test_what_begins_is_told_before_what_is_over() -> None:
    alerts = changes({"a": "A", "b": "B"}, {"b": "B", "c": "C"})
    assert [(alert.key, alert.resolved) for alert in alerts] == [("c", False), ("a", True)]


def test_an_alert_is_an_error_in_the_log_and_its_end_is_not(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "crm_pipelines.alerts"):
        send(Alert(key="brevo.gate", text="Nothing is sent."))
        send(Alert(key="brevo.gate", text="Over: Nothing is sent.", resolved=True))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "brevo.gate: Nothing is sent."),
        ("INFO", "brevo.gate: Over: Nothing is sent."),
    ]
