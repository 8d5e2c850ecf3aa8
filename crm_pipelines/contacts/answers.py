"""The answer first: whether a contact is in a CRM, as one would say it on the phone. Pure."""

from datetime import UTC, datetime

from crm_pipelines.contacts.conditions import CrmStory
from crm_pipelines.settings import CrmInWords
from crm_pipelines.vocabulary import counted


def answer_of(one: CrmStory, crm: CrmInWords, now: datetime, *, unanswered: datetime | None = None) -> str:
    """One or two sentences: whether the CRM has the contact, since when, and what came of the last change.

    `unanswered`: when its latest attempt was, if no answer came to it.
    """
    if one.condition == "unselected":
        return _of_unselected(one, crm, now, unanswered)
    if one.condition == "suppressed":
        return _of_suppressed(one, crm, now, unanswered)
    there = _there(one, crm, now)
    match one.condition:
        case "delivered":
            without = f" It went without {_listed(one.left_out)}." if one.left_out else ""
            return f"{there or f'Delivered to {crm.title}.'}{without}"
        case "claimed" | "importing":
            many = " with many others" if one.condition == "importing" else ""
            return (
                f"{there} The latest change is being delivered{many} now."
                if there
                else (f"Being delivered to {crm.title}{many} now.")
            )
        case "overdue":
            return _joined(there, f"The run that was to deliver it to {crm.title} has ended. {_next_run(one)}")
        case "due":
            return _of_due(one, crm, now, there)
        case "retry" | "snoozed":
            return _of_postponed(one, crm, now, there)
        case "unknown":
            return _of_unknown(one, crm, now, there)
        case "parked":
            return _of_failed(one, crm, now, there)
        case _:
            reason = _sentence(one.error)
            if there:
                return f"{there} Changes do not go there: it cannot be sent as it stands. {reason}".rstrip()
            return f"Not in {crm.title}: it cannot be sent as it stands. {reason}".rstrip()


def _there(one: CrmStory, crm: CrmInWords, now: datetime) -> str:
    """That the CRM has it, by what was delivered; empty if nothing was."""
    if one.synced_at is None:
        return ""
    if not crm.keeps_contacts:
        return f"Delivered to {crm.title} {_at(one.synced_at, now)}."
    return f"In {crm.title}, last delivered {_at(one.synced_at, now)}{_number(one, crm)}."


def _number(one: CrmStory, crm: CrmInWords) -> str:
    """What n8n answered is an id of the workflow's own; nobody can look it up there."""
    return f" (number {one.remote_id})" if crm.keeps_contacts and one.remote_id else ""


def _of_unselected(one: CrmStory, crm: CrmInWords, now: datetime, unanswered: datetime | None) -> str:
    if one.synced_at is None:
        return (
            f"{_maybe(crm, now, unanswered)} It is not selected any more."
            if unanswered
            else f"Not in {crm.title}: not selected."
        )
    there = _there(one, crm, now).rstrip(".")
    return f"{there}, although it is not selected any more: changes do not go there."


def _of_suppressed(one: CrmStory, crm: CrmInWords, now: datetime, unanswered: datetime | None) -> str:
    by = f" of {one.suppressed_by}" if one.suppressed_by else ""
    since = f" {_at(one.suppressed_at, now)}" if one.suppressed_at else ""
    decided = f"by a decision{by}{since}."
    there = _there(one, crm, now) or (_maybe(crm, now, unanswered) if unanswered else "")
    return f"{there} Nothing goes there any more, {decided}" if there else f"Never sent to {crm.title}, {decided}"


def _of_unknown(one: CrmStory, crm: CrmInWords, now: datetime, there: str) -> str:
    newer = ", nor is what has changed since" if one.edited_since else ""
    alone = f"It is not sent again by itself{newer}."
    if not there:
        return f"{_maybe(crm, now, one.last_attempt_at)} {alone}"
    when = f" was sent {_at(one.last_attempt_at, now, 'about ')}" if one.last_attempt_at else " was sent"
    return f"{there} The last change{when}, and no answer came. {alone}"


def _maybe(crm: CrmInWords, now: datetime, sent_at: datetime | None) -> str:
    """That it was sent, and whether it arrived is not known."""
    when = f" {_at(sent_at, now, 'about ')}" if sent_at else ""
    return f"Maybe in {crm.title}: it was sent{when}, and no answer came."


def _of_due(one: CrmStory, crm: CrmInWords, now: datetime, there: str) -> str:
    since = f" since {_time(one.due_at, now)}" if one.due_at else ""
    failed = f" {_tries(one)}" if one.attempts else ""
    if not there:
        return f"Waiting for {crm.title}{since}{_then(one)}{failed}"
    what = "The latest change waits" if one.edited_since else "It waits to be sent again"
    return f"{there} {what}{since}{_then(one)}{failed}"


def _then(one: CrmStory) -> str:
    if not one.attended:
        return ", and nobody delivers there at present."
    return "." if one.gate_paused else "; the next run takes it."


def _next_run(one: CrmStory) -> str:
    if not one.attended:
        return "Nobody delivers there at present."
    return "It waits." if one.gate_paused else "The next run takes it."


def _of_postponed(one: CrmStory, crm: CrmInWords, now: datetime, there: str) -> str:
    at = f" {_at(one.due_at, now)}" if one.due_at else ""
    if one.condition == "retry":
        text = f"The next try is{at}. {_tries(one)}"
        return f"{there} The latest change is not there yet. {text}" if there else f"Not in {crm.title} yet. {text}"
    until = f" until {_time(one.due_at, now)}" if one.due_at else ""
    text = f"postponed{until}, without using up a try."
    return f"{there} The latest change is {text}" if there else f"Waiting for {crm.title}: {text}"


def _of_failed(one: CrmStory, crm: CrmInWords, now: datetime, there: str) -> str:
    at = f" {_at(one.last_attempt_at, now)}" if one.last_attempt_at else ""
    if there:
        return (
            f"{there} The last change was refused{at}. {_said(one, crm)}".rstrip()
            if one.error_kind == "rejected"
            else (f"{there} The last change failed{at}. {_said(one, crm)}".rstrip())
        )
    return f"Not in {crm.title}: failed{at}. {_said(one, crm)}".rstrip()


def _said(one: CrmStory, crm: CrmInWords) -> str:
    """Only what is refused outright are the CRM's words for sure; the others may be ours."""
    if not one.error:
        return ""
    return f"{f'{crm.title} said' if one.error_kind == 'rejected' else 'The reason'}: {_sentence(one.error)}"


def _tries(one: CrmStory) -> str:
    last = f": {_sentence(one.error)}" if one.error else "."
    return f"{counted(one.attempts, 'try', 'tries')} failed{last}"


def _joined(there: str, rest: str) -> str:
    return f"{there} {rest}".lstrip()


def _sentence(text: str | None) -> str:
    """Ends like one."""
    given = (text or "").strip()
    return given if not given or given[-1] in ".!?…" else f"{given}."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _time(moment: datetime, now: datetime) -> str:
    """The date only where it is not today's."""
    at = moment.astimezone(UTC)
    return f"{at:%H:%M} UTC" if at.date() == now.astimezone(UTC).date() else f"{at:%Y-%m-%d %H:%M} UTC"


def _at(moment: datetime, now: datetime, about: str = "") -> str:
    at = moment.astimezone(UTC)
    day = "" if at.date() == now.astimezone(UTC).date() else f"on {at:%Y-%m-%d} "
    return f"{day}at {about}{at:%H:%M} UTC"
