"""The sandbox of n8n answers as a real n8n does, whatever is asked."""

from typing import Any, NamedTuple

import pytest
import requests

from crm_pipelines_tests.fixtures.sandbox import N8nSandbox
from crm_pipelines_tests.judges.conftest import SECRET
from crm_pipelines_tests.judges.running import N8n
from crm_pipelines_tests.judges.workflows import (
    Credentials,
    failing,
    fields,
    never,
    new_path,
    respond,
    webhook,
    workflow,
)
from crm_pipelines_tests.patience import PATIENCE

RIGHT, WRONG = {"Authorization": f"Bearer {SECRET}"}, {"Authorization": "Bearer another"}
BODY = {"contact_id": "7f9c24e8-3b12-4fef-91e0-6d2b5a4f8f10", "email": "ada@example.com"}
ASKED: dict[str, dict[str, Any]] = {
    "a wrong secret": {"json": BODY, "headers": WRONG},
    "no secret": {"json": BODY},
    "a body that is no JSON": {"data": b'{"a', "headers": {**RIGHT, "Content-Type": "application/json"}},
    "another method": {"method": "PUT", "json": BODY, "headers": RIGHT},
    "GET": {"method": "GET", "headers": RIGHT},
    "which methods": {"method": "OPTIONS", "headers": {"Origin": "https://example.com"}},
    "the test address": {"json": BODY, "headers": RIGHT, "segment": "webhook-test"},
    "which methods the test address takes": {
        "method": "OPTIONS",
        "headers": {"Origin": "https://example.com"},
        "segment": "webhook-test",
    },
}


class Said(NamedTuple):
    """Of an answer what somebody may go by; the path of the webhook is taken out."""

    status: int
    message: Any
    allowed: str | None


@pytest.fixture
def sandbox(n8n_sandbox: N8nSandbox) -> N8nSandbox:
    """Its workflow takes unsigned requests; the real ones here do not look at signatures either."""
    n8n_sandbox.configure(verify=False, keys=[SECRET])
    return n8n_sandbox


def said(url: str, *, method: str = "POST", segment: str = "webhook", **asked: Any) -> Said:
    answer = requests.request(method, url.replace("/webhook/", f"/{segment}/"), timeout=PATIENCE, **asked)
    path = url.rpartition("/")[2]
    try:
        body = answer.json()
        message = body["message"] if answer.status_code >= 400 else body
    except ValueError:
        message = answer.text if len(answer.text) < 100 else "a page"
    if isinstance(message, str):
        message = message.replace(path, "PATH")
    return Said(answer.status_code, message, answer.headers.get("Access-Control-Allow-Methods"))


@pytest.mark.parametrize("asked", ASKED.values(), ids=list(ASKED))
def test_the_sandbox_answers_like_a_published_workflow(
    n8n: N8n, sandbox: N8nSandbox, bearer: Credentials, asked: dict[str, Any]
) -> None:
    path = new_path()
    n8n.publish(workflow(webhook(path, bearer=bearer)))
    assert said(sandbox.url, **asked) == said(n8n.webhook(path), **asked)


@pytest.mark.parametrize("asked", ASKED.values(), ids=list(ASKED))
def test_the_sandbox_answers_like_a_workflow_that_is_not_published(
    n8n: N8n, sandbox: N8nSandbox, asked: dict[str, Any]
) -> None:
    sandbox.configure(methods=[])
    assert said(sandbox.url, **asked) == said(n8n.webhook(new_path()), **asked)


@pytest.mark.parametrize(
    ("answers", "mode", "nodes"),
    [
        ("started", "onReceived", [fields("Last", done="yes")]),
        ("nothing", "responseNode", [never(), respond("{}")]),
        ("no_content", "responseNode", [respond("{}", responseCode=204)]),
        ("respond", "lastNode", [failing()]),
        ("started", "onReceived", [failing()]),
    ],
    ids=["at once", "no answer", "no content", "a node fails", "a node fails later"],
)
def test_the_sandbox_answers_like_each_response_mode(
    n8n: N8n, sandbox: N8nSandbox, answers: str, mode: str, nodes: list[dict[str, Any]]
) -> None:
    path = new_path()
    n8n.publish(workflow(webhook(path, mode), *nodes))
    sandbox.configure(answers=answers, failing=[BODY["email"]] if nodes == [failing()] else [])
    asked: dict[str, Any] = {"json": BODY, "headers": RIGHT}
    assert said(sandbox.url, **asked) == said(n8n.webhook(path), **asked)
