"""What the gate is told of outcomes, when one that was closed for a refusal opens again, and who may pass."""

import threading
import time
from collections.abc import Sequence
from datetime import timedelta

from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.outcomes import SETTINGS, Outcome, Result
from crm_pipelines.crms.turns import Turn
from crm_pipelines.delivery.pace.pacing import Pacer
from crm_pipelines.destinations.gates import Gate, GateKeeper, Reservation, Tally
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Attempt, RetryPolicy

SHORT_PAUSE_SECONDS = 15.0
"""A refusal for rate that is no longer is waited out on the spot."""


def soon_over(gate: Gate) -> bool:
    """Whether the gate is paused for rate, and for so short that the pause is worth waiting for."""
    return gate.paused and gate.pause_kind == "rate_limit" and (gate.paused_seconds or 0) <= SHORT_PAUSE_SECONDS


def is_short_refusal(outcome: Outcome) -> bool:
    """Whether the CRM only asks for a pause that the run waits out: before the next request, at the gate."""
    wait = outcome.retry_after or timedelta()
    return outcome.result is Result.SNOOZED and wait.total_seconds() <= SHORT_PAUSE_SECONDS


def telling(outcomes: Sequence[Outcome | None]) -> list[Outcome]:
    """What the gate is told: each request once, and each refusal for rate or of the account once."""
    told: dict[object, Outcome] = {}
    for number, outcome in enumerate(outcomes):
        if outcome is None:
            continue
        if outcome.result in {Result.SNOOZED, Result.REFUSED}:
            told.setdefault((outcome.result, outcome.kind, outcome.retry_after), outcome)
        elif outcome.requests:
            told[number] = outcome
    return list(told.values())


def pacer_for(gate: GateKeeper, rate_per_second: float) -> Pacer:
    """Turns for requests that deliver nothing (check, provision), out of the same slots as those of deliveries.

    The pace is `rate_per_second`, or the account's own limit if that is known to be lower.

    Failure policy: open. A paused gate keeps contacts back; whoever checks an account wants to know whether it would
    take them now, and there is no other way to open a gate that was closed for the key. It is a handful of requests on
    a person's demand, still at the account's pace. Only a refusal for rate that is over soon is waited out: a request
    before its end would be refused, and the check would fail for nothing.
    """

    def reserve(_slots: int, rate: float) -> Reservation:
        # One by one: what is left over of a block would be lost to deliveries.
        while (reservation := gate.reserve(1, rate)) is None:
            state = gate.read()
            if soon_over(state):
                time.sleep(max(0.05, state.paused_seconds or 0))
            elif state.paused:
                return Reservation(slots=1, first_seconds=1 / rate, spacing_seconds=1 / rate)
        return reservation

    rate = min(rate_per_second, gate.read().limit_observed or rate_per_second)
    return Pacer(reserve, rate_per_second=rate, stop=threading.Event())


def reopen_if_accepted(gate: GateKeeper, crm: Crm, queue: Queue, policy: RetryPolicy) -> Gate:
    """The gate as it stands after this attempt.

    A new key, or setting, opens it at once. The same one opens it when one cheap request succeeds: an address that is
    allowed on the CRM's side changes no key, nor does a list that is there again change its number. Then those contacts
    that were refused go to the back of the queue: should the CRM refuse them alone, the others get on. Where no request
    tries the key but one that sends a contact, one contact does.
    """
    state = gate.read()
    if not state.refuses:
        return state
    of_settings = state.closed_for_settings
    present = crm.settings_fingerprint if of_settings else crm.credentials_fingerprint
    if state.refused_fingerprint != present:
        gate.open()
    else:
        outcome = (crm.probe_settings if of_settings else crm.probe)(turn=lambda: None)
        if outcome.result is Result.SYNCED:
            queue.pass_over_refused(state.changed_at, policy)
            gate.try_out() if outcome.untried else gate.open()
        elif outcome.result is Result.REFUSED:
            close(gate, crm, outcome)
    return gate.read()


def count_aside(gate: GateKeeper, crm: Crm) -> None:
    """Note that a request is made which the CRM counts apart from those about contacts, if it does so.

    Failure policy: open. Without it nothing could be sent, or a person would not learn why; looks at imports wait.
    """
    if crm.aside is not None:
        gate.count_aside(most=crm.aside.most, refill=crm.aside.refill)


def close_if_refused(gate: GateKeeper, crm: Crm, *, turn: Turn) -> Gate:
    """The gate as it stands once it has heard whether the CRM takes these credentials; one cheap request."""
    outcome = crm.probe(turn=turn)
    if outcome.result is Result.REFUSED:
        close(gate, crm, outcome)
    return gate.read()


def close(gate: GateKeeper, crm: Crm, outcome: Outcome) -> None:
    """Let nobody through any more, since the CRM refused the credentials, the account or a setting."""
    of_settings = outcome.kind == SETTINGS
    refused = crm.settings_fingerprint if of_settings else crm.credentials_fingerprint
    reason = outcome.message or outcome.kind or ""
    gate.close(reason, refused, kind="settings" if of_settings else "credentials", refused_kind=outcome.kind)


# Requests without the answer that there should be.
_FAILED = {"retry", "unknown"}


def _is_reject(attempt: Attempt) -> bool:
    """A defect of ours counts as a reject: it has to do with the mapping, and would bury the table as well."""
    return attempt.kind == "internal" or (attempt.outcome == "rejected" and attempt.answered)


def tally(attempts: Sequence[Attempt]) -> Tally:
    """What the breaker needs to know of these outcomes, which are in order of arrival.

    An outage is told by requests: one that failed is one failure, however many contacts were in it, or the first of a
    hundred would open the breaker. Rejects are told by contacts, since each is a row that ends in Error, and a mistake
    in the mapping would bury the table.
    """
    deliveries = [attempt for attempt in attempts if attempt.requests]
    failures = [attempt for attempt in deliveries if attempt.outcome in _FAILED]
    rejects = [attempt for attempt in attempts if _is_reject(attempt)]
    trailing = 0
    for attempt in reversed(deliveries):
        if attempt.outcome not in _FAILED:
            break
        trailing += 1
    return Tally(
        successes=sum(attempt.outcome in {"synced", "rejected"} for attempt in deliveries),
        failures=len(failures),
        trailing_failures=trailing,
        rejects=len(rejects),
        last_failure=(failures[-1].message or "") if failures else "",
        last_reject=(rejects[-1].message or "") if rejects else "",
    )
