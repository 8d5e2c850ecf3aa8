"""What a person is told, and when: once when a state begins, once when it is over."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

_log = logging.getLogger("crm_pipelines.alerts")


@dataclass(frozen=True, kw_only=True)
class Alert:
    """`key` names the state that it is about (such as `brevo.error_backlog`); `resolved` says that it is over."""

    key: str
    text: str
    resolved: bool = False


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[Alert]:
    """The alerts due when the states (key -> text) were `before` and are `now`: begun, then over."""
    begun = [Alert(key=key, text=text) for key, text in now.items() if key not in before]
    over = [Alert(key=key, text=f"Over: {text}", resolved=True) for key, text in before.items() if key not in now]
    return begun + over


def send(alert: Alert) -> None:
    """Write the alert to the log."""
    _log.log(logging.INFO if alert.resolved else logging.ERROR, "%s: %s", alert.key, alert.text)
