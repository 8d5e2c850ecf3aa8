"""Compares a Brevo account with what the deliveries need, and creates the attributes and options that are missing."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Literal
from urllib.parse import quote

from crm_pipelines.crms.answers import json_object
from crm_pipelines.crms.base import Identity
from crm_pipelines.crms.brevo.api import BrevoApi
from crm_pipelines.crms.brevo.attributes import BrevoAttribute, BrevoAttributes, brevo_type, described
from crm_pipelines.crms.brevo.identity import identity_of
from crm_pipelines.crms.brevo.mapping import PHONES, RESERVED, BrevoMapping
from crm_pipelines.crms.brevo.ours import is_foreign_mark
from crm_pipelines.crms.outcomes import Outcome, RateHeaders, Result
from crm_pipelines.crms.schema import Finding, InUse, NewAttribute, ProvisionError, ValuesInUse
from crm_pipelines.crms.turns import Turn
from crm_pipelines.crms.values import AttributeType
from crm_pipelines.crms.wanted import (
    Wanted,
    create_all,
    new_attribute,
    options_in_use,
    options_of,
    unknown_options,
    wanted_attributes,
)
from crm_pipelines.settings import BrevoSettings, variable_of

# The names that accounts in other languages have for what the shipped mapping calls FIRSTNAME and LASTNAME.
_TRANSLATED = {
    "FIRSTNAME": ("PRENOM", "NOME", "VORNAME", "NOMBRE"),
    "LASTNAME": ("NOM", "COGNOME", "NACHNAME", "APELLIDOS"),
}
# Types of which some value can be brought to another type of the account; of all others none can.
_CONVERTIBLE = {
    AttributeType.TEXT: frozenset({"float", "boolean", "date", "multiple-choice", "category", "user"}),
    AttributeType.FLOAT: frozenset({"text", "boolean", "multiple-choice", "category", "user"}),
    AttributeType.BOOLEAN: frozenset({"text", "multiple-choice", "category", "user"}),
    AttributeType.DATE: frozenset({"text", "multiple-choice", "category", "user"}),
}
# Of which EXT_ID is looked at; their answer stays far below what is read of one.
_SURVEYED = 100


class BrevoPreflight:
    """Looks at one account. `custom_fields` holds one example value of each custom field in use.

    `values_in_use` None: options are those of the mapping file only.
    """

    def __init__(
        self,
        api: BrevoApi,
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
        self._values_in_use = values_in_use
        self._options_there: dict[str, tuple[str, ...]] = {}
        self._wanted = wanted_attributes(mapping, custom_fields)

    def check(self, judge: Callable[[Identity | None], Finding] | None = None) -> list[Finding]:
        """One finding per thing that was looked at; only the first when the key is not accepted."""
        outcome, account = self._get("/account")
        if outcome.result is not Result.SYNCED:
            return [Finding(ok=False, subject="API key", detail=outcome.message or "", about="key")]
        company = account.get("companyName")
        detail = f"accepted, account of {company}" if isinstance(company, str) and company else "accepted"
        return [
            Finding(ok=True, subject="API key", detail=detail, about="key"),
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
            new_attribute(name, brevo_type(one.type), options_of(one, in_use.get(name)))
            for name, one in wanted.items()
            if existing.get(name) is None
        ]
        grown = [
            new_attribute(name, known.type, options_of(one, in_use.get(name)), known.choices)
            for name, one in wanted.items()
            if (known := existing.get(name)) is not None and known.writable and known.type == "multiple-choice"
        ]
        return [*missing, *(one for one in grown if one.options)]

    def provision(self, *, dry_run: bool) -> list[str]:
        """Create missing attributes and options; all else stays as it is. Raises ProvisionError as `create_all`."""
        plan = self.plan()
        if dry_run:
            return [one.name for one in plan]
        return create_all(
            plan,
            lambda one: self._grow(one) if one.exists else self._create(one),
            is_there=lambda outcome: "must be unique" in (outcome.message or ""),
            label=BrevoSettings.label,
        )

    def _create(self, new: NewAttribute) -> Outcome:
        definition: dict[str, Any] = {"type": new.type}
        if new.options:
            definition["multiCategoryOptions"] = list(new.options)
        return self._request("POST", _path(new.name), json=definition)[0]

    def _grow(self, new: NewAttribute) -> Outcome:
        # Whether this list is added to the options or replaces them is said nowhere, so it holds those there are, too.
        kept = self._options_there[new.name]
        return self._request("PUT", _path(new.name), json={"multiCategoryOptions": [*kept, *new.options]})[0]

    def _options_in_use(self, existing: BrevoAttributes) -> dict[str, InUse]:
        """By attribute: the values of the contacts, where the attribute is or will be one of choices or labels."""
        self._options_there = {
            name: known.options for name in self._wanted if (known := existing.get(name)) is not None
        }
        return options_in_use(
            self._wanted, self._values_in_use, lambda name, one: _has_options(one, existing.get(name))
        )

    def _check_list(self) -> list[Finding]:
        if self._list_id is None:
            return []
        subject = f"List {self._list_id}"
        outcome, body = self._get(f"/contacts/lists/{self._list_id}")
        if outcome.result is Result.SYNCED:
            return [Finding(ok=True, subject=subject, detail=f"exists: {body.get('name', '')}", about="setting")]
        said, advice = outcome.message or "", self._api.advice["list"]
        detail = said if said.endswith(advice) else f"{said} {advice}"
        return [Finding(ok=False, subject=subject, detail=detail, about="setting")]

    def _check_attributes(self) -> list[Finding]:
        outcome, existing = self._existing()
        if outcome.result is not Result.SYNCED:
            about: Literal["key"] | None = "key" if outcome.result is Result.REFUSED else None
            return [Finding(ok=False, subject="Attributes", detail=outcome.message or "", about=about)]
        in_use = self._options_in_use(existing)
        # Brevo may not list the phone attributes, which every account has.
        return [
            _judge(name, wanted, existing, in_use.get(name), self._provision)
            for name, wanted in self._wanted.items()
            if existing.get(name) is not None or name not in PHONES
        ]

    def _existing(self) -> tuple[Outcome, BrevoAttributes]:
        """The account's attributes; none unless SYNCED."""
        outcome, body = self._get("/contacts/attributes")
        rows = described(body)
        if outcome.result is Result.SYNCED and rows is None:
            outcome = self._api.foreign(outcome)
        return outcome, BrevoAttributes(rows or ())

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


def _path(name: str) -> str:
    return f"/contacts/attributes/normal/{quote(name, safe='')}"


def _has_options(wanted: Wanted, known: BrevoAttribute | None) -> bool:
    if known is None:
        return wanted.type is AttributeType.CHOICES
    return known.writable and known.type in {"multiple-choice", "category"}


def _judge(name: str, wanted: Wanted, existing: BrevoAttributes, in_use: InUse | None, provision: str) -> Finding:
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
    if missing := _not_known(found, options_of(wanted, in_use)):
        kind, add = ("labels", "Add them at Brevo.") if found.type == "category" else ("options", f"Run {provision}")
        detail = f"exists, {found.type}, but {missing} values in use are none of its {kind} and are left out. {add}"
        return Finding(ok=False, subject=subject, detail=detail, blocking=False)
    if found.type != brevo_type(wanted.type) and (wanted.mapped or not _convertible(wanted.type, found.type)):
        fits = _convertible(wanted.type, found.type)
        what = "values that fit it are converted, others left out" if fits else "its values are left out"
        detail = f"is of type {found.type}, not {wanted.type}: {what}. Correct the type in the mapping file."
        return Finding(ok=False, subject=subject, detail=detail, blocking=wanted.mapped and not fits)
    return Finding(ok=True, subject=subject, detail=f"exists, {found.type}")


def _convertible(ours: AttributeType, theirs: str) -> bool:
    return theirs in _CONVERTIBLE.get(ours, ())


def _not_known(known: BrevoAttribute, in_use: InUse) -> int:
    """How many of these values the attribute has no option or label for."""
    if known.type == "category":
        return sum(known.number_of(one) is None for one in in_use.values) + in_use.more
    if known.type == "multiple-choice":
        return len(unknown_options(known.choices, in_use)) + in_use.more
    return 0
