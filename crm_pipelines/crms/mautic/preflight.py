"""Compares a Mautic with what the deliveries need."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Literal

from crm_pipelines.crms.answers import json_object
from crm_pipelines.crms.base import Identity
from crm_pipelines.crms.mautic.api import MauticApi
from crm_pipelines.crms.mautic.fields import CREATED_AS, AccountFields
from crm_pipelines.crms.mautic.identity import identity_of
from crm_pipelines.crms.mautic.mapping import MauticMapping
from crm_pipelines.crms.mautic.schema import MauticSchema, takes_choices
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.schema import Finding, InUse, ValuesInUse
from crm_pipelines.crms.transport import Answer
from crm_pipelines.crms.turns import Turn
from crm_pipelines.crms.wanted import Wanted, options_in_use, options_of, rate_limit, unknown_options, wanted_attributes

_TEXTS = frozenset({"text", "textarea", "html", "lookup", "tel", "url"})


def check(
    api: MauticApi,
    schema: MauticSchema,
    mapping: MauticMapping,
    *,
    base_url: str,
    segment_id: int | None,
    turn: Turn,
    custom_fields: Mapping[str, Any],
    judge: Callable[[Identity | None], Finding] | None,
    values_in_use: ValuesInUse | None,
) -> list[Finding]:
    """One finding per thing that was looked at; only the first when the credentials are not accepted."""
    reading, answer = may_read(api, turn)
    if reading.result is not Result.SYNCED or answer is None:
        return [Finding(ok=False, subject="Credentials", detail=reading.message or "", about="key")]
    identity = identity_of(base_url, answer.headers)
    rows_outcome, rows = schema.attributes(turn=turn)
    found = [
        Finding(ok=True, subject="Credentials", detail=f"accepted, Mautic at {identity.account}", about="key"),
        *([judge(identity)] if judge else []),
        *(_may_write(api, turn)),
        *(_segment(api, segment_id, turn) if segment_id is not None else []),
    ]
    if rows is None:
        about: Literal["key"] | None = "key" if rows_outcome.result is Result.REFUSED else None
        return [*found, Finding(ok=False, subject="Fields", detail=rows_outcome.message or "", about=about)]
    account = AccountFields(rows, api.destination)
    wanted = wanted_attributes(mapping, custom_fields)
    in_use = options_in_use(wanted, values_in_use, lambda name, one: takes_choices(one, account.get(name)))
    provision = f"crm-pipelines provision {api.destination}."
    found += [_field(name, one, account, in_use.get(name), provision) for name, one in wanted.items()]
    return [*found, rate_limit("Mautic", reading.rate)]


def may_read(api: MauticApi, turn: Turn) -> tuple[Outcome, Answer | None]:
    """One cheap request that tells whether the credentials may read contacts."""
    outcome, answer = api.ask("GET", "/api/contacts", turn, params={"limit": "1", "minimal": "1"})
    told, _ = api.contacts_in(outcome, answer)
    return told, answer


def look_at_segment(api: MauticApi, segment_id: int, turn: Turn) -> tuple[Outcome, Mapping[str, Any]]:
    """The segment of the settings."""
    outcome, answer = api.ask("GET", f"/api/segments/{segment_id}", turn)
    told = (json_object(answer) or {}).get("list")
    if outcome.result is Result.SYNCED and not isinstance(told, dict):
        return api.foreign(outcome), {}
    return api.of_the_segment(outcome), told if isinstance(told, dict) else {}


def _may_write(api: MauticApi, turn: Turn) -> list[Finding]:
    """An empty batch writes nothing, and is refused to who may not create contacts (newEntitiesAction)."""
    outcome, answer = api.ask("POST", "/api/contacts/batch/new", turn, json=[])
    if outcome.result is Result.SYNCED and "statusCodes" not in (json_object(answer) or {}):
        outcome = api.foreign(outcome)
    if outcome.result is Result.SYNCED:
        return []
    return [Finding(ok=False, subject="Permission", detail=outcome.message or "", about="key")]


def _segment(api: MauticApi, segment_id: int, turn: Turn) -> list[Finding]:
    subject = f"Segment {segment_id}"
    outcome, told = look_at_segment(api, segment_id, turn)
    if outcome.result is not Result.SYNCED:
        return [Finding(ok=False, subject=subject, detail=outcome.message or "", about="setting")]
    if told.get("isPublished") is False:
        detail = f"is not published, so Mautic puts nobody on it. {api.advice['list']}"
        return [Finding(ok=False, subject=subject, detail=detail, about="setting")]
    return [Finding(ok=True, subject=subject, detail=f"exists: {told.get('name', '')}", about="setting")]


def _field(name: str, wanted: Wanted, account: AccountFields, in_use: InUse | None, provision: str) -> Finding:
    subject = f"Field {name}"
    known = account.get(name)
    if known is None:
        possible = [one for one in account.names if one in account.writable and not MauticMapping.reserves(one)]
        near = next(iter(get_close_matches(name, possible, n=1, cutoff=0.8)), None)
        hint = f"Is it {near}? Then correct the mapping file; or else run" if near else "Run"
        detail = f"does not exist, so its values are left out: Mautic itself would say nothing. {hint} {provision}"
        return Finding(ok=False, subject=subject, detail=detail, blocking=wanted.mapped)
    if not known.published:
        detail = (
            "is not published, or its column waits for the cron command mautic:custom-field:create-column: publish it."
        )
        return Finding(ok=False, subject=subject, detail=detail, blocking=wanted.mapped)
    if known.unique:
        detail = "is a unique identifier, by which Mautic merges contacts: switch that off, or name another field."
        return Finding(ok=False, subject=subject, detail=detail, blocking=wanted.mapped)
    options = options_of(wanted, in_use)
    if takes_choices(wanted, known) and (missing := len(unknown_options(known.choices, options)) + options.more):
        detail = f"exists, but {missing} values in use are none of its choices and are left out. Run {provision}"
        return Finding(ok=False, subject=subject, detail=detail, blocking=False)
    if known.type != CREATED_AS[wanted.type] and wanted.mapped and known.type not in _TEXTS:
        detail = (
            f"is of type {known.type}: values that fit it are converted, others left out. Look whether that is meant."
        )
        return Finding(ok=False, subject=subject, detail=detail, blocking=False)
    return Finding(ok=True, subject=subject, detail=f"exists, {known.type}")
