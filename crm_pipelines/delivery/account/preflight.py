"""Looks at a CRM's account on a person's or a schedule's demand, and creates there what the mapping needs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import partial

import sqlalchemy as sa

from crm_pipelines.contacts.fields import custom_fields_in_use, texts_in_use, values_in_use
from crm_pipelines.contacts.stale import count_stale, stale_in_words
from crm_pipelines.contacts.twins import count_twins
from crm_pipelines.contacts.twins import in_words as twins_in_words
from crm_pipelines.crms.schema import Finding, InUse, NewAttribute, ProvisionError, ValuesInUse
from crm_pipelines.crms.turns import Turn
from crm_pipelines.delivery.account.completeness import blank_attributes, go_on_if_complete, would_wait
from crm_pipelines.delivery.account.formats import finding, misread
from crm_pipelines.delivery.account.identity import admit, judge
from crm_pipelines.delivery.account.learning import learn_now
from crm_pipelines.delivery.account.opening import Account
from crm_pipelines.delivery.pace.gatekeeping import count_aside, pacer_for
from crm_pipelines.destinations.gates import SANDBOX, Gate, OtherAccount
from crm_pipelines.destinations.registered import long_selected
from crm_pipelines.settings import variable_of


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """What was found, and whether sending, which had stopped for the key, a setting or attributes, goes on for it."""

    findings: Sequence[Finding]
    reopened: bool

    @property
    def problems(self) -> list[Finding]:
        """What keeps contacts or values from arriving."""
        return [finding for finding in self.findings if finding.blocking and not finding.ok]


def check_account(account: Account) -> Preflight:
    """Everything that would keep contacts from arriving.

    Sending that was stopped for the key, for a setting or for attributes goes on once that is mended, whatever else is
    found.
    """
    gate = account.gate
    turn = pacer_for(gate, account.destination.rate_limit_per_second).wait
    waited = gate.read().waits_for_attributes
    state = go_on_if_complete(account, turn=turn, by_hand=True)
    findings = [*_waiting_gate(state), *_twins(account.engine), *_selected_long_ago(account.engine, state)]
    findings += _stale(account)
    custom_fields = custom_fields_in_use(account.engine)
    count_aside(gate, account.crm)
    findings += account.crm.check(
        turn=turn,
        custom_fields=custom_fields,
        judge=partial(judge, gate, account.crm),
        values_in_use=_values_in_use(account.engine),
        blank=_blank(account),
    )
    findings += _misread(account, custom_fields, turn)
    waits = gate.read().waits_for_attributes
    if (waits or all(one.ok for one in findings if one.blocking)) and (reason := would_wait(account, turn=turn)):
        findings.append(Finding(ok=False, subject="Sending", detail=_waiting(reason, account.crm.name, since=waits)))
    reopened = _is_accepted(gate.read(), findings)
    if reopened:
        gate.open()
    return Preflight(findings=findings, reopened=reopened or (waited and not gate.read().waits_for_attributes))


def _blank(account: Account) -> frozenset[str]:
    return frozenset() if account.crm.schema is None else blank_attributes(account.engine, account.crm)


def _is_accepted(gate: Gate, findings: Sequence[Finding]) -> bool:
    """Whether sending was stopped for what the CRM accepts by now: the key, and the setting if it was for that."""
    asked = {"key", "setting"} if gate.closed_for_settings else {"key"}
    told = [one.ok for one in findings if one.about in asked]
    return gate.refuses and bool(told) and all(told)


def _waiting(reason: str, crm: str, *, since: bool) -> str:
    """`since`: a run has found it, and sending waits; otherwise the next run would."""
    create = f"`crm-pipelines provision {crm}`"
    if since:
        return (
            f"{reason} Nothing is sent until they are created ({create}), or somebody sends without them "
            f"(`crm-pipelines gate open {crm}`)."
        )
    return f"{reason} The next run sends nothing and waits for you, unless they are created before: {create}."


def _waiting_gate(gate: Gate) -> Iterator[Finding]:
    """No obstacle to a check: it is what a person does before opening the gate."""
    if gate.waits_for_a_person and not gate.waits_for_attributes:
        detail = f"nothing is sent until {gate.paused_until_in_words}. {gate.pause_reason}"
        yield Finding(ok=False, subject="Gate", detail=detail, blocking=False)


def _twins(engine: sa.Engine) -> Iterator[Finding]:
    with engine.connect() as connection:
        if found := twins_in_words(count_twins(connection)):
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


def _misread(account: Account, custom_fields: Iterable[str], turn: Turn) -> list[Finding]:
    """Custom fields of which values are left out for how they are written."""
    texts = texts_in_use(account.engine, sorted(custom_fields))
    crm, own = account.crm, account.destination.mapping_file
    if texts and crm.schema is not None and crm.attributes_version is None:
        # Before the first run nobody has looked which of them are numbers at the CRM.
        crm.know(crm.schema.attributes(turn=turn)[1])
    shipped = f"a copy of the shipped mapping file, which {variable_of(crm.name, 'mapping_file')} names"
    return [finding(one, "the mapping file" if own else shipped) for one in misread(crm, texts)]


def _stale(account: Account) -> Iterator[Finding]:
    name = account.queue.crm
    if found := stale_in_words(name, count_stale(account.engine, name, account.crm.mapping_version)):
        yield Finding(ok=False, subject="Mapping", detail=found, blocking=False)


@dataclass(frozen=True, kw_only=True)
class ProvisionPlan:
    """What would be created, and the attributes of the mapping that are missing and that no contact has a value for."""

    new: Sequence[NewAttribute]
    not_needed: Sequence[str] = ()


def plan_account(account: Account, *, everything: bool = False) -> ProvisionPlan:
    """What `provision_account` would create. Raises as that does."""
    if account.crm.schema is None:
        return ProvisionPlan(new=[])
    blank = frozenset[str]() if everything else _blank(account)
    plan = account.crm.schema.plan(
        turn=_turns(account),
        custom_fields=custom_fields_in_use(account.engine),
        values_in_use=_values_in_use(account.engine),
    )
    needed = [one for one in plan if one.exists or one.name not in blank]
    return ProvisionPlan(new=needed, not_needed=[one.name for one in plan if one not in needed])


def provision_account(account: Account, *, dry_run: bool, everything: bool = False) -> list[str]:
    """Create the attributes and options that the mapping and the contacts' custom fields need; returns their names.

    With `everything`, also those that no contact has a value for. Contacts that left out a value which can be sent now
    are queued at once, and sending that waits for the attributes goes on. Raises OtherAccount, AccountMixup or
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
            blank=frozenset() if everything else _blank(account),
        )
    except ProvisionError as error:
        if error.created:
            learn_now(engine, crm, turn)
        raise
    if names and not dry_run:
        learn_now(engine, crm, turn)
    if not dry_run:
        go_on_if_complete(account, turn=turn, by_hand=True)
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
