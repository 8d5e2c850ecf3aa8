"""What a person is told, and when: once when a state begins, again after a while, once when it is over."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from crm_pipelines.alerts.messages import LONGEST_REASON, Alert, Phase, Reason
from crm_pipelines.scrubbing import scrub

MOST_REASONS = 3


@dataclass(frozen=True, kw_only=True)
class AlertCondition:
    """A state that is on now; the fields that Alert has too mean the same.

    `since` is None when only its discovery is known. With `begins` False it keeps a state going that has been told, but
    begins none: a figure that is hardly below its threshold. `reasons` is asked only
    when someone is told, since it may be costly.
    """

    key: str
    headline: str
    action: str
    runbook: str
    page: str = ""
    since: datetime | None = None
    begins: bool = True
    reasons: Callable[[], Sequence[Reason]] = tuple


@dataclass(frozen=True, kw_only=True)
class Told:
    """A state that people know of: what they were told of it, and when last."""

    headline: str
    action: str
    runbook: str
    page: str
    since: datetime
    at: datetime


def news(
    told: Mapping[str, Told],
    findings: Sequence[AlertCondition],
    *,
    now: datetime,
    reminder: timedelta,
    unjudged: Set[str] = frozenset(),
    hide: tuple[str, ...] = (),
) -> tuple[dict[str, Told], list[Alert]]:
    """What people will know, and the alerts that make it so: begun and reminders first, then what is over.

    A figure that moves is no news. States in `unjudged` could not be looked at: they are neither news nor over. Reasons
    are scrubbed of addresses, phone numbers and the texts in `hide`.
    """
    known = {key: state for key, state in told.items() if key in unjudged}
    alerts: list[Alert] = []
    for finding in findings:
        before = told.get(finding.key)
        if before is None and not finding.begins:
            continue
        if before is not None and now - before.at < reminder:
            known[finding.key] = before
            continue
        known[finding.key] = state = Told(
            headline=finding.headline,
            action=finding.action,
            runbook=finding.runbook,
            page=finding.page,
            since=before.since if before else min(finding.since or now, now),
            at=now,
        )
        reasons = tuple(
            Reason(text=scrub(reason.text, hide)[:LONGEST_REASON], contacts=reason.contacts)
            for reason in finding.reasons()[:MOST_REASONS]
        )
        alerts.append(_alert(finding.key, "reminder" if before else "begun", state, now, reasons))
    lasting = known.keys() | {finding.key for finding in findings}
    return known, alerts + [_alert(key, "over", state, now) for key, state in told.items() if key not in lasting]


def _alert(key: str, phase: Phase, state: Told, now: datetime, reasons: tuple[Reason, ...] = ()) -> Alert:
    return Alert(key=key, phase=phase, reasons=reasons, **{**vars(state), "at": now})
