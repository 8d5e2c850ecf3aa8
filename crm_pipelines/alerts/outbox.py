"""What each channel has yet to take, and the sending of it.

At least once: an alert leaves the outbox only when its channel took it, and a process that dies between the sending and
the keeping of the outbox sends again. A channel that fails stops no other one.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from crm_pipelines.alerts.channels.base import Channel, ChannelFailed, PartlyTaken
from crm_pipelines.alerts.messages import Alert, Reason
from crm_pipelines.alerts.states import AlertCondition
from crm_pipelines.vocabulary import counted

PATIENCE = timedelta(seconds=25)
"""For all channels together, side by side. Dagster ends a sensor's evaluation after 60 s, and with it what it knew."""

# Slack switches off who keeps knocking; a new alert is tried at once all the same.
_LONGEST_PAUSE = timedelta(hours=1)
# A single failure is mended by the next tick, most often; it is in the log.
_FAILURES_WORTH_TELLING = 2

_log = logging.getLogger("crm_pipelines.alerts")


@dataclass(frozen=True, kw_only=True)
class Box:
    """One channel's undelivered alerts by key (a newer one takes the place of an older one, so there are few), how
    often in a row it has failed, why, and when it is tried again."""

    letters: Mapping[str, Alert] = field(default_factory=dict)
    failures: int = 0
    reason: str = ""
    next_try: datetime | None = None


def post(
    boxes: Mapping[str, Box],
    channels: Sequence[Channel],
    alerts: Sequence[Alert],
    *,
    now: datetime,
    patience: timedelta = PATIENCE,
) -> dict[str, Box]:
    """Send what is due, and return what is left. Channels that are no longer configured lose their box.

    Every channel gets the alerts, except one about itself. A channel that has not ended within `patience` counts as
    failed; what it took until then counts as taken.
    """
    after = {channel.name: _filled(boxes.get(channel.name, Box()), channel.name, alerts, now) for channel in channels}
    deliveries = [
        _Delivery(channel, list(after[channel.name].letters.values()))
        for channel in channels
        if after[channel.name].letters and (after[channel.name].next_try or now) <= now
    ]
    for delivery in deliveries:
        delivery.start()
    until = time.monotonic() + patience.total_seconds()
    for delivery in deliveries:
        delivery.join(max(0.0, until - time.monotonic()))
    for delivery in deliveries:
        name = delivery.channel.name
        after[name] = _emptied(after[name], delivery, now)
    return after


def troubles(boxes: Mapping[str, Box]) -> list[AlertCondition]:
    """The channels that fail again and again; to be told through the others."""
    return [
        AlertCondition(
            key=_key(name),
            headline=f"The alert channel {name} does not work: alerts do not arrive there.",
            action="See what `crm-pipelines alerts test` says, and correct the channel's settings. Nothing is lost: "
            "what it did not take is sent when it works again.",
            runbook="a-channel-does-not-work",
            reasons=lambda box=box: (Reason(text=box.reason),),  # type: ignore[misc]
        )
        for name, box in boxes.items()
        if box.failures >= _FAILURES_WORTH_TELLING
    ]


def _key(name: str) -> str:
    return f"alerts.{name}"


def _filled(box: Box, name: str, alerts: Sequence[Alert], now: datetime) -> Box:
    new = {alert.key: alert for alert in alerts if alert.key != _key(name)}
    return replace(box, letters={**box.letters, **new}, next_try=now) if new else box


def _emptied(box: Box, delivery: "_Delivery", now: datetime) -> Box:
    # The failure first: what is taken while this looks at it is sent again.
    failure = delivery.failure
    left = {key: letter for key, letter in box.letters.items() if letter not in delivery.taken}
    if failure is None:
        return Box(letters=left)
    failures = box.failures + 1
    _log.warning(
        "The alert channel %s failed (%d in a row; what waits: %s): %s",
        delivery.channel.name,
        failures,
        counted(len(left), "alert"),
        failure,
    )
    pause = min(timedelta(minutes=2 ** min(failures - 1, 10)), _LONGEST_PAUSE)
    return Box(letters=left, failures=failures, reason=failure, next_try=now + pause)


class _Delivery(threading.Thread):
    """A channel at work in a thread of its own: nothing that it waits for, a name server even, holds the others."""

    def __init__(self, channel: Channel, letters: Sequence[Alert]) -> None:
        super().__init__(name=f"alerts to {channel.name}", daemon=True)
        self.channel = channel
        self.taken: list[Alert] = []
        self.failure: str | None = "It did not end in time."
        self._letters = letters

    def run(self) -> None:
        try:
            for letter in self._letters:
                self._send(letter)
                self.taken.append(letter)
            self.failure = None
        except ChannelFailed as error:
            self.failure = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other channels go on; its text may hold a secret
            self.failure = f"Unexpected {type(error).__name__}."

    def _send(self, letter: Alert) -> None:
        try:
            self.channel.send(letter)
        except PartlyTaken as error:
            _log.warning("The alert channel %s: %s", self.channel.name, error)
