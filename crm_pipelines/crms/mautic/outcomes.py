"""What Mautic's answer, or one row of it, means. Pure; the only place that knows Mautic's statuses.

| seen | result, kind |
| --- | --- |
| 2xx with a JSON object | synced; of each contact its row decides |
| 2xx that is not JSON, 1xx, 3xx, 407, 408, 425, 5xx, no connection, broken answer | retry, `outage` |
| 4xx but 413 and 414 with a page that is not JSON, or without `errors`: another's answer | retry, `outage` |
| no answer in time | retry, `timeout` |
| 429 | snoozed, `rate_limit` |
| 401; 400 where a token was asked for | refused, `credentials` |
| 403 of the type api_disabled; another 403 | refused, `account`, `permission` |
| 500 that names the most contacts of a request; 404, 405, 413, 414, 415 | refused, `settings` |
| other 4xx, of a row or of all | rejected; `invalid_address`, `invalid_value`, `permission` or `rejected` |
| 404 of a row; a row with another code | retry, `outage` |

Sources: mautic/mautic 5.1, CommonApiController, FetchCommonApiController (`returnError`, `validateBatchPayload`),
ApiSubscriber; app/config/config.php for 429.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
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
from crm_pipelines.crms.mautic.limits import rate_headers, wait_of
from crm_pipelines.crms.outcomes import SETTINGS, Outcome, Result
from crm_pipelines.crms.transport import Answer
from crm_pipelines.scrubbing import without_secrets
from crm_pipelines.settings import MauticSettings, variable_of


def advice_for(destination: str) -> Mapping[str, str]:
    """What to do about an outcome, in the variables of this destination."""
    mapping, provision = variable_of(destination, "mapping_file"), f"crm-pipelines provision {destination}"
    client_id, secret = variable_of(destination, "client_id"), variable_of(destination, "client_secret")
    most = variable_of(destination, "contacts_per_request")
    segment = variable_of(destination, "segment_id")
    return {
        **common_advice(destination, MauticSettings.label, url_field="base_url"),
        "credentials": f"Set {client_id} and {secret} to API credentials of the type OAuth 2 of this Mautic.",
        "permission": "Let the role of the API credentials at Mautic view, create and edit contacts, also "
        "those of others; for provision to manage custom fields, for a segment to view segments.",
        "account": "Switch the API on at Mautic: Settings, Configuration, API Settings.",
        "list": f"Set {segment} to a published segment of this Mautic that its API user may see.",
        "most": f"Set {most} to what Mautic takes (`api_batch_max_limit`).",
        "timeout": f"If that goes on, lower {most}: Mautic saves one contact after the other.",
        "invalid_address": "Correct the e-mail address.",
        "invalid_value": f"Correct the value of that field, or take the field out of the mapping file ({mapping}).",
        "duplicate_address": "Merge or delete one of the two contacts at Mautic, or correct the address here.",
        "merged": "Delete this contact here if the other one's address is here, too; if not, give it that address.",
        "other_address": "Give the contact the same address here and at Mautic.",
        "provision": f"Run {provision}.",
    }


ADVICE = advice_for(MauticSettings.kind)

_TOO_MANY = re.compile(r"max of \d+ entities", re.IGNORECASE)


class RefusalWords(NamedTuple):
    """A refusal in Mautic's words; `fields` are those that it is about."""

    text: str
    type: str
    fields: frozenset[str]
    code: int


def classify(
    answer: Answer,
    *,
    hide: tuple[str, ...] = (),
    advice: Mapping[str, str] = ADVICE,
    for_token: bool = False,
    now: datetime | None = None,
) -> Outcome:
    """The meaning of an answer. Total: any status, headers and body give an Outcome.

    `hide` are secrets and personal data to be kept out of the message. `for_token`: a token was asked for. `now`
    (aware) is the moment of the answer.
    """
    body, now = json_object(answer), now or datetime.now(UTC)
    said = _first_error(body)
    result, kind, advised = _verdict(answer.status, body, said, for_token=for_token)
    refused = result is not Result.SYNCED
    text = said.text if said else ""
    return Outcome(
        result=result,
        kind=kind,
        code=_code(said, hide) if refused else None,
        message=_message(text, answer.status, hide, advice.get(advised or kind or "")) if refused else None,
        http_status=answer.status,
        retry_after=wait_of(answer.headers, now, refused_for_rate=kind == "rate_limit")
        if result in {Result.SNOOZED, Result.RETRY}
        else None,
        rate=rate_headers(answer.headers, now),
    )


def outcome_of_row(row: Mapping[str, Any], status: int, *, hide: tuple[str, ...], advice: Mapping[str, str]) -> Outcome:
    """What one entry of `errors` means for its contact; `status` is the contact's status code."""
    said = said_in(row)
    code = said.code or status
    if code == 404 or not 400 <= code < 500:
        result, kind = Result.RETRY, "outage"
    else:
        result, kind = Result.REJECTED, _rejection(said, code)
    return Outcome(
        result=result, kind=kind, code=_code(said, hide), message=_message(said.text, None, hide, advice.get(kind))
    )


def said_in(row: Mapping[str, Any]) -> RefusalWords:
    """The words of one error."""
    details, code = row.get("details"), row.get("code")
    return RefusalWords(
        text=row["message"] if isinstance(row.get("message"), str) else "",
        type=row["type"] if isinstance(row.get("type"), str) else "",
        fields=frozenset(details) if isinstance(details, dict) else frozenset(),
        code=code if isinstance(code, int) else 0,
    )


def _first_error(body: Mapping[str, Any] | None) -> RefusalWords | None:
    """None: there is no error in the form of Mautic's."""
    listed = (body or {}).get("errors")
    rows = list(listed.values()) if isinstance(listed, dict) else listed
    first = next((one for one in (rows if isinstance(rows, list) else []) if isinstance(one, dict)), None)
    return None if first is None else said_in(first)


def _verdict(status: int, body: Mapping[str, Any] | None, said: RefusalWords | None, *, for_token: bool) -> Verdict:
    if status == 429:
        return Result.SNOOZED, "rate_limit", None
    if status == 500 and said is not None and _TOO_MANY.search(said.text):
        return Result.REFUSED, SETTINGS, "most"
    if (way := verdict_on_the_way(status, is_json=body is not None)) is not None:
        return way
    if said is None:
        return Result.RETRY, "outage", "foreign"
    if status == 403:
        return Result.REFUSED, "account" if said.type == "api_disabled" else "permission", None
    if status == 401 or (status == 400 and for_token):
        return Result.REFUSED, "credentials", None
    if status in {404, 405, 415} or for_token:
        return Result.REFUSED, SETTINGS, "request"
    return Result.REJECTED, _rejection(said, status), None


def _rejection(said: RefusalWords, code: int) -> str:
    if code == 403:
        return "permission"
    if "email" in said.fields:
        return "invalid_address"
    return "invalid_value" if said.fields else "rejected"


def _message(said: str, status: int | None, hide: tuple[str, ...], advice: str | None) -> str:
    text = without_secrets(said[: 10 * LONGEST_MESSAGE], hide)
    unsaid = "Mautic refused this contact." if status is None else f"Mautic answered with HTTP status {status}."
    return with_advice(text or unsaid, advice)


def _code(said: RefusalWords | None, hide: tuple[str, ...]) -> str | None:
    return without_secrets(said.type[:LONGEST_CODE], hide) or None if said else None
