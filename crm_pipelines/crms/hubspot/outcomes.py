"""What HubSpot's answer, or one row of it, means. Pure; the only place that knows HubSpot's statuses and categories.

| seen | result, kind |
| --- | --- |
| 2xx with a JSON object | synced; of each contact its row decides |
| 2xx that is not JSON, 1xx, 3xx, 407, 408, 425, 5xx, no connection, broken answer | retry, `outage` |
| 4xx but 413 and 414 with a page that is not JSON, 403 without a category: another's answer | retry, `outage` |
| no answer in time | retry, `timeout` |
| 429 | snoozed, `rate_limit`, or `daily_limit` until midnight of the account |
| 423, 477 | snoozed, `locked` (2 s), `migrating` (as long as Retry-After says) |
| 401 | refused, `credentials` |
| 402, 403 | refused, `account`, `permission` |
| 404, 405, 413, 414, 415, and a refusal that is about the list | refused, `settings` |
| other 4xx, of a row or of all | rejected; by its code `unknown_property`, `read_only`, `invalid_option`, |
| | `invalid_value`, `invalid_address`, `duplicate_address`, `duplicate_value`, else `rejected` |

Error handling: developers.hubspot.com/docs/api-reference/error-handling. Every field of an answer may be missing.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from crm_pipelines.crms.answers import (
    LONGEST_CODE,
    LONGEST_MESSAGE,
    Verdict,
    common_advice,
    json_object,
    verdict_on_the_way,
    with_advice,
)
from crm_pipelines.crms.hubspot.limits import LOCKED, UNKNOWN_RESET, WINDOW, rate_headers, wait_of
from crm_pipelines.crms.outcomes import SETTINGS, Outcome, RateHeaders, Result
from crm_pipelines.crms.transport import Answer
from crm_pipelines.scrubbing import without_secrets
from crm_pipelines.settings import HubspotSettings, variable_of

_MIGRATION = timedelta(minutes=10)


def advice_for(destination: str) -> Mapping[str, str]:
    """What to do about an outcome, in the variables of this destination."""
    mapping, provision = variable_of(destination, "mapping_file"), f"crm-pipelines provision {destination}"
    return {
        **common_advice(destination, HubspotSettings.label),
        "permission": "Give the key these scopes at HubSpot: crm.objects.contacts.read and .write; for provision "
        "crm.schemas.contacts.write, for a list crm.lists.read and .write.",
        "account": "See at HubSpot what is wrong with the account or its plan.",
        "daily_limit": "All waits until HubSpot's next day begins. Let other tools ask less, or buy a higher limit.",
        "list": f"Set {variable_of(destination, 'list_id')} to a list of this account of the type MANUAL or SNAPSHOT.",
        "unknown_property": f"Run {provision}, or correct the name in the mapping file ({mapping}).",
        "read_only": f"Take that property out of the mapping file ({mapping}): HubSpot sets it itself.",
        "invalid_option": f"Correct the value, or run {provision}, which adds the option.",
        "invalid_value": "Correct the value of that field.",
        "invalid_address": "Correct the e-mail address.",
        "duplicate_address": "Merge or delete one of the two contacts at HubSpot, or correct the address here.",
        "duplicate_value": "Give that value to one of the two contacts only.",
        "merged": "Delete this contact here if that one's address is here, too; if not, give it that address.",
        "other_address": "Give the contact the same address here and at HubSpot.",
    }


ADVICE = advice_for(HubspotSettings.kind)

_BY_CODE = {
    "PROPERTY_DOESNT_EXIST": "unknown_property",
    "READ_ONLY_VALUE": "read_only",
    "INVALID_OPTION": "invalid_option",
    "INVALID_EMAIL": "invalid_address",
    "CONFLICTING_UNIQUE_VALUE": "duplicate_value",
}
_WAITS = {"RATE_LIMIT", "RATE_LIMITS"}
_OUTAGES = {"INTERNAL_ERROR", "SERVICE_UNAVAILABLE", "GATEWAY_TIMEOUT", "OBJECT_NOT_FOUND"}
_TAKEN = re.compile(r"contact already exists", re.IGNORECASE)


class Said(NamedTuple):
    """A refusal in HubSpot's words. `codes` are those of its details."""

    category: str
    text: str
    codes: tuple[str, ...]
    subcategory: str = ""


def classify(
    answer: Answer,
    *,
    hide: tuple[str, ...] = (),
    advice: Mapping[str, str] = ADVICE,
    until_reset: timedelta = UNKNOWN_RESET,
    now: datetime | None = None,
) -> Outcome:
    """The meaning of an answer. Total: any status, headers and body give an Outcome.

    `hide` are secrets and personal data to be kept out of the message, `until_reset` is when the daily quota begins
    anew. `now` (aware) is the moment of the answer if it has no Date header of its own.
    """
    body = json_object(answer)
    said = said_in(body or {})
    result, kind, advised = _verdict(answer, body, said)
    refused = result is not Result.SYNCED
    return Outcome(
        result=result,
        kind=kind,
        code=_code(said, hide) if refused else None,
        message=_message(said, answer.status, hide, advice.get(advised or kind or "")) if refused else None,
        http_status=answer.status,
        request_id=_request_id(answer, body, hide),
        retry_after=_wait(answer.headers, result, kind, until_reset, now or datetime.now(UTC)),
        rate=rate_headers(answer.headers, until_reset) if kind != "daily_limit" else RateHeaders(),
    )


def outcome_of_row(row: Mapping[str, Any], *, hide: tuple[str, ...], advice: Mapping[str, str]) -> Outcome:
    """What one entry of `errors` means for its contact."""
    said = said_in(row)
    if said.category in _WAITS:
        result, kind = Result.SNOOZED, "rate_limit"
    elif said.category in _OUTAGES:
        result, kind = Result.RETRY, "outage"
    else:
        result, kind = Result.REJECTED, _rejection(said)
    return Outcome(
        result=result,
        kind=kind,
        code=_code(said, hide),
        message=_message(said, None, hide, advice.get(kind)),
        retry_after=WINDOW if result is Result.SNOOZED else None,
    )


def said_in(body: Mapping[str, Any]) -> Said:
    """The words of a refusal: those of its details, where there are any, since its own repeats them as JSON."""
    listed = body.get("errors")
    details = [one for one in (listed if isinstance(listed, list) else []) if isinstance(one, dict)]
    words = [one["message"] for one in details if isinstance(one.get("message"), str)]
    codes = tuple(one["code"] for one in details if isinstance(one.get("code"), str))
    own = _text(body, "message")
    if codes and words and own.startswith("Property values were not valid"):
        own = f"Property values were not valid: {' '.join(words)}"
    category = _text(body, "category") or _text(body, "errorType") or _text(body, "policyName")
    return Said(category.upper(), own, codes, _text(body, "subCategory"))


def is_there_already(outcome: Outcome) -> bool:
    """Whether a property was not created since there is one of that name."""
    return outcome.code == "Properties.PROPERTY_WITH_NAME_EXISTS"


def _verdict(answer: Answer, body: dict[str, Any] | None, said: Said) -> Verdict:
    status = answer.status
    if status == 429:
        daily = _text(body or {}, "policyName").upper() == "DAILY" or "daily limit" in said.text.lower()
        return Result.SNOOZED, "daily_limit" if daily else "rate_limit", None
    if status == 423:
        return Result.SNOOZED, "locked", None
    if status == 477:
        return Result.SNOOZED, "migrating", None
    if (way := verdict_on_the_way(status, is_json=body is not None)) is not None:
        return way
    if status == 403 and not said.category:
        return Result.RETRY, "outage", "foreign"
    if status == 401:
        return Result.REFUSED, "credentials", None
    if status in {402, 403}:
        return Result.REFUSED, "account" if status == 402 else "permission", None
    if status in {404, 405, 415}:
        return Result.REFUSED, SETTINGS, "request"
    return Result.REJECTED, _rejection(said), None


def _rejection(said: Said) -> str:
    for code, kind in _BY_CODE.items():
        if code in said.codes:
            return kind
    if said.category == "CONFLICT" or _TAKEN.search(said.text):
        return "duplicate_address"
    return "invalid_value" if any(code.startswith("INVALID") for code in said.codes) else "rejected"


def _wait(
    headers: Mapping[str, str], result: Result, kind: str | None, until_reset: timedelta, now: datetime
) -> timedelta | None:
    if kind == "daily_limit":
        return until_reset
    if result is Result.SNOOZED:
        default = {"rate_limit": WINDOW, "locked": LOCKED}.get(kind or "", _MIGRATION)
        return wait_of(headers, now, default=default, shortest=LOCKED if kind == "locked" else timedelta(seconds=1))
    if result is Result.RETRY:
        return wait_of(headers, now, default=None, shortest=timedelta(seconds=1))
    return None


def _message(said: Said, status: int | None, hide: tuple[str, ...], advice: str | None) -> str:
    text = without_secrets(said.text[: 10 * LONGEST_MESSAGE], hide)
    unsaid = "HubSpot refused this contact." if status is None else f"HubSpot answered with HTTP status {status}."
    return with_advice(text or unsaid, advice)


def _code(said: Said, hide: tuple[str, ...]) -> str | None:
    code = said.subcategory or next(iter(said.codes), "") or said.category
    return without_secrets(code[:LONGEST_CODE], hide) or None


def _request_id(answer: Answer, body: dict[str, Any] | None, hide: tuple[str, ...]) -> str | None:
    found = answer.headers.get("x-hubspot-correlation-id") or _text(body or {}, "correlationId")
    return without_secrets(found[:LONGEST_CODE], hide) or None


def _text(body: Mapping[str, Any], name: str) -> str:
    found = body.get(name)
    return found if isinstance(found, str) else ""
