"""Whether the account has what the contacts' values need, asked before anything is sent.

Before the first delivery to an account, and before the first one by another mapping, nothing is sent until the account
lacks nothing, or a user says that it is sent without. What turns up later stops nothing: it is left out, told, and sent
once it can be. Failure policy: closed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from crm_pipelines.contacts.fields import FieldsInUse, fields_in_use
from crm_pipelines.crms.base import Mapper
from crm_pipelines.crms.registry import mapper_of
from crm_pipelines.crms.turns import Turn
from crm_pipelines.delivery.account.learning import take_in
from crm_pipelines.delivery.account.opening import Account
from crm_pipelines.destinations.gates import Gate
from crm_pipelines.vocabulary import counted

_MOST_NAMED = 8


@dataclass(frozen=True, kw_only=True)
class Lack:
    """An attribute that `contacts` have a value of the field for, of which none arrives.

    `exists`: the account has it, and takes none of these values.
    """

    attribute: str
    field: str
    contacts: int
    exists: bool


def lacks(in_use: FieldsInUse, *, plain: Mapper, account: Mapper, names: frozenset[str]) -> list[Lack]:
    """What keeps values from arriving that could be sent. Pure.

    `plain` knows of no account and `account` knows this one, whose attributes have these `names`. A value that is sent
    to no account, since it is wrong by itself, counts for nothing; an attribute that takes some of the values is not
    lacking.
    """
    sendable: dict[str, str] = {}
    taken: set[str] = set()
    for contact in in_use.examples:
        for ours, there in zip(plain.explain(contact), account.explain(contact), strict=True):
            if ours.attribute is None or ours.value is None:
                continue
            sendable[ours.attribute] = ours.source
            if there.value is not None:
                taken.add(ours.attribute)
    found = [
        Lack(attribute=name, field=field, contacts=in_use.contacts.get(field, 0), exists=name in names)
        for name, field in sendable.items()
        if name not in taken
    ]
    return sorted(found, key=lambda one: (-one.contacts, one.attribute))


def in_words(title: str, found: Sequence[Lack]) -> str:
    """What of the contacts would not arrive. Pure."""
    missing = [one for one in found if not one.exists]
    unfit = [one for one in found if one.exists]
    said = []
    if missing:
        said.append(f"{title} has no attribute for {counted(len(missing), 'field')}: {_named(missing)}.")
    if unfit:
        said.append(f"{title} takes none of the values of {counted(len(unfit), 'field')}: {_named(unfit)}.")
    return " ".join(said)


def _named(found: Sequence[Lack]) -> str:
    names = [
        f"{one.attribute} ({one.field.removeprefix('custom_fields.')}, {counted(one.contacts, 'contact')})"
        for one in found[:_MOST_NAMED]
    ]
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return f"{', '.join(names)}{more}"


def accepts(account: Account) -> bool:
    """Whether contacts may be sent to the account by the present mapping."""
    return account.crm.schema is None or account.gate.read().accepts(account.crm.mapping_version)


def lacks_of(account: Account, attributes: Sequence[Mapping[str, Any]] | None) -> list[Lack]:
    """By these attributes, which the account's client knows. None: they are not known, so nothing is found."""
    if attributes is None:
        return []
    return lacks(
        fields_in_use(account.engine),
        plain=mapper_of(account.settings, account.crm.name),
        account=account.crm,
        names=frozenset(str(one["name"]) for one in attributes),
    )


def ask_before_sending(account: Account) -> None:
    """Before a run takes contacts: what the account lacks is told, and stops sending, unless it is settled.

    By its attributes as they were seen by this run or last; where they never were, nothing is settled.
    """
    if not account.schema_known:
        return
    gate, version = account.gate.read(), account.crm.mapping_version
    if account.crm.schema is None or (gate.accepts(version) and version in gate.accepted_mappings):
        return
    if not gate.accepts(version) and (found := lacks_of(account, account.attributes.read())):
        account.gate.wait_for_attributes(in_words(account.destination.title, found), version)
    else:
        account.gate.accept(version)


def go_on_if_complete(account: Account, *, turn: Turn, by_hand: bool = False) -> Gate:
    """The gate after one look, where it waits for attributes: it opens once the account lacks nothing any more.

    Without an answer it stays as it is. With another key it opens for the run that asks whose that is, since nothing
    but a run does; `by_hand` it stays. Should another mapping wait, and the present one be settled, as when a change of
    the file was taken back, it opens as well: `by_hand` at once, otherwise when nobody has asked for the other one in
    two intervals.
    """
    gate, version, schema = account.gate.read(), account.crm.mapping_version, account.crm.schema
    if not gate.waits_for_attributes or schema is None:
        return gate
    if not gate.knows(account.crm.credentials_fingerprint):
        if not by_hand:
            account.gate.ask_anew()
        return account.gate.read()
    # Meanwhile a run may change the account, of which this look says nothing.
    account = replace(account, gate=account.gate.of(gate.account)) if gate.account else account
    if version in gate.accepted_mappings and gate.accepts(version):
        interval = timedelta(minutes=account.destination.sync_scheduler_interval_minutes)
        account.gate.end_wait_of_another(version, silence=timedelta() if by_hand else 2 * interval)
        return account.gate.read()
    attributes = schema.attributes(turn=turn)[1]
    if attributes is not None:
        take_in(account.attributes, account.crm, attributes)
        ask_before_sending(account)
    return account.gate.read()


def would_wait(account: Account, *, turn: Turn) -> str | None:
    """What a run by the present mapping would wait for; None: for nothing, or it is not known. Writes nothing."""
    gate = account.gate.read()
    if gate.waits_for_attributes:
        return gate.pause_reason
    if account.crm.schema is None or gate.accepts(account.crm.mapping_version):
        return None
    attributes = account.crm.schema.attributes(turn=turn)[1]
    if attributes is not None:
        account.crm.know(attributes)
    return in_words(account.destination.title, lacks_of(account, attributes)) or None


def blank_attributes(engine: sa.Engine, mapper: Mapper) -> frozenset[str]:
    """Attributes of the mapping that no contact has a value for."""
    filled = fields_in_use(engine).contacts
    return frozenset(
        line.attribute for line in mapper.explain({}) if line.attribute is not None and line.source not in filled
    )
