"""Compares a Brevo account with what the deliveries need, and creates the attributes that are missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any
from urllib.parse import quote

import requests

from crm_pipelines.crms.base import BeforeRequest, Finding, NewAttribute, Outcome, RateHeaders, Result
from crm_pipelines.crms.brevo.mapping import PHONES, BrevoMapping
from crm_pipelines.crms.brevo.outcomes import classify, classify_exception, json_object
from crm_pipelines.crms.brevo.upsert import Send, is_foreign_mark
from crm_pipelines.crms.brevo.values import AttributeType, natural_type
from crm_pipelines.errors import CrmPipelinesError

# The names that accounts in other languages have for what the shipped mapping calls FIRSTNAME and LASTNAME.
_TRANSLATED = {
    "FIRSTNAME": ("PRENOM", "NOME", "VORNAME", "NOMBRE"),
    "LASTNAME": ("NOM", "COGNOME", "NACHNAME", "APELLIDOS"),
}
# Of which EXT_ID is looked at; their answer stays far below what is read of one.
_SURVEYED = 100
_WRITABLE = ("normal", "category", "transactional")


class ProvisionError(CrmPipelinesError):
    """Brevo did not create an attribute."""


@dataclass(frozen=True)
class _Wanted:
    type: AttributeType
    options: tuple[str, ...] = ()
    mapped: bool = True  # False: a custom field under its own name


class Preflight:
    """Looks at one account. `custom_fields` holds one example value of each custom field in use."""

    def __init__(
        self,
        send: Send,
        mapping: BrevoMapping,
        *,
        before_request: BeforeRequest,
        list_id: int | None,
        keep_marks: bool,
        custom_fields: Mapping[str, Any],
        secrets: tuple[str, ...],
    ) -> None:
        self._send = send
        self._before_request = before_request
        self._list_id = list_id
        self._keep_marks = keep_marks
        self._secrets = secrets
        self._rate = RateHeaders()
        own = mapping.by_own_name(custom_fields)
        self._wanted = {name: _Wanted(line.type, line.options) for name, line in mapping.attributes.items()} | {
            name: _Wanted(natural_type(custom_fields[field]), mapped=False) for field, name in own.items() if name
        }

    def check(self) -> list[Finding]:
        """One finding per thing that was looked at; only the first when the key is not accepted."""
        outcome, account = self._get("/account")
        if outcome.result is not Result.SYNCED:
            return [Finding(ok=False, subject="API key", detail=outcome.message or "")]
        company = account.get("companyName")
        detail = f"accepted, account of {company}" if isinstance(company, str) and company else "accepted"
        return [
            Finding(ok=True, subject="API key", detail=detail),
            *self._check_list(),
            *self._check_attributes(),
            self._check_marks(),
            self._rate_limit(),
        ]

    def plan(self) -> list[NewAttribute]:
        """The missing attributes, by name. Raises ProvisionError."""
        outcome, body = self._get("/contacts/attributes")
        if outcome.result is not Result.SYNCED:
            raise ProvisionError(f"Brevo did not tell which attributes exist. {outcome.message}")
        missing = sorted(self._wanted.keys() - _attributes(body).keys() - PHONES)
        return [
            NewAttribute(name=name, type=wanted.type.in_brevo, options=wanted.options)
            for name in missing
            for wanted in [self._wanted[name]]
        ]

    def provision(self, *, dry_run: bool) -> list[str]:
        """Create missing attributes; existing ones stay as they are. Raises ProvisionError."""
        return [one.name for one in self.plan() if dry_run or self._create(one.name, self._wanted[one.name])]

    def _create(self, name: str, wanted: _Wanted) -> bool:
        """Whether it was created; False if somebody else was faster."""
        definition: dict[str, Any] = {"type": wanted.type.in_brevo}
        if wanted.options:
            definition["multiCategoryOptions"] = list(wanted.options)
        outcome, _ = self._request("POST", f"/contacts/attributes/normal/{quote(name, safe='')}", json=definition)
        if outcome.result is Result.SYNCED:
            return True
        if outcome.result is Result.REJECTED and "must be unique" in (outcome.message or ""):
            return False
        raise ProvisionError(f"Brevo did not create the attribute {name}. {outcome.message}")

    def _check_list(self) -> list[Finding]:
        if self._list_id is None:
            return []
        subject = f"List {self._list_id}"
        outcome, body = self._get(f"/contacts/lists/{self._list_id}")
        if outcome.result is Result.SYNCED:
            return [Finding(ok=True, subject=subject, detail=f"exists: {body.get('name', '')}")]
        return [
            Finding(ok=False, subject=subject, detail=f"{outcome.message} Set BREVO_LIST_ID to a list of this account.")
        ]

    def _check_attributes(self) -> list[Finding]:
        outcome, body = self._get("/contacts/attributes")
        if outcome.result is not Result.SYNCED:
            return [Finding(ok=False, subject="Attributes", detail=outcome.message or "")]
        existing = _attributes(body)
        # Brevo may not list the phone attributes, which every account has.
        return [
            _judge(name, wanted, existing)
            for name, wanted in self._wanted.items()
            if name in existing or name not in PHONES
        ]

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
            detail = f"{found}; it stays (BREVO_EXT_ID=keep), and each update of such a contact takes a request more"
            return Finding(ok=True, subject="EXT_ID", detail=detail, blocking=False)
        detail = f"{found}, and a delivery overwrites it: set BREVO_EXT_ID=keep unless you want that."
        return Finding(ok=False, subject="EXT_ID", detail=detail, blocking=False)

    def _rate_limit(self) -> Finding:
        if self._rate.limit is None:
            return Finding(ok=True, subject="Rate limit", detail="Brevo's answers name none", blocking=False)
        detail = f"Brevo names a limit of {self._rate.limit} requests, {self._rate.remaining} of them left"
        return Finding(ok=True, subject="Rate limit", detail=detail, blocking=False)

    def _get(self, path: str, **params: str) -> tuple[Outcome, dict[str, Any]]:
        return self._request("GET", path, params=params or None)

    def _request(
        self, method: str, path: str, *, params: dict[str, str] | None = None, json: Any = None
    ) -> tuple[Outcome, dict[str, Any]]:
        self._before_request()
        try:
            answer = self._send(method, path, params=params, json=json)
        except requests.RequestException as error:
            return classify_exception(error), {}
        outcome = classify(answer, hide=self._secrets)
        if path.startswith("/contacts"):
            self._rate = outcome.rate
        return outcome, json_object(answer) or {}


def _attributes(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    listed = body.get("attributes")
    rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    return {row["name"]: row for row in rows if isinstance(row.get("name"), str)}


def _judge(name: str, wanted: _Wanted, existing: dict[str, dict[str, Any]]) -> Finding:
    subject = f"Attribute {name}"
    found = existing.get(name)
    if found is None:
        near = next((other for other in _TRANSLATED.get(name, ()) if other in existing), None)
        near = near or next(iter(get_close_matches(name, existing, n=1)), None)
        hint = f"Is it {near}? Then correct the mapping file; or else run" if near else "Run"
        detail = f"does not exist, and Brevo drops its values without a word. {hint} crm-pipelines provision brevo."
        return Finding(ok=False, subject=subject, detail=detail, blocking=wanted.mapped)
    category, kind = found.get("category"), found.get("type", found.get("category"))
    if category not in _WRITABLE:
        detail = f"is {category}: Brevo computes it, and it cannot be written. Take it out of the mapping file."
        return Finding(ok=False, subject=subject, detail=detail, blocking=wanted.mapped)
    if kind != wanted.type.in_brevo:
        detail = f"is of type {kind}, not {wanted.type}: Brevo drops values of another type without a word."
        # A category takes a text that is one of its labels; a date attribute takes a text that is a date.
        maybe = wanted.type is AttributeType.TEXT and (kind == "category" or not wanted.mapped)
        return Finding(ok=False, subject=subject, detail=detail, blocking=wanted.mapped and not maybe)
    return Finding(ok=True, subject=subject, detail=f"exists, {kind}")
