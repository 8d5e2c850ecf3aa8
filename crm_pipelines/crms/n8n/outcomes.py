"""What the answer of n8n, or of the workflow behind the webhook, means. Pure.

| seen | result, kind |
| --- | --- |
| 2xx with JSON, 204 | synced; an `id` in it is the workflow's own of this contact |
| 2xx with `{"ok": false, "error": …}` | rejected, `refused`, in the workflow's words |
| 2xx with anything else, or with nothing | retry, `outage`: nobody has confirmed anything |
| 1xx, 3xx, 407, 408, 425, 5xx, no connection, broken answer; other 4xx with a page | retry, `outage` |
| 500 `Error in workflow` and its like | retry, `workflow` |
| no answer in time | retry, `timeout` |
| 429 | snoozed, `rate_limit` |
| 401, 403 | refused, `credentials`, or `ip_not_authorised` |
| 404 in n8n's words, 405, 413, 414, 415 | refused, `settings` |
| other 4xx, in the workflow's words | rejected, `rejected` |

**What confirms.** n8n answers with JSON unless the workflow says otherwise: `{"message":"Workflow was started"}` at
once, the last node's item, or what a Respond to Webhook node says. An empty 200 comes where no such node was reached,
or where "Only Run If" has filtered the request out, and a page is a proxy's or a log-in's; neither says that anything
was done. Who wants to answer with nothing sets the response code 204. JSON that somebody else may have sent cannot be
told from a workflow's, since a workflow may answer whatever it likes.

**A failed workflow** tells nothing of the cause (500, `Error in workflow`): it may be this contact, a service that the
workflow asks, or the workflow itself. So an attempt is counted; where nothing else arrives either, the breaker pauses
before many contacts are charged.

Answers: n8n-io/n8n, packages/cli/src/webhooks and errors/response-errors, nodes/Webhook; seen of n8n 2.41.1.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from urllib3.exceptions import NewConnectionError

from crm_pipelines.crms.answers import LONGEST_CODE, LONGEST_MESSAGE, common_advice, seconds_to_wait, with_advice
from crm_pipelines.crms.outcomes import SETTINGS, Outcome, Result
from crm_pipelines.crms.transport import Answer
from crm_pipelines.scrubbing import without_secrets
from crm_pipelines.settings import N8nSettings, variable_of

_LONGEST_WAIT = timedelta(days=1)
_USUAL_WAIT = timedelta(seconds=10)
_LONGEST_ID = 200

# What JSON cannot be.
_NO_JSON = object()
# n8n's words for an execution that it could not bring to its end: when it stops, say.
_BROKEN_OFF = "There was a problem executing the workflow"

ALLOWED = "access-control-allow-methods"
UNREGISTERED = "n8n has no published workflow at this address."


def advice_for(destination: str) -> Mapping[str, str]:
    """What to do about an outcome, in the variables of this destination."""
    url, secret = variable_of(destination, "webhook_url"), variable_of(destination, "webhook_secret")
    return {
        **common_advice(destination, N8nSettings.label, url_field="webhook_url"),
        "credentials": "Give the Webhook node header authentication: the header Authorization with the word Bearer, a "
        f"blank and the value of {secret}.",
        "ip_not_authorised": "Add this machine's address to those that the Webhook node allows.",
        "unregistered": f"Publish the workflow, or set {url} to the production URL of its Webhook node.",
        "method": "Choose the HTTP method POST in the Webhook node, and publish the workflow.",
        "workflow": "See the execution in n8n: it names the node that failed.",
        "unconfirmed": "Let the workflow answer with JSON on each of its ways, or with the response code 204.",
        "preflight": f"Check {url}, and that a proxy in between passes requests with the method OPTIONS on.",
    }


ADVICE = advice_for(N8nSettings.kind)


def classify(answer: Answer, *, hide: tuple[str, ...] = (), advice: Mapping[str, str] = ADVICE) -> Outcome:
    """The meaning of an answer to a POST. Total: any status, headers and body give an Outcome.

    `hide` are secrets and personal data to be kept out of the message. `remote_id` is the id that the workflow told.
    """
    told = _json_in(answer.body)
    body = _object_in(told)
    result, kind, advised = _verdict(answer, told, body)
    if result is Result.SYNCED:
        return Outcome(result=result, http_status=answer.status, remote_id=_id_in(body))
    said = UNREGISTERED if advised == "unregistered" else _words(answer, body)
    said = without_secrets(said[: 10 * LONGEST_MESSAGE], hide)
    return Outcome(
        result=result,
        kind=kind,
        message=with_advice(said, advice.get(advised or kind or "")),
        http_status=answer.status,
        retry_after=_wait(answer.headers, result),
    )


def classify_preflight(answer: Answer, *, hide: tuple[str, ...] = (), advice: Mapping[str, str] = ADVICE) -> Outcome:
    """The meaning of an answer to OPTIONS, with which n8n tells for which methods a workflow is registered. Total."""
    if not 200 <= answer.status < 300:
        return classify(answer, hide=hide, advice=advice)
    methods = {one.strip().upper() for one in answer.headers.get(ALLOWED, "").split(",")} - {""}
    if methods & {"POST", "*"}:
        return Outcome(result=Result.SYNCED, http_status=answer.status)
    if not methods:
        said = with_advice("This is no answer of n8n's to OPTIONS.", advice["preflight"])
        return Outcome(result=Result.RETRY, kind="outage", message=said, http_status=answer.status)
    others = ", ".join(sorted(methods - {"OPTIONS"}))
    said, advised = (f"n8n takes {others} at this address.", "method") if others else (UNREGISTERED, "unregistered")
    said = with_advice(without_secrets(said, hide), advice[advised])
    return Outcome(result=Result.REFUSED, kind=SETTINGS, message=said, http_status=answer.status)


def may_have_run(answer: Answer) -> bool:
    """Whether the workflow may have been run though this answer confirms nothing.

    Not with a refusal, a redirect, or a 503, with which whoever answers says that the request has to come again.
    """
    return answer.status < 300 or (answer.status >= 500 and answer.status != 503)


def was_never_sent(error: requests.RequestException) -> bool:
    """Whether no connection came about, so that nothing of the request can have arrived."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)


def _verdict(answer: Answer, told: Any, body: Mapping[str, Any]) -> tuple[Result, str | None, str | None]:
    """Result, kind, and the advice to give where it is not the kind's own."""
    status = answer.status
    if status == 204:
        return Result.SYNCED, None, None
    if 200 <= status < 300:
        if told is _NO_JSON:
            return Result.RETRY, "outage", "unconfirmed"
        return (Result.REJECTED, "refused", None) if _is_refusal(body) else (Result.SYNCED, None, None)
    if status == 429:
        return Result.SNOOZED, "rate_limit", None
    if status in {405, 413, 414, 415}:
        return Result.REFUSED, SETTINGS, "request"
    if status == 407:
        return Result.RETRY, "outage", "proxy"
    if status in {408, 425} or not 400 <= status < 500:
        return _out_of_order(status, body)
    if status in {401, 403} and not _is_page(answer):
        from_here = _words(answer, body).startswith("IP is not")
        return Result.REFUSED, "ip_not_authorised" if from_here else "credentials", None
    if told is _NO_JSON:
        # n8n and its workflows refuse in JSON. This is a firewall's or a proxy's, maybe about this request only.
        return Result.RETRY, "outage", "foreign"
    if status == 404 and (advised := _missing(body)):
        return Result.REFUSED, SETTINGS, advised
    return Result.REJECTED, "rejected", None


def _out_of_order(status: int, body: Mapping[str, Any]) -> tuple[Result, str, str | None]:
    said = _said_in(body)
    if status == 500 and said and said != _BROKEN_OFF:
        return Result.RETRY, "workflow", None
    return Result.RETRY, "outage", "redirect" if 300 <= status < 400 else None


def _missing(body: Mapping[str, Any]) -> str | None:
    """The advice for a 404 of n8n's own, which has its code in the body; a workflow may answer so of one contact."""
    if body.get("code") != 404:
        return None
    return "method" if "Did you mean" in _said_in(body) else "unregistered"


def _json_in(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _NO_JSON


def _object_in(told: Any) -> Mapping[str, Any]:
    """A JSON object; n8n answers with a list of them where all items of the last node are asked for."""
    if isinstance(told, list) and len(told) == 1:
        [told] = told
    return told if isinstance(told, dict) else {}


def _id_in(body: Mapping[str, Any]) -> str | None:
    found = body.get("id")
    if isinstance(found, bool) or not isinstance(found, int | str):
        return None
    text = without_secrets(str(found))
    return text if 0 < len(text) <= _LONGEST_ID else None


def _words(answer: Answer, body: Mapping[str, Any]) -> str:
    """In which words it was refused, else what was answered with."""
    if said := _said_in(body):
        return said
    if answer.status in {401, 403} and not _is_page(answer):
        text = answer.body[:LONGEST_CODE].decode(errors="replace").strip()
        if text:
            return text
    if 200 <= answer.status < 300 and not body:
        return "n8n answered with a page or a text." if answer.body.strip() else "n8n answered with nothing."
    return f"n8n answered with HTTP status {answer.status}."


def _said_in(body: Mapping[str, Any]) -> str:
    for found in (body.get("error"), body.get("message")):
        if isinstance(found, dict):
            found = found.get("message")
        if isinstance(found, str) and found.strip():
            return found
    return "The workflow refused this contact." if _is_refusal(body) else ""


def _is_refusal(body: Mapping[str, Any]) -> bool:
    """An expression of n8n within a text gives a text."""
    ok = body.get("ok")
    return ok is False or (isinstance(ok, str) and ok.strip().lower() == "false")


def _is_page(answer: Answer) -> bool:
    return answer.body.lstrip()[:1] == b"<"


def _wait(headers: Mapping[str, str], result: Result) -> timedelta | None:
    if result not in {Result.SNOOZED, Result.RETRY}:
        return None
    seconds = seconds_to_wait(headers, datetime.now(UTC))
    if seconds is None:
        return _USUAL_WAIT if result is Result.SNOOZED else None
    return min(max(timedelta(seconds=min(seconds, _LONGEST_WAIT.total_seconds())), timedelta(seconds=1)), _LONGEST_WAIT)
