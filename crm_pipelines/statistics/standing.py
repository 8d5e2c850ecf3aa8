"""How deliveries to a destination stand, in one word, one sentence and one colour. Pure.

Whoever shows it (pages, commands, checks, alerts, health, the API) takes it from here, so that all say the same.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal

from crm_pipelines.destinations.gates import Gate
from crm_pipelines.vocabulary import counted

Condition = Literal[
    "fine", "working", "behind", "held_back", "testing", "rejecting", "refused", "waiting_for_you", "not_set_up"
]
Colour = Literal["good", "busy", "warn", "bad"]

# The breaker for rejects pauses 15 minutes; what comes in the next 15 decides whether the mapping was mended.
_REJECTS_LAST = timedelta(minutes=30)
# A longer pause for rate is for the allowance of a day: no other window lasts more than an hour. It ends with a try,
# with which it may begin anew; what comes within this time after it is the same one.
_WINDOWS_LAST = timedelta(hours=1, minutes=5)
_ALLOWANCE_LASTS = timedelta(minutes=15)

WHEN_LATE = (
    "See whether runs start and end (`crm-pipelines health`). If they do, the queue is longer than the account's rate "
    "limit can send, or contacts are postponed again and again. `crm-pipelines why EMAIL` says why one contact waits."
)
"""What to do when contacts wait for too long."""

_WAIT = "Nothing is sent; contacts wait, and no try is used up."

# By the kind of the outcome for which sending was stopped: the badge, what happened, what to do.
_REFUSALS = {
    "credentials": (
        "Stopped: the key is refused",
        "{title} refuses the key.",
        "Set a valid key and restart the code server. Sending then goes on by itself.",
    ),
    "ip_not_authorised": (
        "Stopped: our address is refused",
        "{title} refuses this machine's address.",
        (
            "Allow the address at {title}: the reason names it. Sending then goes on with the next tick, or at once "
            "with `crm-pipelines check {crm}`."
        ),
    ),
    "credits": (
        "Stopped: no credits",
        "{title} refuses requests: the account has no credits.",
        "Buy credits or change the plan at {title}.",
    ),
    "permission": (
        "Stopped: the key lacks a permission",
        "{title} refuses the key: it lacks a permission.",
        "Give the key the right to write contacts.",
    ),
    "account": (
        "Stopped: the account is refused",
        "{title} refuses requests of this account.",
        "Ask {title} to validate the account.",
    ),
}
_REFUSED = (
    "Stopped: {title} refuses us",
    "{title} refuses us.",
    "Do what the reason says. Sending then goes on with the next tick, or at once with `crm-pipelines check {crm}`.",
)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How deliveries to `crm` stand.

    `badge` is the sentence in a few words, `sentence` complete, `action` what to do, if anything. `cause` names what
    ails in a word for machines, such as the alert's key; None where nothing does. `reason` is why, in the CRM's words
    or those of whoever stopped sending: it may name people.

    Colours: good and busy ask for nothing; warn is told to people, though contacts get there in the end; bad: nothing
    is sent, or next to nothing.
    """

    crm: str
    title: str
    condition: Condition
    badge: str
    colour: Colour
    sentence: str
    action: str | None = None
    cause: str | None = None
    reason: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        """For JSON."""
        return {
            "condition": self.condition,
            "colour": self.colour,
            "sentence": self.sentence,
            "action": self.action,
        }

    @property
    def is_well(self) -> bool:
        """Whether people need not be told."""
        return self.colour in {"good", "busy"}


def standing_of(
    gate: Gate,
    *,
    title: str,
    due: int,
    oldest_due: timedelta,
    longest: timedelta,
    now: datetime,
    put_off: int = 0,
    delivering: int = 0,
    empty_in: timedelta | None = None,
    why_not: str | None = None,
) -> Standing:
    """`oldest_due`: how long the longest waiting contact has been due; longer than `longest` is too long.

    `put_off` were due and are postponed, `delivering` are under way. `empty_in`: in how long nothing is due, None if
    not known. `why_not`: why nothing is delivered there as things are set up, None where somebody delivers.
    """
    made = partial(Standing, crm=gate.crm, title=title)
    if gate.waits_for_a_person:
        return _waiting_for_you(gate, title)
    if why_not is not None:
        waits = f" {_are_due(due, put_off)}." if due or put_off else ""
        return made(
            condition="not_set_up",
            badge="Not set up",
            colour="bad",
            sentence=f"{title} is not set up, so nothing is sent there.{waits}",
            action=why_not,
            cause="not_set_up",
        )
    if (stopped := _stopped(gate, title, now)) is not None:
        return stopped
    waiting = time_waited(gate, oldest_due)
    if waiting >= longest and (due or put_off):
        return made(
            condition="behind",
            badge=f"Behind: {counted(due, 'contact')} due",
            colour="warn",
            sentence=late(title, due=due, put_off=put_off, waiting=waiting, longest=longest),
            action=WHEN_LATE,
            cause="oldest_due",
        )
    if gate.paused:
        until = f"{gate.paused_until.astimezone(UTC):%H:%M:%S} UTC" if gate.paused_until else "its end"
        return made(
            condition="held_back",
            badge="Held back by the rate limit",
            colour="busy",
            sentence=f"Sending to {title} is paused: the rate limit is used up for now. It goes on by itself "
            f"at {until}.",
            reason=gate.pause_reason,
        )
    if due or delivering:
        return made(
            condition="working",
            badge=f"{counted(due, 'contact')} due" if due else f"{counted(delivering, 'contact')} being delivered",
            colour="busy",
            sentence=_working(title, due, put_off, delivering, empty_in),
        )
    postponed = f" {_are(put_off)} postponed." if put_off else ""
    return made(
        condition="fine", badge="Nothing due", colour="good", sentence=f"Nothing is due for {title}.{postponed}"
    )


def time_waited(gate: Gate, oldest_due: timedelta) -> timedelta:
    """How long that contact could have been sent and was not: time in which nothing was sent does not count."""
    return min(oldest_due, gate.open_for)


def late(title: str, *, due: int, put_off: int, waiting: timedelta, longest: timedelta) -> str:
    """That contacts wait for too long, or did until just now."""
    return (
        f"{_are_due(due, put_off)} for {title}, the oldest for {_length(waiting)} "
        f"(alert at {counted(round(longest / timedelta(minutes=1)), 'minute')})."
    )


def _stopped(gate: Gate, title: str, now: datetime) -> Standing | None:
    """None unless something stops or pauses sending that is more than a rate limit."""
    made = partial(Standing, crm=gate.crm, title=title, colour="bad", reason=gate.pause_reason)
    if gate.closed_for_credentials or gate.tries_credentials:
        badge, what, action = (
            text.format(crm=gate.crm, title=title) for text in _REFUSALS.get(gate.refused_kind or "", _REFUSED)
        )
        return made(condition="refused", badge=badge, sentence=f"{what} {_WAIT}", action=action, cause="credentials")
    if gate.closed_for_settings:
        return made(
            condition="refused",
            badge="Stopped: a setting is refused",
            sentence=f"{title} does not accept a setting that is part of every request. {_WAIT}",
            action="Correct the setting that the reason names and restart the code server. Sending then goes on by "
            f"itself, or at once with `crm-pipelines check {gate.crm}`.",
            cause="settings",
        )
    # Sending to a single contact between two pauses: the outage is over when that one has arrived.
    if gate.probing or (gate.paused and gate.pause_kind == "outage"):
        return made(
            condition="testing",
            badge=f"Paused: {title} does not answer",
            sentence=f"{title} does not answer as it should. Sending pauses; one contact at a time tests it.",
            action=f"Nothing, if {title}'s status page shows an incident: delivery goes on by itself. Otherwise see "
            f"`crm-pipelines check {gate.crm}`, the network and the proxy.",
            cause="outage",
        )
    if gate.pause_kind == "rate_limit" and _is_of_a_day(gate, now):
        goes_on = (
            f"Sending goes on by itself when {title}'s next day begins." if gate.paused else "Sending tries again."
        )
        return made(
            condition="held_back",
            badge="Held back: the day's allowance is used up",
            colour="warn",
            sentence=f"{title}'s allowance of requests for the day is used up. {goes_on}",
            action="Nothing for today. If it happens again, let other tools that use the account ask less, or buy a "
            "higher limit.",
            cause="allowance",
        )
    if gate.pause_kind == "rejects" and (gate.paused or now - gate.changed_at < _REJECTS_LAST):
        pauses = (
            "Sending pauses for 15 minutes at a time." if gate.paused else "Sending goes on, to see whether it ends."
        )
        return made(
            condition="rejecting",
            badge=f"Paused: {title} rejects too many" if gate.paused else f"{title} rejects too many",
            sentence=f"{title} rejects too many contacts. {pauses}",
            action=f"Correct the mapping or the data (`crm-pipelines status {gate.crm}` has samples), then "
            f"`crm-pipelines retry {gate.crm} --all`.",
            cause="rejects",
        )
    return None


def _waiting_for_you(gate: Gate, title: str) -> Standing:
    made = partial(
        Standing, crm=gate.crm, title=title, condition="waiting_for_you", colour="bad", reason=gate.pause_reason
    )
    start = f"`crm-pipelines gate open {gate.crm}`"
    if gate.pause_kind == "restored":
        return made(
            badge="Stopped: the database was restored",
            sentence=f"The database was restored or copied, so sending to {title} is stopped. {_WAIT}",
            action=f'Follow docs/runbook.md, "A restored database". {start} starts sending again.',
            cause="restored",
        )
    if gate.pause_kind == "attributes":
        return made(
            badge=f"Stopped: {title} lacks attributes",
            sentence=f"{gate.pause_reason or f'{title} lacks what the mapping needs.'} {_WAIT}",
            action=f"`crm-pipelines check {gate.crm}` lists what is missing, `crm-pipelines provision {gate.crm}` "
            f"creates it. {start} sends without it.",
            cause="attributes",
        )
    return made(
        badge="Stopped by hand",
        sentence=f"Sending to {title} was stopped by hand. {_WAIT}",
        action=f"{start} starts it again.",
        cause="manual",
    )


def _is_of_a_day(gate: Gate, now: datetime) -> bool:
    if gate.paused_until is None or gate.paused_until - gate.changed_at < _WINDOWS_LAST:
        return False
    return now < gate.paused_until + _ALLOWANCE_LASTS


def _working(title: str, due: int, put_off: int, delivering: int, empty_in: timedelta | None) -> str:
    if not due:
        return f"{_are(delivering)} being delivered to {title}."
    under_way = f" {_are(delivering)} being delivered." if delivering else ""
    if empty_in is None:
        return f"{_are_due(due, put_off)} for {title}.{under_way}"
    they = "it is" if due == 1 else "they are"
    return f"{_are_due(due, put_off)} for {title}; at this pace {they} delivered in {_length(empty_in)}.{under_way}"


def _are(number: int) -> str:
    return f"{counted(number, 'contact')} {'is' if number == 1 else 'are'}"


def _are_due(due: int, put_off: int) -> str:
    return f"{_are(due)} due{f' and {put_off} postponed' if put_off else ''}"


def _length(duration: timedelta) -> str:
    """In the largest unit of which there are two: `73 minutes`, `5 hours`; less than a minute is one."""
    minutes = max(1, round(duration / timedelta(minutes=1)))
    if minutes < 120:
        return counted(minutes, "minute")
    hours = minutes // 60
    return counted(hours, "hour") if hours < 48 else counted(hours // 24, "day")
