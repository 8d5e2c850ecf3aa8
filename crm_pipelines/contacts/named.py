"""What came of a contact that somebody had sent by its name, in a sentence: sent, or why not. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime

from crm_pipelines.contacts.conditions import CrmStory
from crm_pipelines.contacts.story import Story


@dataclass(frozen=True, kw_only=True)
class Named:
    """`arrived`: the CRM holds the contact as it stands here, be it by this run or since before."""

    email: str
    arrived: bool
    says: str


def told_of(story: Story, crm: str, title: str, run_id: str) -> Named:
    """How the contact stands at `crm` after this run, and what it has to do with that."""
    at = next(one for one in story.crms if one.crm == crm)
    by_run = any(one.crm == crm and one.run_id == run_id for one in story.attempts)
    says = _said(story.email, at, title, by_run=by_run)
    return Named(email=story.email, arrived=at.condition == "delivered", says=says)


def _said(email: str, at: CrmStory, title: str, *, by_run: bool) -> str:
    again = f"`crm-pipelines contacts select {at.crm} --email {email}`"
    match at.condition:
        case "delivered" if by_run:
            return f"{email} was delivered to {title}."
        case "delivered":
            when = f" at {_time(at.synced_at)}" if at.synced_at else ""
            return (
                f"{email} was delivered to {title}{when} and has not changed since, so nothing was sent. {again} sends "
                "it again."
            )
        case "unselected":
            return f"{email} is not selected for {title}, so it was not sent. {again} queues it."
        case "claimed":
            return f"{email} is being delivered to {title} by run {at.claimed_by}. It was not sent a second time."
        case "importing":
            return f"{email} is in a bulk import to {title}. It was not sent a second time."
        case "overdue":
            return f"Run {at.claimed_by} took {email} and ended without a result. The next run returns it to the queue."
        case "suppressed":
            lifts = f"`crm-pipelines unsuppress {email} --reason …` lifts that."
            return f"{email} is never sent to {title}, by a user's decision. {lifts}"
        case "unsendable":
            return f"{email} cannot be sent to {title} as it stands. {_sentence(at.error)}".strip()
        case "unknown":
            not_again = f"{email} may have arrived at {title}, so it is not sent again by itself."
            return f"{not_again} {_sentence(at.error)}".strip()
        case "parked":
            failed = "has failed" if by_run else "has failed before, so it was not sent"
            retry = f"`crm-pipelines retry {at.crm} --email {email}` sends it again."
            return f"{email} {failed}: {_sentence(at.error or at.error_kind)} {retry}"
    return _waits(email, at, title, by_run=by_run)


def _waits(email: str, at: CrmStory, title: str, *, by_run: bool) -> str:
    """Of one that is in the queue."""
    if at.condition == "retry" and by_run:
        due = f" It is tried again at {_time(at.due_at)}." if at.due_at else ""
        return f"{email} was not delivered: {_sentence(at.error or at.error_kind)}{due}"
    if at.gate_paused:
        return f"{email} was not sent, since sending to {title} is paused. {_sentence(at.gate_reason)}".strip()
    if by_run:
        due = f" It is due at {_time(at.due_at)}." if at.due_at else ""
        return f"{email} was postponed, without using up a try.{due} `crm-pipelines why {email}` tells why."
    return f"{email} waits: the run did not take it. Try again; `crm-pipelines why {email}` tells how it stands."


def _sentence(text: str | None) -> str:
    return f"{text.rstrip('.')}." if text else ""


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
