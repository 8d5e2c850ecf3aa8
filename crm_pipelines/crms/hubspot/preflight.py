"""Compares a HubSpot account with what the deliveries need."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Literal

from crm_pipelines.crms.answers import json_object
from crm_pipelines.crms.base import Identity
from crm_pipelines.crms.hubspot.api import HubspotApi
from crm_pipelines.crms.hubspot.identity import identity_of
from crm_pipelines.crms.hubspot.mapping import HubspotMapping
from crm_pipelines.crms.hubspot.properties import CREATED_AS, AccountProperties, Property
from crm_pipelines.crms.hubspot.schema import HubspotSchema, takes_options
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.schema import Finding, InUse, ValuesInUse
from crm_pipelines.crms.turns import Turn
from crm_pipelines.crms.wanted import Wanted, options_in_use, options_of, rate_limit, unknown_options, wanted_attributes
from crm_pipelines.settings import HubspotSettings

_TO_WRITE = ("crm.objects.contacts.write",)
_TO_PUT_ON_LIST = ("crm.lists.write",)
_PUT_ON = frozenset({"MANUAL", "SNAPSHOT"})


def check(
    api: HubspotApi,
    schema: HubspotSchema,
    mapping: HubspotMapping,
    *,
    list_id: int | None,
    turn: Turn,
    custom_fields: Mapping[str, Any],
    judge: Callable[[Identity | None], Finding] | None,
    values_in_use: ValuesInUse | None,
) -> list[Finding]:
    """One finding per thing that was looked at; only the first when the key is not accepted. Five requests at most."""
    outcome, details = api.details(turn)
    if outcome.result is not Result.SYNCED:
        return [Finding(ok=False, subject="API key", detail=outcome.message or "", about="key")]
    identity = identity_of(details)
    if identity is None:
        return [Finding(ok=False, subject="API key", detail=api.foreign(outcome).message or "", about="key")]
    reading, _ = may_read(api, turn)
    if reading.result is not Result.SYNCED:
        return [Finding(ok=False, subject="API key", detail=reading.message or "", about="key")]
    rows_outcome, rows = schema.attributes(turn=turn)
    found = [
        Finding(ok=True, subject="API key", detail=f"accepted, portal {identity.account}", about="key"),
        *([judge(identity)] if judge else []),
        _scopes(api.scopes(turn), on_list=list_id is not None),
        *(_list(api, list_id, turn) if list_id is not None else []),
    ]
    if rows is None:
        about: Literal["key"] | None = "key" if rows_outcome.result is Result.REFUSED else None
        return [*found, Finding(ok=False, subject="Properties", detail=rows_outcome.message or "", about=about)]
    account = AccountProperties(rows, api.destination)
    wanted = wanted_attributes(mapping, custom_fields)
    in_use = options_in_use(wanted, values_in_use, lambda name, one: takes_options(one, account.get(name)))
    provision = f"crm-pipelines provision {api.destination}."
    found += [_property(name, one, account, in_use.get(name), provision) for name, one in wanted.items()]
    return [*found, rate_limit(HubspotSettings.label, reading.rate)]


def may_read(api: HubspotApi, turn: Turn) -> tuple[Outcome, Any]:
    """One cheap request that tells whether the key may read contacts."""
    return api.rows("GET", api.paths.all_contacts, turn, params={"limit": "1"})


def look_at_list(api: HubspotApi, list_id: int, turn: Turn) -> tuple[Outcome, Mapping[str, Any]]:
    """The list of the settings."""
    outcome, answer = api.ask("GET", api.paths.list(list_id), turn)
    body = json_object(answer) or {}
    told = body.get("list")
    if outcome.result is Result.SYNCED and not isinstance(told, dict):
        return api.foreign(outcome), {}
    return api.of_the_list(outcome), told if isinstance(told, dict) else {}


def _scopes(told: frozenset[str] | None, *, on_list: bool) -> Finding:
    """Of those to write: what is to be read is read by the other checks."""
    if told is None:
        detail = "HubSpot does not tell what this key may write: the first delivery shows it"
        return Finding(ok=True, subject="Scopes", detail=detail, blocking=False, about="key")
    missing = [one for one in (*_TO_WRITE, *(_TO_PUT_ON_LIST if on_list else ())) if one not in told]
    if missing:
        detail = f"the key lacks {' and '.join(missing)}: give it that at HubSpot, under the scopes of the key or app."
        return Finding(ok=False, subject="Scopes", detail=detail, about="key")
    return Finding(ok=True, subject="Scopes", detail="the key may write contacts", about="key")


def _list(api: HubspotApi, list_id: int, turn: Turn) -> list[Finding]:
    subject = f"List {list_id}"
    outcome, told = look_at_list(api, list_id, turn)
    if outcome.result is not Result.SYNCED:
        return [Finding(ok=False, subject=subject, detail=outcome.message or "", about="setting")]
    if (kind := told.get("processingType")) not in _PUT_ON:
        detail = f"is {kind}: HubSpot decides who is on it, so nobody can be put there. {api.advice['list']}"
        return [Finding(ok=False, subject=subject, detail=detail, about="setting")]
    return [Finding(ok=True, subject=subject, detail=f"exists: {told.get('name', '')}", about="setting")]


def _property(name: str, wanted: Wanted, account: AccountProperties, in_use: InUse | None, provision: str) -> Finding:
    subject = f"Property {name}"
    known = account.get(name)
    if known is None:
        possible = [one for one in account.names if one in account.writable and not HubspotMapping.reserves(one)]
        near = next(iter(get_close_matches(name, possible, n=1, cutoff=0.8)), None)
        hint = f"Is it {near}? Then correct the mapping file; or else run" if near else "Run"
        detail = f"does not exist, so its values are left out. {hint} {provision}"
        return Finding(ok=False, subject=subject, detail=detail, blocking=wanted.mapped)
    if not known.writable:
        detail = "cannot be written: HubSpot sets it itself. Name another one in the mapping file."
        return Finding(ok=False, subject=subject, detail=detail, blocking=wanted.mapped)
    if missing := _not_options(known, options_of(wanted, in_use)):
        advice = f"Run {provision}" if known.grows else "Correct the values."
        detail = f"exists, but {missing} values in use are none of its options and are left out. {advice}"
        return Finding(ok=False, subject=subject, detail=detail, blocking=False)
    if known.type != CREATED_AS[wanted.type][0] and wanted.mapped and known.type not in {"string", "phone_number"}:
        detail = (
            f"is of type {known.type}: values that fit it are converted, others left out. Look whether that is meant."
        )
        return Finding(ok=False, subject=subject, detail=detail, blocking=False)
    return Finding(ok=True, subject=subject, detail=f"exists, {known.type}")


def _not_options(known: Property, in_use: InUse) -> int:
    if known.type != "enumeration" or known.open:
        return 0
    return len(unknown_options(known.choices, in_use)) + in_use.more
