"""What an account has to have for the mapping and the custom fields in use, and creating it. Shared by all CRMs."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Protocol, TypeVar

from crm_pipelines.crms.attributes import AccountAttributes, Known
from crm_pipelines.crms.mapping import CUSTOM, FieldMapping
from crm_pipelines.crms.options import LONGEST_OPTION, Options, spelling
from crm_pipelines.crms.outcomes import Outcome, RateHeaders, Result
from crm_pipelines.crms.schema import Finding, InUse, NewAttribute, ProvisionError, ValuesInUse
from crm_pipelines.crms.values import AttributeType, natural_type


class WithChoices(Known, Protocol):
    """An attribute of which `choices` reads the values."""

    @property
    def choices(self) -> Options: ...


K = TypeVar("K", bound=WithChoices)

# FIRST_NAME and FIRSTNAME, FRSTNAME and FIRSTNAME; not PAGE_ID and EXT_ID, nor FIRSTNAME and LASTNAME.
_NEARLY_THE_SAME = 0.85
# Who has more is no field of choices.
_MOST_OPTIONS = 200


@dataclass(frozen=True)
class Wanted:
    """An attribute that contacts have values for. `mapped` False: a custom field under its own name."""

    type: AttributeType
    options: tuple[str, ...] = ()
    mapped: bool = True
    custom_field: str | None = None  # from which it comes


def wanted_attributes(
    mapping: FieldMapping, custom_fields: Mapping[str, Any], blank: Collection[str] = ()
) -> dict[str, Wanted]:
    """By name. `custom_fields` holds one example value of each custom field in use.

    `blank` are the attributes of the mapping that no contact has a value for: nobody needs them.
    """
    own = mapping.by_own_name(custom_fields)
    return {
        name: Wanted(line.type, line.options, custom_field=_custom_field(line.source))
        for name, line in mapping.attributes.items()
        if name not in blank
    } | {
        name: Wanted(natural_type(custom_fields[field]), mapped=False, custom_field=field)
        for field, name in own.items()
        if name
    }


def options_in_use(
    wanted: Mapping[str, Wanted], values_in_use: ValuesInUse | None, has_options: Callable[[str, Wanted], bool]
) -> dict[str, InUse]:
    """By attribute: the values of the contacts, where the attribute is or will be one of choices or labels."""
    fields = {
        name: one.custom_field
        for name, one in wanted.items()
        if one.custom_field is not None and has_options(name, one)
    }
    if values_in_use is None or not fields:
        return {}
    found = values_in_use(sorted(set(fields.values())))
    return {name: found[field] for name, field in fields.items() if field in found}


def options_of(wanted: Wanted, in_use: InUse | None) -> InUse:
    """What the attribute has to offer. The mapping file's options are all that it lets through."""
    if wanted.options:
        return InUse(values=tuple(json.dumps([one]) for one in wanted.options))
    return in_use or InUse()


def new_attribute(name: str, kind: str, options: InUse, there: Options | None = None) -> NewAttribute:
    """With the options that are `there`, those that are missing."""
    missing = unknown_options(there or Options(()), options)
    takes = [one for one in missing if len(one) <= LONGEST_OPTION]
    more = options.more + max(0, len(takes) - _MOST_OPTIONS)
    remarks = []
    if len(takes) < len(missing):
        remarks.append(f"{len(missing) - len(takes)} values of more than {LONGEST_OPTION} characters are no options")
    if more:
        remarks.append(f"{more} rarer values are not among the options")
    options_to_make = tuple(takes[:_MOST_OPTIONS])
    return NewAttribute(
        name=name, type=kind, options=options_to_make, exists=there is not None, remark="; ".join(remarks)
    )


def planned(
    wanted: Mapping[str, Wanted],
    account: AccountAttributes[K],
    values_in_use: ValuesInUse | None,
    *,
    created_as: Callable[[Wanted], str],
    takes_options: Callable[[Wanted, K | None], bool],
    grows: Callable[[K], bool],
) -> list[NewAttribute]:
    """The missing attributes, by name, then those of which options are missing.

    `created_as` is the CRM's word for the type of one that is made, `grows` whether options may be added to one.
    """
    in_use = options_in_use(wanted, values_in_use, lambda name, one: takes_options(one, account.get(name)))
    missing, grown = [], []
    for name, one in sorted(wanted.items()):
        known, options = account.get(name), options_of(one, in_use.get(name))
        if known is None:
            missing.append(new_attribute(name, created_as(one), options))
        elif takes_options(one, known) and grows(known):
            grown.append(new_attribute(name, known.type, options, known.choices))
    return [*missing, *(one for one in grown if one.options)]


def unknown_options(there: Options, in_use: InUse) -> list[str]:
    """What the values name that is no option yet, the most frequent first, each in one spelling."""
    named = (item for value in in_use.values for item in there.read(value)[1])
    return list({spelling(item): item for item in reversed(list(named))}.values())[::-1]


def create_all(
    plan: Sequence[NewAttribute],
    create: Callable[[NewAttribute], Outcome],
    *,
    is_there: Callable[[Outcome], bool],
    label: str,
) -> list[str]:
    """Create what is planned; returns the names. One that `is_there` already was created by somebody faster.

    One that the CRM refuses keeps no other one from being created. Raises ProvisionError, with those that were.
    """
    done: list[str] = []
    refused: list[str] = []
    for one in plan:
        outcome = create(one)
        if outcome.result is Result.SYNCED:
            done.append(one.name)
        elif not one.exists and is_there(outcome):
            continue
        else:
            what = "add options to" if one.exists else "create"
            refused.append(f"{label} did not {what} the attribute {one.name}. {outcome.message}")
            if outcome.result is not Result.REJECTED:
                break  # it is not about this one
    if refused:
        raise ProvisionError(" ".join(refused), created=done, refused=refused)
    return done


def not_needed(blank: Collection[str], there: Collection[str], destination: str) -> Iterator[Finding]:
    """That the account may well lack these, in one line; nothing where it lacks none."""
    if lacking := ", ".join(sorted(set(blank) - set(there))):
        detail = (
            f"no contact has a value, so none is needed; `crm-pipelines provision {destination} --all` creates them"
        )
        yield Finding(ok=True, subject=lacking, detail=detail, blocking=False)


def suggestion(name: str, possible: Iterable[str], mapping: FieldMapping) -> str | None:
    """The attribute of the account that a missing one may mean; None: none that is nearly the same.

    `possible` take the values. What the mapping sends already, or must not send, is none.
    """
    plain = {
        _plain(one): one for one in sorted(possible) if not mapping.reserves(one) and one not in mapping.attributes
    }
    near = get_close_matches(_plain(name), plain, n=1, cutoff=_NEARLY_THE_SAME)
    return plain[near[0]] if near else None


def _plain(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")


def label_of(name: str, wanted: Wanted) -> str:
    """What people at the CRM read: the name of the custom field."""
    return wanted.custom_field or name.replace("_", " ").capitalize()


def rate_limit(label: str, rate: RateHeaders) -> Finding:
    """What an answer told of the rate limit, as a finding of a check."""
    if rate.limit is None or rate.window is None:
        return Finding(ok=True, subject="Rate limit", detail=f"{label}'s answers name none", blocking=False)
    detail = f"{label} names a limit of {rate.limit} requests in {rate.window.total_seconds():g} s"
    return Finding(ok=True, subject="Rate limit", detail=f"{detail}, {rate.remaining} of them left", blocking=False)


def _custom_field(source: str) -> str | None:
    return source.removeprefix(CUSTOM) if source.startswith(CUSTOM) else None
