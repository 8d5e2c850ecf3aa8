"""Looks at a CRM's account on a person's or a schedule's demand, and creates there what the mapping needs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import partial

import sqlalchemy as sa

from crm_pipelines.contacts.fields import custom_fields_in_use, values_in_use
from crm_pipelines.contacts.twins import count_twins, in_words
from crm_pipelines.crms.schema import Finding, InUse, NewAttribute, ProvisionError, ValuesInUse
from crm_pipelines.crms.turns import Turn
from crm_pipelines.delivery.account.identity import admit, judge
from crm_pipelines.delivery.account.learning import learn_now
from crm_pipelines.delivery.account.opening import Account
from crm_pipelines.delivery.pace.gatekeeping import pacer_for
from crm_pipelines.destinations.gates import SANDBOX, Gate, OtherAccount
from crm_pipelines.destinations.registered import long_selected


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """What was found, and whether a gate that was closed for the key or a setting was opened for it."""

    findings: Sequence[Finding]
    reopened: bool

    @property
    def problems(self) -> list[Finding]:
        """What keeps contacts or values from arriving."""
        return [finding for finding in self.findings if finding.blocking and not finding.ok]


def check_account(account: Account) -> Preflight:
    """Everything that would keep contacts from arriving.

    Sending that was stopped for the key, or for a setting, goes on once that is accepted, whatever else is found.
    """
    gate = account.gate
    state = gate.read()
    findings = [*_waiting_gate(state), *_twins(account.engine), *_selected_long_ago(account.engine, state)]
    findings += account.crm.check(
        turn=pacer_for(gate, account.destination.rate_limit_per_second).wait,
        custom_fields=custom_fields_in_use(account.engine),
        judge=partial(judge, gate, account.crm),
        values_in_use=_values_in_use(account.engine),
    )
    reopened = _is_accepted(gate.read(), findings)
    if reopened:
        gate.open()
    return Preflight(findings=findings, reopened=reopened)


def _is_accepted(gate: Gate, findings: Sequence[Finding]) -> bool:
    """Whether sending was stopped for what the CRM accepts by now: the key, and the setting if it was for that."""
    asked = {"key", "setting"} if gate.closed_for_settings else {"key"}
    told = [one.ok for one in findings if one.about in asked]
    return gate.refuses and bool(told) and all(told)


def _waiting_gate(gate: Gate) -> Iterator[Finding]:
    """No obstacle to a check: it is what a person does before opening the gate."""
    if gate.waits_for_a_person:
        detail = f"nothing is sent until {gate.paused_until_in_words}. {gate.pause_reason}"
        yield Finding(ok=False, subject="Gate", detail=detail, blocking=False)


def _twins(engine: sa.Engine) -> Iterator[Finding]:
    with engine.connect() as connection:
        if found := in_words(count_twins(connection)):
            yield Finding(ok=False, subject="Contacts", detail=found, blocking=False)


def _selected_long_ago(engine: sa.Engine, gate: Gate) -> Iterator[Finding]:
    """Before the first delivery: what was selected while nobody delivered there may be meant no more."""
    if gate.account is not None:
        return
    with engine.connect() as connection:
        contacts, since = long_selected(connection, gate.crm)
    if since is not None:
        detail = (
            f"Selected for {gate.crm} more than a day ago: {contacts}, the first on {since.astimezone(UTC):%Y-%m-%d}. "
            "Nothing was sent there so far; the next run sends them. To take them back first: "
            f"`crm-pipelines contacts unselect {gate.crm} --where-status Selected`."
        )
        yield Finding(ok=False, subject="Contacts", detail=detail, blocking=False)


def plan_account(account: Account) -> list[NewAttribute]:
    """What `provision_account` would create. Raises as that does."""
    if account.crm.schema is None:
        return []
    return account.crm.schema.plan(
        turn=_turns(account),
        custom_fields=custom_fields_in_use(account.engine),
        values_in_use=_values_in_use(account.engine),
    )


def provision_account(account: Account, *, dry_run: bool) -> list[str]:
    """Create the attributes and options that the mapping and the contacts' custom fields need; returns their names.

    Contacts that left out a value which can be sent now are queued at once. Raises OtherAccount, AccountMixup or
    AccountUnknown when the account is not the one of the contacts, and ProvisionError, with the names of those that
    were created nevertheless.
    """
    turn, engine, crm = _turns(account), account.engine, account.crm
    if crm.schema is None:
        return []
    try:
        names = crm.schema.provision(
            dry_run=dry_run,
            turn=turn,
            custom_fields=custom_fields_in_use(engine),
            values_in_use=_values_in_use(engine),
        )
    except ProvisionError as error:
        if error.created:
            learn_now(engine, crm, turn)
        raise
    if names and not dry_run:
        learn_now(engine, crm, turn)
    return names


def _turns(account: Account) -> Turn:
    """Turns for requests to the account of the contacts; after the sandbox, to the real one that is got ready."""
    turns = pacer_for(account.gate, account.destination.rate_limit_per_second).wait
    try:
        admit(account.gate, account.crm, turn=turns)
    except OtherAccount:
        if account.gate.read().account != SANDBOX:
            raise
    return turns


def _values_in_use(engine: sa.Engine) -> ValuesInUse:
    def find(fields: Sequence[str]) -> dict[str, InUse]:
        return {
            field: InUse(values=values, more=more) for field, (values, more) in values_in_use(engine, fields).items()
        }

    return find
