"""What Brevo's answer, or the failure to get one, means. Pure; the only place that knows Brevo's status codes.

| seen | result, kind |
| --- | --- |
| 201, 204, other 2xx with a JSON object | synced |
| another 2xx to a write, whose JSON names no contact | retry, `outage` |
| 2xx that is not JSON, 1xx, 3xx, 407, other 4xx but 413 with a page that is not JSON | retry, `outage` |
| 402, 403, 406 without a code of Brevo's: an empty body, another's JSON | retry, `outage` |
| 408, 425, 5xx, `account_in_process`, no connection, broken answer | retry, `outage` |
| no answer in time | retry, `timeout` |
| 429 | snoozed, `rate_limit` |
| 401 | refused, `ip_not_authorised` or `credentials` |
| 402, 403, and their codes under another status | refused, `credits`, `permission` or `account` |
| 405, 406, 413, 415, and a 400 or 404 about a list or another field of every request | refused, `settings` |
| other 4xx about an identifier | rejected, `duplicate_external_id`, `duplicate_address`, `duplicate_phone`, |
| | `invalid_phone`, `invalid_address` |
| any other 4xx | rejected, `rejected` |

Codes are an open set and have changed for the same fault (pass-culture-main pull request 22628), so a conflict is
known by `metadata.duplicate_identifiers`, then by its message, never by its code.
"""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from crm_pipelines.crms.answers import LONGEST_CODE, LONGEST_MESSAGE, common_advice, json_object, with_advice
from crm_pipelines.crms.brevo.attributes import BrevoAttributes
from crm_pipelines.crms.brevo.limits import rate_headers, wait_of
from crm_pipelines.crms.brevo.mapping import PHONES
from crm_pipelines.crms.outcomes import SETTINGS, Outcome, Result
from crm_pipelines.crms.transport import Answer
from crm_pipelines.scrubbing import without_secrets
from crm_pipelines.settings import BrevoSettings


def advice_for(destination: str) -> Mapping[str, str]:
    """What to do about an outcome, in the variables of this destination."""
    return {
        **common_advice(destination, BrevoSettings.label),
        "ip_not_authorised": "Allow this machine's address at https://app.brevo.com/security/authorised_ips.",
        "credits": "Buy credits or change the plan at Brevo.",
        "permission": "Give the key's account the right to write contacts.",
        "account": "Ask Brevo to validate the account.",
        "duplicate_address": "Merge or delete one of the two contacts at Brevo, or correct the address here.",
        "duplicate_external_id": "Give only one contact at Brevo this EXT_ID.",
        "duplicate_phone": "Correct the phone number of one of the two contacts.",
        "invalid_phone": "Correct the phone number.",
        "invalid_address": "Correct the e-mail address.",
    }


ADVICE = advice_for(BrevoSettings.kind)


_ACCOUNT_CODES = {
    "unauthorized": "credentials",
    "not_enough_credits": "credits",
    "permission_denied": "permission",
    "account_under_validation": "account",
}
_NOT_OF_THE_CONTACT = {"method_not_allowed", "not_acceptable"}
_LIST = re.compile(r"\blists? ?ids?\b|\blists? (?:does|do) not exist|\blist not found", re.IGNORECASE)
# Fields that stand in every request, or in none.
_REQUEST = re.compile(r"\b(?:updateEnabled|updateExistingContacts|emptyContactsAttributes|disableNotification)\b")
_CONFLICT = re.compile(r"already associated with another|contact already exist", re.IGNORECASE)
_IDENTIFIER = re.compile(r"\b(email|sms|ext_id|whatsapp|landline_number)\b", re.IGNORECASE)
_UNKNOWN_IP = re.compile(r"unrecogni[sz]ed IP|authori[sz]ed_ips", re.IGNORECASE)
_INVALID_PHONE = re.compile(r"invalid phone number", re.IGNORECASE)
_NAME = re.compile(r"(?<![A-Za-z0-9_-])[A-Z0-9_-]+(?![A-Za-z0-9_-])")
_INVALID_DATE = re.compile(r"invalid date|date format", re.IGNORECASE)
_ABOUT_A_VALUE = re.compile(
    r"\battributes?\b|\b(?:invalid|wrong|incorrect) (?:value|format|type|number|boolean|option|data)|\bformat\b",
    re.IGNORECASE,
)
_SUSPECTED_FIRST = ("date", "category", "multiple-choice", "float", "boolean", "user", "text")
_TRANSACTIONAL = re.compile(r"transactional attribute", re.IGNORECASE)
_INVALID_ADDRESS = re.compile(r"invalid email|invalid value passed for identifierType email_id", re.IGNORECASE)


def classify(
    answer: Answer,
    *,
    hide: tuple[str, ...] = (),
    now: datetime | None = None,
    advice: Mapping[str, str] = ADVICE,
) -> Outcome:
    """The meaning of an answer. Total: any status, headers and body give an Outcome.

    `hide` are secrets and personal data to be kept out of the message. `now` (aware) is the moment of the answer if it
    has no Date header of its own; needed only for a Retry-After that is a date.
    """
    body = json_object(answer)
    code, said = _own_words(body)
    result, kind, advised = _verdict(answer.status, body, code or "", said or "", has_body=bool(answer.body.strip()))
    if result is Result.SYNCED:
        code = message = None
    else:
        said = (
            without_secrets((said or "")[: 10 * LONGEST_MESSAGE], hide)
            or f"Brevo answered with HTTP status {answer.status}."
        )
        message = with_advice(said, advice.get(advised or kind or ""))
        code = without_secrets((code or "")[:LONGEST_CODE], hide) or None
    retry_after = None
    if result in {Result.SNOOZED, Result.RETRY}:
        retry_after = wait_of(answer.headers, now, refused_for_rate=result is Result.SNOOZED)
    return Outcome(
        result=result,
        kind=kind,
        code=code,
        message=message,
        http_status=answer.status,
        request_id=without_secrets(answer.headers.get("sib-request-id", "")[:LONGEST_CODE], hide) or None,
        retry_after=retry_after,
        remote_id=_remote_id(body) if result is Result.SYNCED else None,
        rate=rate_headers(answer.headers),
    )


def duplicate_identifiers(answer: Answer) -> frozenset[str]:
    """Upper-case names of the identifiers that another contact at Brevo has (EMAIL, SMS, EXT_ID …); empty when none."""
    return _duplicates(json_object(answer))


def refused_attributes(answer: Answer, sent: Collection[str], account: BrevoAttributes | None) -> frozenset[str]:
    """Of the attributes that were sent, those that this refusal can mean: named, all dates, or all transactional ones.

    Empty when it names none: then it is about the contact.
    """
    said = _own_words(json_object(answer))[1] or ""
    if named := frozenset(_NAME.findall(said)) & frozenset(sent):
        return named
    if account is not None and _INVALID_DATE.search(said):
        return account.of_type("date") & frozenset(sent)
    if account is not None and _TRANSACTIONAL.search(said):
        return frozenset(sent) - account.writable - PHONES
    return frozenset()


def suspected_attributes(
    answer: Answer, sent: Collection[str], account: BrevoAttributes | None
) -> list[frozenset[str]]:
    """Of a refusal that is about a value and names no attribute: those that were sent, in groups of one type.

    What is written in most ways comes first. Empty when it is about something else.
    """
    said = _own_words(json_object(answer))[1] or ""
    if account is None or not _ABOUT_A_VALUE.search(said):
        return []
    groups = [account.of_type(kind) & frozenset(sent) for kind in _SUSPECTED_FIRST]
    return [group for group in groups if group]


def _verdict(
    status: int, body: dict[str, Any] | None, code: str, said: str, *, has_body: bool
) -> tuple[Result, str | None, str | None]:
    """Result, kind, and the advice to give where it is not the kind's own."""
    if 200 <= status < 300:
        # A captive portal or a wrong host answers 200 with a page; Brevo's own empty answers are 204, maybe 201.
        if body is not None or status == 204 or (status == 201 and not has_body):
            return Result.SYNCED, None, None
        return Result.RETRY, "outage", "foreign"
    if status == 429:
        return Result.SNOOZED, "rate_limit", None
    if (status in {402, 403, 406} and not code) or (status == 401 and body is None and has_body):
        # Brevo refuses in JSON, with a code. This is a firewall's or a proxy's, and may be about this one request.
        return Result.RETRY, "outage", "foreign"
    if status == 413:
        return Result.REFUSED, SETTINGS, "request"
    if status == 401:
        return Result.REFUSED, "ip_not_authorised" if _UNKNOWN_IP.search(said) else "credentials", None
    if status in {402, 403}:
        return Result.REFUSED, _ACCOUNT_CODES.get(code, "credits" if status == 402 else "permission"), None
    if status in {408, 425} or not 400 <= status < 500 or code == "account_in_process":
        advice = "redirect" if 300 <= status < 400 else "foreign" if status < 200 or status >= 600 else None
        return Result.RETRY, "outage", advice
    if status == 407:
        return Result.RETRY, "outage", "proxy"
    if body is None and has_body:
        return Result.RETRY, "outage", "foreign"
    if code in _ACCOUNT_CODES:
        return Result.REFUSED, _ACCOUNT_CODES[code], None
    if status in {405, 406, 415} or code in _NOT_OF_THE_CONTACT or _REQUEST.search(said):
        return Result.REFUSED, SETTINGS, "request"
    if status in {400, 404} and _LIST.search(said):
        return Result.REFUSED, SETTINGS, "list"
    return Result.REJECTED, _rejection(_duplicates(body), said), None


def _rejection(duplicates: frozenset[str], said: str) -> str:
    if "EXT_ID" in duplicates:
        return "duplicate_external_id"
    if "EMAIL" in duplicates:
        return "duplicate_address"
    if duplicates & PHONES:
        return "duplicate_phone"
    if _INVALID_PHONE.search(said):
        return "invalid_phone"
    return "invalid_address" if _INVALID_ADDRESS.search(said) else "rejected"


def _duplicates(body: dict[str, Any] | None) -> frozenset[str]:
    metadata = (body or {}).get("metadata")
    named = metadata.get("duplicate_identifiers") if isinstance(metadata, dict) else None
    if isinstance(named, list) and named:
        return frozenset(name.upper() for name in named if isinstance(name, str))
    said = _own_words(body)[1] or ""
    if not _CONFLICT.search(said):
        return frozenset()
    return frozenset(name.upper() for name in _IDENTIFIER.findall(said)) or frozenset({"EMAIL"})


def _own_words(body: dict[str, Any] | None) -> tuple[str | None, str | None]:
    code, message = (body or {}).get("code"), (body or {}).get("message")
    return (code if isinstance(code, str) else None), (message if isinstance(message, str) else None)


def _remote_id(body: dict[str, Any] | None) -> str | None:
    found = (body or {}).get("id")
    return str(found) if isinstance(found, int) and not isinstance(found, bool) and 0 < found < 2**63 else None
