"""Which account the credentials open, and whether it is the one that the contacts of this database were delivered to.

Every way to a CRM passes here first: what is kept of one account (states, numbers, hashes) says nothing about another.
For credentials that are known to open the account, no request is made. Failure policy: closed. While it cannot be told
which account it is, nothing is claimed or sent.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from crm_pipelines.crms.base import Crm, Identity
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.schema import Finding
from crm_pipelines.crms.turns import Turn
from crm_pipelines.delivery.pace.gatekeeping import close, count_aside
from crm_pipelines.delivery.pace.rates import LONGEST_PAUSE
from crm_pipelines.delivery.pace.session import CrmSession
from crm_pipelines.destinations.gates import (
    MAX_FAILURES_IN_A_ROW,
    SANDBOX,
    AccountTaken,
    Gate,
    GateKeeper,
    Tally,
)
from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.scrubbing import scrub


class AccountUnknown(CrmPipelinesError):
    """Which account the credentials open is not known, so nothing is sent."""


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """The gate for whoever sends to this account, and how many contacts are New again since it is another one."""

    gate: GateKeeper
    forgotten: int = 0


def admit_run(session: CrmSession, *, move: bool) -> Admitted:
    """Admit a run, which takes its turn at the gate when the account has to be asked for.

    With `move`, the account that the credentials open takes the place of another one, which is forgotten. Raises
    OtherAccount without it, AccountUnknown, AccountMixup, AccountTaken, or GatePaused when the account is not known and
    cannot be asked for.
    """
    gate, crm = session.gate, session.crm
    account = account_of(gate, crm, turn=session.turn, is_run=True)
    bind = partial(gate.bind_account, account, crm.credentials_fingerprint, move=move)
    return Admitted(forgotten=session.patiently(bind), gate=gate.of(account))


def admit(gate: GateKeeper, crm: Crm, *, turn: Turn) -> GateKeeper:
    """The gate for whoever goes on with what is known of the account; before the first run, for any account but that of
    another destination.

    Nothing is forgotten here. Raises OtherAccount, AccountMixup, AccountTaken or AccountUnknown, and what
    `turn` raises.
    """
    if gate.read().account_is_open:
        if gate.others:
            gate.require_own(account_of(gate, crm, turn=turn))
        return gate
    account = account_of(gate, crm, turn=turn)
    gate.bind_account(account, crm.credentials_fingerprint, move=False)
    return gate.of(account)


def account_of(gate: GateKeeper, crm: Crm, *, turn: Turn, is_run: bool = False) -> str:
    """The account that the credentials open; asked for unless it is known. Raises AccountUnknown.

    Of a run no more than this request is ever made while it fails, so it is an outage by itself: that many in a row
    would take as many ticks, and everybody would be told until then that contacts are being delivered.
    """
    state = gate.read()
    if state.account is not None and state.knows(crm.credentials_fingerprint):
        return state.account
    count_aside(gate, crm)
    outcome, identity = crm.identify(turn=turn)
    _tell(gate, crm, outcome, in_a_row=MAX_FAILURES_IN_A_ROW if is_run else 1)
    if outcome.result is not Result.SYNCED:
        said = scrub(outcome.message or outcome.kind or "")
        raise AccountUnknown(f"{crm.name} did not tell which account the credentials open, so nothing is sent. {said}")
    if identity is None or _tells_too_little(state, identity):
        raise AccountUnknown(_untold(crm.name))
    return _name_of(identity)


def judge(gate: GateKeeper, crm: Crm, identity: Identity | None) -> Finding:
    """See `finding`. Should a key that is known open another account than it did, the next run asks for it again."""
    state = gate.read()
    found = finding(state, identity)
    if not found.ok and identity is not None and state.account is not None and not _tells_too_little(state, identity):
        gate.distrust_key(state.account, crm.credentials_fingerprint)
    try:
        if identity is not None:
            gate.require_own(_name_of(identity))
    except AccountTaken as taken:
        return Finding(ok=False, subject="Account", detail=str(taken))
    return found


def finding(gate: Gate, identity: Identity | None) -> Finding:
    """For people who check an account: which one it is, and whether it is that of the contacts. Pure."""
    said = partial(Finding, subject="Account")
    if identity is None or _tells_too_little(gate, identity):
        return said(ok=False, detail=_untold(gate.crm))
    account = _name_of(identity)
    if gate.account is None:
        return said(ok=True, detail=f"{account}; nothing was delivered from this database so far")
    if gate.account == account or (gate.account_is_open and account != SANDBOX):
        return said(ok=True, detail=f"{account}, the one of this database{gate.account_change}")
    if gate.account == SANDBOX:
        detail = f"{account}; this database was used with the sandbox, so the next run unselects all its contacts"
        return said(ok=False, detail=detail, blocking=False)
    detail = f"{account}, but the contacts of this database were delivered to {gate.account}."
    if account == SANDBOX:
        return said(ok=False, detail=f"{detail} The sandbox is not used with it: set the key of that account.")
    return said(
        ok=False,
        detail=f"{detail} The next run unselects all contacts, and nothing is sent until some are selected. If "
        "that is not meant, set the key of that account before the run.",
    )


def _tells_too_little(gate: Gate, identity: Identity) -> bool:
    """Where the account was known by its name, an answer without one tells of no other account."""
    known = None if gate.account_is_open or gate.account == SANDBOX else gate.account
    return known is not None and Identity(account=known).named and not identity.named


def _untold(crm: str) -> str:
    return (
        f"{crm}'s answer does not tell which account the credentials open, so nothing is sent. Check the base URL of "
        "its API and any proxy in between."
    )


def _name_of(identity: Identity) -> str:
    return SANDBOX if identity.sandbox else identity.account


def _tell(gate: GateKeeper, crm: Crm, outcome: Outcome, *, in_a_row: int) -> None:
    """The gate hears of it as of a delivery's outcome; a failure counts for so many."""
    reason = outcome.message or outcome.kind or ""
    if outcome.result is Result.REFUSED:
        close(gate, crm, outcome)
    elif outcome.result is Result.SNOOZED:
        pause = min(outcome.retry_after or timedelta(seconds=1), LONGEST_PAUSE)
        gate.pause("rate_limit", f"The CRM asked to slow down: {reason}", pause)
    elif outcome.result is Result.RETRY:
        gate.judge(Tally(successes=0, failures=1, trailing_failures=in_a_row, rejects=0, last_failure=reason))
