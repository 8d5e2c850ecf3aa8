"""What can be decided about a contact at one CRM: the button, what it would do, and what came of it. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from crm_pipelines.contacts.conditions import UNDER_WAY, WAITING, CrmStory
from crm_pipelines.vocabulary import counted

# How long it takes at most, on a machine that is not overloaded, until Dagster's sensor looks and a run has begun.
_LOOK_AND_LAUNCH = timedelta(seconds=30)

Action = Literal["select", "unselect", "retry", "suppress", "unsuppress"]


@dataclass(frozen=True)
class Decision:
    """`button` is what it is called; `does` what happens then, of a CRM by its title."""

    action: Action
    button: str
    does: str

    def at(self, title: str) -> str:
        """What happens then."""
        return self.does.format(title=title)


_RETRY = Decision("retry", "Retry now", "It goes back into the queue, and all its tries count anew.")
_HASTEN = Decision("retry", "Retry now", "It does not wait for its next try. Those that failed stay counted.")
_RESEND = Decision(
    "retry",
    "Send again",
    "Look first whether {title} has it: if so, {title} gets it a second time. It is sent as it is now.",
)
_SELECT = Decision("select", "Select", "It is queued for {title}, and later changes go there too.")
_AGAIN = Decision("select", "Send again", "It is queued for {title} again, and sent as it is now.")
_ANYWAY = Decision(
    "select", "Try again", "It is queued for {title} again. Unless the contact changes, the result is the same."
)
_UNSELECT = Decision(
    "unselect", "Unselect", "Nothing of this contact goes to {title} any more. What {title} already has stays there."
)
_TAKE_BACK = Decision("unselect", "Unselect", f"{_UNSELECT.does} What is on its way at this moment may still arrive.")
_SUPPRESS = Decision(
    "suppress",
    "Never send",
    "It is never sent to {title}, not even if it is imported anew, until somebody lifts that. What {title} has of it "
    "stays there.",
)
_STOP = Decision("suppress", "Never send", f"{_SUPPRESS.does} What is on its way at this moment may still arrive.")
_LIFT = Decision("unsuppress", "Lift", "It may be sent to {title} again, once it is selected.")

_HELPS = {
    "parked": _RETRY,
    "retry": _HASTEN,
    "unknown": _RESEND,
    "unselected": _SELECT,
    "delivered": _AGAIN,
    "unsendable": _ANYWAY,
    "suppressed": _LIFT,
}


def what_helps(condition: str, *, delivers: bool) -> Decision | None:
    """The one thing that would help; None where it gets on by itself, or would wait for nobody (not `delivers`)."""
    offer = _HELPS.get(condition)
    return None if offer and offer.action == "select" and not delivers else offer


def what_else(condition: str) -> Sequence[Decision]:
    """The rest of what can be decided."""
    match condition:
        case "suppressed":
            return ()
        case "unselected":
            return (_SUPPRESS,)
        case "claimed" | "importing":
            return (_TAKE_BACK, _STOP)
        case _:
            return (_UNSELECT, _SUPPRESS)


def offered(condition: str, action: Action, *, delivers: bool) -> Decision | None:
    """The offer of this action, if it is made; it may have been a moment ago."""
    offers = (what_helps(condition, delivers=delivers), *what_else(condition))
    return next((offer for offer in offers if offer and offer.action == action), None)


def result_of(
    action: Action,
    one: CrmStory,
    title: str,
    *,
    changed: bool,
    every: timedelta | None,
    prompt: timedelta | None = None,
) -> str:
    """What came of a decision, as it stands now: a page is loaded again, a button is pressed twice, others decide.

    `changed`: whether it did anything. `every`: how often a run starts there, if one does. `prompt`: where one starts
    as soon as a contact is due, how long it is at least between two.
    """
    if not _has_come_about(action, one):
        if changed:
            return f"That was done at {title}. By now it stands otherwise."
        return f"Nothing was changed at {title}: it stood otherwise by then."
    already = "" if changed else " already"
    match action:
        case "select" | "retry":
            return f"Queued for {title}{already}.{_then(one, every, prompt)}"
        case "unselect":
            return f"Unselected{already}. Nothing of this contact goes to {title} any more."
        case "suppress":
            return f"From now on it is never sent to {title}." if changed else f"It is never sent to {title} already."
        case "unsuppress":
            return f"Lifted{already}. It may be selected for {title} again."


def _has_come_about(action: Action, one: CrmStory) -> bool:
    match action:
        case "select" | "retry":
            return one.condition in UNDER_WAY
        case "unselect" | "unsuppress":
            return one.condition == "unselected"
        case "suppress":
            return one.condition == "suppressed"


def _then(one: CrmStory, every: timedelta | None, prompt: timedelta | None) -> str:
    if one.condition not in WAITING:
        return " A run has taken it."
    if one.gate_paused or not one.attended or every is None:
        return " It waits, since sending is paused or stopped."
    soon = _minutes(prompt + _LOOK_AND_LAUNCH) if prompt else None
    rule = f", as a rule within {counted(soon, 'minute')}" if soon and soon < _minutes(every) else ""
    return f" The next run takes it{rule}, in {counted(_minutes(every), 'minute')} at the latest."


def _minutes(time: timedelta) -> int:
    return math.ceil(time / timedelta(minutes=1))
