"""Compares a Brevo account with what the deliveries need, and creates the attributes and options that are missing."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any
from urllib.parse import quote

from crm_pipelines.crms.base import Identity
from crm_pipelines.crms.brevo.api import Api
from crm_pipelines.crms.brevo.attributes import AccountAttributes, Known, described
from crm_pipelines.crms.brevo.identity import identity_of
from crm_pipelines.crms.brevo.mapping import CUSTOM, PHONES, RESERVED, BrevoMapping
from crm_pipelines.crms.brevo.options import LONGEST_OPTION, Options, spelling
from crm_pipelines.crms.brevo.ours import is_foreign_mark
from crm_pipelines.crms.brevo.outcomes import json_object
from crm_pipelines.crms.brevo.values import AttributeType, natural_type
from crm_pipelines.crms.outcomes import Outcome, RateHeaders, Result
from crm_pipelines.crms.schema import Finding, InUse, NewAttribute, ProvisionError, ValuesInUse
from crm_pipelines.crms.turns import Turn
from crm_pipelines.settings import variable_of

# The names that accounts in other languages have for what the shipped mapping calls FIRSTNAME and LASTNAME.
_TRANSLATED = {
    "FIRSTNAME": ("PRENOM", "NOME", "VORNAME", "NOMBRE"),
    "LASTNAME": ("NOM", "COGNOME", "NACHNAME", "APELLIDOS"),
}
# Who has more is no field of choices.
_MOST_OPTIONS = 200
# Types of which some value can be brought to another type of the account; of all others none can.
_CONVERTIBLE = {
    AttributeType.TEXT: frozenset({"float", "boolean", "date", "multiple-choice", "category", "user"}),
    AttributeType.FLOAT: frozenset({"text", "boolean", "multiple-choice", "category", "user"}),
    AttributeType.BOOLEAN: frozenset({"text", "multiple-choice", "category", "user"}),
    AttributeType.DATE: frozenset({"text", "multiple-choice", "category", "user"}),
}
# Of which EXT_ID is looked at; their answer stays far below what is read of one.
_SURVEYED = 100


@dataclass(frozen=True)
class _Wanted:
    type: AttributeType
    options: tuple[str, ...] = ()
    mapped: bool = True  # False: a custom field under its own name
    custom_field: str | None = None  # from which it comes


class Preflight:
    """Looks at one account. `custom_fields` holds one example value of each custom field in use.

    `values_in_use` None: options are those of the mapping file only.
    """

    def __init__(
        self,
        api: Api,
        mapping: BrevoMapping,
        *,
        turn: Turn,
        list_id: int | None,
        keep_marks: bool,
        custom_fields: Mapping[str, Any],
        values_in_use: ValuesInUse | None = None,
    ) -> None:
        self._api = api
        self._ext_id = variable_of(api.destination, "ext_id")
        self._provision = f"crm-pipelines provision {api.destination}."
        self._turn = turn
        self._list_id = list_id
        self._keep_marks = keep_marks
        self._rate = RateHeaders()
        own = mapping.by_own_name(custom_fields)
        self._values_in_use = values_in_use
        self._options_there: dict[str, tuple[str, ...]] = {}
        self._wanted = {
            name: _Wanted(line.type, line.options, custom_field=_custom_field(line.source))
            for name, line in mapping.attributes.items()
        } | {
            name: _Wanted(natural_type(custom_fields[field]), mapped=False, custom_field=field)
            for field, name in own.items()
            if name
        }

    def check(self, judge: Callable[[Identity | None], Finding] | None = None) -> list[Finding]:
        """One finding per thing that was looked at; only the first when the key is not accepted."""
        outcome, account = self._get("/account")
        if outcome.result is not Result.SYNCED:
            return [Finding(ok=False, subject="API key", detail=outcome.message or "")]
        company = account.get("companyName")
        detail = f"accepted, account of {company}" if isinstance(company, str) and company else "accepted"
        return [
            Finding(ok=True, subject="API key", detail=detail),
            *([judge(identity_of(account))] if judge else []),
            *self._check_list(),
            *self._check_attributes(),
            self._check_marks(),
            self._rate_limit(),
        ]

    def plan(self) -> list[NewAttribute]:
        """The missing attributes, by name, then attributes of which options are missing. Raises ProvisionError."""
        outcome, existing = self._existing()
        if outcome.result is not Result.SYNCED:
            raise ProvisionError(f"Brevo did not tell which attributes exist. {outcome.message}")
        wanted = {name: self._wanted[name] for name in sorted(self._wanted.keys() - PHONES)}
        in_use = self._options_in_use(existing)
        missing = [
            _new(name, one.type.in_brevo, _options(one, in_use.get(name)))
            for name, one in wanted.items()
            if existing.get(name) is None
        ]
        grown = [
            _new(name, known.type, _options(one, in_use.get(name)), known)
            for name, one in wanted.items()
            if (known := existing.get(name)) is not None and known.writable and known.type == "multiple-choice"
        ]
        return [*missing, *(one for one in grown if one.options)]

    def provision(self, *, dry_run: bool) -> list[str]:
        """Create missing attributes and options; all else stays as it is.

        One that Brevo refuses keeps no other one from being created. Raises ProvisionError, with those that were.
        """
        done: list[str] = []
        refused: list[str] = []
        for one in self.plan():
            if dry_run:
                done.append(one.name)
                continue
            outcome = self._grow(one) if one.exists else self._create(one)
            if outcome.result is Result.SYNCED:
                done.append(one.name)
            elif not one.exists and "must be unique" in (outcome.message or ""):
                continue  # somebody else was faster
            else:
                what = "add options to" if one.exists else "create"
                refused.append(f"Brevo did not {what} the attribute {one.name}. {outcome.message}")
                if outcome.result is not Result.REJECTED:
                    break  # it is not about this one
        if refused:
            raise ProvisionError(" ".join(refused), created=done, refused=refused)
        return done

    def _create(self, new: NewAttribute) -> Outcome:
        definition: dict[str, Any] = {"type": new.type}
        if new.options:
            definition["multiCategoryOptions"] = list(new.options)
        return self._request("POST", _path(new.name), json=definition)[0]

    def _grow(self, new: NewAttribute) -> Outcome:
        # Whether this list is added to the options or replaces them is said nowhere, so it holds those there are, too.
        kept = self._options_there[new.name]
        return self._request("PUT", _path(new.name), json={"multiCategoryOptions": [*kept, *new.options]})[0]

    def _options_in_use(self, existing: AccountAttributes) -> dict[str, InUse]:
        """By attribute: the values of the contacts, where the attribute is or will be one of choices or labels."""
        fields = {
            name: one.custom_field
            for name, one in self._wanted.items()
            if one.custom_field is not None and _has_options(one, existing.get(name))
        }
        self._options_there = {name: known.options for name in fields if (known := existing.get(name))}
        if self._values_in_use is None or not fields:
            return {}
        found = self._values_in_use(sorted(set(fields.values())))
        return {name: found[field] for name, field in fields.items() if field in found}

    def _check_list(self) -> list[Finding]:
        if self._list_id is None:
            return []
        subject = f"List {self._list_id}"
        outcome, body = self._get(f"/contacts/lists/{self._list_id}")
        if outcome.result is Result.SYNCED:
            return [Finding(ok=True, subject=subject, detail=f"exists: {body.get('name', '')}")]
        said, advice = outcome.message or "", self._api.advice["list"]
        detail = said if said.endswith(advice) else f"{said} {advice}"
        return [Finding(ok=False, subject=subject, detail=detail)]

    def _check_attributes(self) -> list[Finding]:
        outcome, existing = self._existing()
        if outcome.result is not Result.SYNCED:
            return [Finding(ok=False, subject="Attributes", detail=outcome.message or "")]
        in_use = self._options_in_use(existing)
        # Brevo may not list the phone attributes, which every account has.
        return [
            _judge(name, wanted, existing, in_use.get(name), self._provision)
            for name, wanted in self._wanted.items()
            if existing.get(name) is not None or name not in PHONES
        ]

    def _existing(self) -> tuple[Outcome, AccountAttributes]:
        """The account's attributes; none unless SYNCED."""
        outcome, body = self._get("/contacts/attributes")
        rows = described(body)
        if outcome.result is Result.SYNCED and rows is None:
            outcome = self._api.not_brevos(outcome)
        return outcome, AccountAttributes(rows or ())

    def _check_marks(self) -> Finding:
        """Of the newest contacts only, in one request: a sample tells that there is another system."""
        outcome, body = self._get("/contacts", limit=str(_SURVEYED))
        if outcome.result is not Result.SYNCED:
            return Finding(ok=False, subject="EXT_ID", detail=outcome.message or "", blocking=False)
        listed = body.get("contacts")
        contacts = listed if isinstance(listed, list) else []
        foreign = sum(is_foreign_mark(contact) for contact in contacts if isinstance(contact, dict))
        if not foreign:
            detail = f"of the newest {len(contacts)} contacts none bears that of another system"
            return Finding(ok=True, subject="EXT_ID", detail=detail, blocking=False)
        found = f"{foreign} of the newest {len(contacts)} contacts bear that of another system"
        if self._keep_marks:
            detail = f"{found}; it stays ({self._ext_id}=keep), and each update of such a contact takes a request more"
            return Finding(ok=True, subject="EXT_ID", detail=detail, blocking=False)
        detail = f"{found}, and a delivery overwrites it: set {self._ext_id}=keep unless you want that."
        return Finding(ok=False, subject="EXT_ID", detail=detail, blocking=False)

    def _rate_limit(self) -> Finding:
        if self._rate.limit is None:
            return Finding(ok=True, subject="Rate limit", detail="Brevo's answers name none", blocking=False)
        detail = f"Brevo names a limit of {self._rate.limit} requests, {self._rate.remaining} of them left"
        return Finding(ok=True, subject="Rate limit", detail=detail, blocking=False)

    def _get(self, path: str, **params: str) -> tuple[Outcome, dict[str, Any]]:
        return self._request("GET", path, params=params or None)

    def _request(self, method: str, path: str, **sent: Any) -> tuple[Outcome, dict[str, Any]]:
        ask = self._api.ask if method == "GET" else self._api.write
        outcome, answer = ask(method, path, self._turn, **sent)
        if answer is not None and path.startswith("/contacts"):
            self._rate = outcome.rate
        return outcome, json_object(answer) or {}


def _custom_field(source: str) -> str | None:
    return source.removeprefix(CUSTOM) if source.startswith(CUSTOM) else None


def _path(name: str) -> str:
    return f"/contacts/attributes/normal/{quote(name, safe='')}"


def _has_options(wanted: _Wanted, known: Known | None) -> bool:
    if known is None:
        return wanted.type is AttributeType.CHOICES
    return known.writable and known.type in {"multiple-choice", "category"}


def _options(wanted: _Wanted, in_use: InUse | None) -> InUse:
    """What the attribute has to offer. The mapping file's options are all that it lets through."""
    if wanted.options:
        return InUse(values=tuple(json.dumps([one]) for one in wanted.options))
    return in_use or InUse()


def _new(name: str, kind: str, options: InUse, known: Known | None = None) -> NewAttribute:
    """With `known`, those that are missing."""
    missing = _unknown(known.choices if known else Options(()), options)
    takes = [one for one in missing if len(one) <= LONGEST_OPTION]
    more = options.more + max(0, len(takes) - _MOST_OPTIONS)
    remarks = []
    if len(takes) < len(missing):
        remarks.append(f"{len(missing) - len(takes)} values of more than {LONGEST_OPTION} characters are no options")
    if more:
        remarks.append(f"{more} rarer values are not among the options")
    options_to_make = tuple(takes[:_MOST_OPTIONS])
    return NewAttribute(
        name=name, type=kind, options=options_to_make, exists=known is not None, remark="; ".join(remarks)
    )


def _unknown(there: Options, in_use: InUse) -> list[str]:
    """What the values name that is no option yet, the most frequent first, each in one spelling."""
    named = (item for value in in_use.values for item in there.read(value)[1])
    return list({spelling(item): item for item in reversed(list(named))}.values())[::-1]


def _judge(name: str, wanted: _Wanted, existing: AccountAttributes, in_use: InUse | None, provision: str) -> Finding:
    subject = f"Attribute {name}"
    found = existing.get(name)
    if found is None:
        there = [other for other in existing.names if other not in RESERVED]
        near = next((other for other in _TRANSLATED.get(name, ()) if other in there), None)
        near = near or next(iter(get_close_matches(name, there, n=1)), None)
        hint = f"Is it {near}? Then correct the mapping file; or else run" if near else "Run"
        detail = f"does not exist, so its values are left out. {hint} {provision}"
        return Finding(ok=False, subject=subject, detail=detail, blocking=wanted.mapped)
    if not found.writable:
        why = "belongs to orders" if found.category == "transactional" else "Brevo computes it"
        detail = f"is {found.category}: {why}, and it cannot be written. Name another one in the mapping file."
        return Finding(ok=False, subject=subject, detail=detail, blocking=wanted.mapped)
    if found.type == "category" and not found.numbers:
        detail = "is a category of which Brevo tells no labels, so only numbers are sent. Add its labels at Brevo."
        return Finding(ok=False, subject=subject, detail=detail, blocking=False)
    if missing := _not_known(found, _options(wanted, in_use)):
        kind, add = ("labels", "Add them at Brevo.") if found.type == "category" else ("options", f"Run {provision}")
        detail = f"exists, {found.type}, but {missing} values in use are none of its {kind} and are left out. {add}"
        return Finding(ok=False, subject=subject, detail=detail, blocking=False)
    if found.type != wanted.type.in_brevo and (wanted.mapped or not _convertible(wanted.type, found.type)):
        fits = _convertible(wanted.type, found.type)
        what = "values that fit it are converted, others left out" if fits else "its values are left out"
        detail = f"is of type {found.type}, not {wanted.type}: {what}. Correct the type in the mapping file."
        return Finding(ok=False, subject=subject, detail=detail, blocking=wanted.mapped and not fits)
    return Finding(ok=True, subject=subject, detail=f"exists, {found.type}")


def _convertible(ours: AttributeType, theirs: str) -> bool:
    return theirs in _CONVERTIBLE.get(ours, ())


def _not_known(known: Known, in_use: InUse) -> int:
    """How many of these values the attribute has no option or label for."""
    if known.type == "category":
        return sum(known.number_of(one) is None for one in in_use.values) + in_use.more
    if known.type == "multiple-choice":
        return len(_unknown(known.choices, in_use)) + in_use.more
    return 0
