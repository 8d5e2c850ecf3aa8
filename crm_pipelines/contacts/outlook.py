"""What happens next with a contact at one CRM, and what would change that."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from crm_pipelines.contacts.conditions import WAITING
from crm_pipelines.destinations.gates import Gate


@dataclass(frozen=True)
class Outlook:
    """`stands` says how it stands and what comes by itself, `changes` what would change that, without commands.

    `command` is for people who have a command line, and no button.
    """

    stands: str = ""
    changes: str = ""
    command: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.stands, self.changes, self.command)))


def outlook_of(condition: str, row: sa.Row[Any], title: str, gate: Gate, *, postponed: str | None = None) -> Outlook:
    """Of a row of `states` in story.sql. `postponed`: why the latest attempt was."""
    crm = row.crm
    match condition:
        case "due" | "retry" | "snoozed":
            return _of_queued(condition, row, gate, postponed)
        case "importing":
            return Outlook(
                "In a bulk import.",
                f"It counts as delivered once it is seen at {title}. If it is not seen there, it is sent on its own.",
            )
        case "claimed":
            return Outlook(
                f"Being delivered: run {row.claimed_by} has it until {_time(row.lease_until)} at the latest."
            )
        case "overdue":
            return Outlook(
                f"Run {row.claimed_by} had it until {_time(row.lease_until)}; the next run returns it to the queue."
            )
        case "delivered":
            stands = f"Delivered at {_time(row.synced_at)}{_but_left_out(row)}."
            return Outlook(stands, "An edit of the contact queues it again.")
        case "parked":
            return Outlook(
                "Failed, and not tried again by itself.",
                "An edit of the contact or a changed mapping queues it again.",
                f"`crm-pipelines retry {crm} --email …` tries it now.",
            )
        case "unknown":
            return _of_unknown(row, title)
        case "suppressed":
            lift = "`crm-pipelines unsuppress EMAIL --reason …` lifts that."
            return Outlook("Never sent, by a person's decision.", command=lift)
        case "unsendable":
            return Outlook("Cannot be sent as it stands.", "An edit of the contact queues it again.")
        case _:
            return Outlook("Not selected.", command=f"`crm-pipelines contacts select {crm} --email …` queues it.")


def unattended_outlook(condition: str, crm: str, seen: datetime | None) -> Outlook | None:
    """For a contact that waits, or could be selected, for a destination to which nobody delivers."""
    what = f"no crm-pipelines with {crm} set up"
    ran = "has ever run" if seen is None else f"has run since {_time(seen)}"
    check = f"See `crm-pipelines check {crm}`"
    if condition == "unselected":
        return Outlook(changes=f"Not selected, and {what} {ran}.", command=f"{check}.")
    if condition not in WAITING:
        return None
    start = f"{check}: it says what to set" if seen is None else "Start one (`make up`, or the services)"
    back = f"or `crm-pipelines contacts unselect {crm} --email …` takes it back"
    return Outlook(changes=f"Waits: {what} {ran}.", command=f"{start}, {back}.")


def _of_unknown(row: sa.Row[Any], title: str) -> Outlook:
    newer = ", nor what has changed here since" if row.edited_since else ""
    when = f" at about {_time(row.last_attempt_at)}" if row.last_attempt_at else ""
    return Outlook(
        f"Not sent again by itself{newer}: it may have arrived.",
        f"Look whether {title} got it{when}.",
        f"`crm-pipelines retry {row.crm} --email …` sends it as it is now, "
        f"`crm-pipelines contacts unselect {row.crm} --email …` leaves it at that.",
    )


def _but_left_out(row: sa.Row[Any]) -> str:
    if not row.left_out:
        return ""
    names = ", ".join(row.left_out)
    return (
        f", without {names}: the latest attempt says why. If the account is the reason, a change there queues it again"
    )


def _of_queued(condition: str, row: sa.Row[Any], gate: Gate, postponed: str | None) -> Outlook:
    alone = "It is sent alone, since a worker died while delivering it." if row.crashes else ""
    paused, command = _pause(gate)
    if condition == "retry":
        stands = f"The next try is due at {_time(row.run_at)}."
    elif condition == "snoozed":
        stands = f"Postponed, without using up a try; due at {_time(row.run_at)}."
    elif gate.paused:
        stands = f"Due since {_time(row.run_at)}, but waits."
    else:
        stands = f"Due since {_time(row.run_at)}: the next run takes it."
    if condition == "due" and row.edited_since:
        stands += " It was edited since it was delivered."
    return Outlook(
        f"{stands}{paused}", " ".join(filter(None, (postponed if condition == "snoozed" else "", alone))), command
    )


def _pause(gate: Gate) -> tuple[str, str]:
    """That nothing is sent, and the command that tells more."""
    if not gate.paused:
        return "", ""
    if gate.paused_until:
        return f" Nothing is sent until {_time(gate.paused_until)}: {gate.pause_reason}", ""
    if gate.waits_for_a_person:
        return f" Nothing is sent until {gate.paused_until_in_words}: {gate.pause_reason}", ""
    until = gate.paused_until_in_words if gate.closed_for_settings else "the account accepts the key"
    return f" Nothing is sent until {until}: {gate.pause_reason}", f"See `crm-pipelines check {gate.crm}`."


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
