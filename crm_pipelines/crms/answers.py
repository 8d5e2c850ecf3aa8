"""What is the same in the answers of all CRMs, and in none at all. Pure."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from urllib3.exceptions import ReadTimeoutError

from crm_pipelines.crms.outcomes import SETTINGS, Outcome, Result
from crm_pipelines.crms.transport import Answer
from crm_pipelines.settings import variable_of

LONGEST_MESSAGE = 500
LONGEST_CODE = 100


Verdict = tuple[Result, str | None, str | None]
"""Result, kind, and the advice to give where it is not the kind's own."""


def common_advice(destination: str, label: str, *, url_field: str = "api_base_url") -> Mapping[str, str]:
    """What to do about what may befall the way to any CRM, in the variables of this destination; `label` names it.

    `url_field`: of its settings, the one with the address.
    """
    url = variable_of(destination, url_field)
    way = f"Check {url} and any proxy in between."
    return {
        "credentials": f"Set {variable_of(destination, 'api_key')} to a valid key.",
        "list": f"Set {variable_of(destination, 'list_id')} to a list of this account.",
        "request": f"This is about the request, whichever contact is in it. {way}",
        "foreign": f"This is no answer of {label}'s. {way}",
        "redirect": f"Redirects are not followed. {way}",
        "way": way,
        "proxy": "Check the proxy (HTTPS_PROXY) and its credentials.",
        "tls": f"Check {url}, and REQUESTS_CA_BUNDLE behind a proxy with a certificate of its own.",
    }


def verdict_on_the_way(status: int, *, is_json: bool) -> Verdict | None:
    """What an answer means that means the same from any CRM; None: it is a refusal in the CRM's own words.

    `is_json` is whether the body is a JSON object.
    """
    if 200 <= status < 300:
        return (Result.SYNCED, None, None) if is_json else (Result.RETRY, "outage", "foreign")
    if status == 407:
        return Result.RETRY, "outage", "proxy"
    if status in {413, 414}:
        return Result.REFUSED, SETTINGS, "request"
    if status in {408, 425} or not 400 <= status < 500:
        advised = "redirect" if 300 <= status < 400 else "foreign" if status < 200 or status >= 600 else None
        return Result.RETRY, "outage", advised
    # A CRM refuses in JSON. This is a firewall's or a proxy's, maybe about this request only.
    return None if is_json else (Result.RETRY, "outage", "foreign")


def json_object(answer: Answer | None) -> dict[str, Any] | None:
    """The body, if there is one and it is a JSON object."""
    if answer is None:
        return None
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def with_advice(said: str, advice: str | None) -> str:
    """The CRM's words and what to do, of LONGEST_MESSAGE characters at most."""
    if advice is None:
        return said[:LONGEST_MESSAGE]
    said = said[: LONGEST_MESSAGE - len(advice) - 2].rstrip()
    return f"{said}{'' if said.endswith(('.', '!', '?')) else '.'} {advice}"


def foreign(outcome: Outcome, advice: Mapping[str, str], label: str) -> Outcome:
    """The same answer, where it lacks what the CRM's to this request has: JSON of somebody else with status 200."""
    said = with_advice(f"{label} answered with HTTP status {outcome.http_status}.", advice["foreign"])
    return replace(outcome, result=Result.RETRY, kind="outage", message=said, remote_id=None)


def of_the_request(refused: Outcome, advice: Mapping[str, str], kind: str) -> Outcome:
    """The same refusal, where it can only be about the request: whichever contact is in it."""
    message = with_advice(refused.message or "", advice["request"])
    return replace(refused, result=Result.REFUSED, kind=kind, message=message)


def classify_exception(error: requests.RequestException, advice: Mapping[str, str], label: str) -> Outcome:
    """The meaning of a request without an answer. The exception's own text names the URL, so none of it is used."""
    if isinstance(error, requests.Timeout) or any(isinstance(cause, ReadTimeoutError) for cause in error.args):
        return Outcome(result=Result.RETRY, kind="timeout", message=f"{label} did not answer in time.")
    if isinstance(error, requests.exceptions.ProxyError):
        said = with_advice(f"The proxy did not connect to {label}.", advice["proxy"])
    elif isinstance(error, requests.exceptions.SSLError):
        said = with_advice(f"No secure connection to {label}.", advice["tls"])
    elif isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        said = with_advice(f"The connection to {label} failed or broke off.", advice["way"])
    else:
        said = with_advice(f"The request to {label} failed ({type(error).__name__}).", advice["way"])
    return Outcome(result=Result.RETRY, kind="outage", message=said)


def seconds_to_wait(headers: Mapping[str, str], now: datetime | None) -> float | None:
    """What Retry-After says, be it seconds or a date; `now` (aware) stands in for a missing Date header."""
    said = headers.get("retry-after")
    seconds = number_in(said)
    if seconds is None and said:
        until, since = http_date(said), http_date(headers.get("date")) or now
        seconds = (until - since).total_seconds() if until and since else None
    return seconds


def number_in(said: str | None) -> float | None:
    """What a header says, if it is a number that means something."""
    try:
        found = float(said or "")
    except ValueError:
        return None
    return found if 0 <= found < 10**12 else None


def http_date(said: str | None) -> datetime | None:
    """The moment that a header names, aware."""
    try:
        found = parsedate_to_datetime(said or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
