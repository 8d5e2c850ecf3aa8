"""What the gate is told of outcomes, and when one that was closed for its credentials opens again."""

from collections.abc import Sequence

from crm_pipelines.contacts.gates import Gate, GateKeeper, Tally
from crm_pipelines.contacts.queue import Attempt
from crm_pipelines.crms.base import Crm, Result


def reopen_if_accepted(gate: GateKeeper, crm: Crm) -> Gate:
    """The gate as it stands after this attempt.

    A new key opens it at once. The same key opens it when one cheap request succeeds: an address that is allowed on the
    CRM's side changes no key.
    """
    state = gate.read()
    if not state.closed_for_credentials:
        return state
    if state.refused_fingerprint != crm.credentials_fingerprint:
        gate.open()
    else:
        outcome = crm.probe(before_request=lambda: None)
        if outcome.result is Result.SYNCED:
            gate.open()
        elif outcome.result is Result.REFUSED:
            gate.close(outcome.message or outcome.kind or "", crm.credentials_fingerprint)
    return gate.read()


def tally(attempts: Sequence[Attempt]) -> Tally:
    """What the breaker needs to know of these outcomes, which are in order of arrival."""
    answered = [attempt for attempt in attempts if attempt.requests]
    failures = [attempt for attempt in answered if attempt.outcome == "retry"]
    rejects = [attempt for attempt in answered if attempt.outcome == "rejected"]
    trailing = 0
    for attempt in reversed(answered):
        if attempt.outcome != "retry":
            break
        trailing += 1
    return Tally(
        successes=sum(attempt.outcome in {"synced", "rejected"} for attempt in answered),
        failures=len(failures),
        trailing_failures=trailing,
        rejects=len(rejects),
        last_failure=(failures[-1].message or "") if failures else "",
        last_reject=(rejects[-1].message or "") if rejects else "",
    )
