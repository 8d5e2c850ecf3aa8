"""What our client makes of a real n8n's answers, and what a real workflow sees of our requests."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from crm_pipelines.crms.n8n import N8n as Client
from crm_pipelines.crms.n8n.mapping import load_mapping
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Payload
from crm_pipelines_tests.judges.conftest import SECRET
from crm_pipelines_tests.judges.running import N8n, output, seen
from crm_pipelines_tests.judges.workflows import (
    Credentials,
    failing,
    fields,
    never,
    new_path,
    node,
    respond,
    webhook,
    workflow,
)
from crm_pipelines_tests.one_contact import at_once, deliver

CONTACT = str(uuid4())
RECORD = {"id": CONTACT, "email": "ada@example.com", "name": "Ada Lovelace", "context": "Zürich ☂ 😀", "page_id": None}


@pytest.fixture
def client(n8n: N8n) -> Iterator[Callable[..., Client]]:
    """Opens one on an address."""
    opened: list[Client] = []

    def open_client(path: str, *, secret: str = SECRET, segment: str = "webhook", **settings: Any) -> Client:
        url = n8n.webhook(path, segment)
        opened.append(Client(webhook_url=url, webhook_secret=secret, mapping=load_mapping(None), **settings))
        return opened[-1]

    yield open_client
    for one in opened:
        one.close()


def payload_of(crm: Client, **changed: Any) -> Payload:
    payload = crm.prepare({**RECORD, **changed}, sent_attributes=frozenset())
    assert isinstance(payload, Payload)
    return payload


def told(crm: Client, **changed: Any) -> Outcome:
    return deliver(crm, payload_of(crm, **changed))


def test_a_workflow_that_answers_with_an_id_has_taken_the_contact_under_it(
    n8n: N8n, client: Callable[..., Client], bearer: Credentials
) -> None:
    path = new_path()
    answer = respond('={{ JSON.stringify({ok: true, id: "lead-" + $json.body.name.length}) }}')
    n8n.publish(workflow(webhook(path, "responseNode", bearer=bearer), answer))
    outcome = told(client(path))
    assert (outcome.result, outcome.remote_id, outcome.http_status) == (Result.SYNCED, "lead-12", 200)


@pytest.mark.parametrize("mode", ["onReceived", "lastNode"])
def test_a_workflow_that_answers_without_an_id_has_taken_the_contact_under_ours(
    n8n: N8n, client: Callable[..., Client], bearer: Credentials, mode: str
) -> None:
    path = new_path()
    n8n.publish(workflow(webhook(path, mode, bearer=bearer), fields("Last", done="yes")))
    outcome = told(client(path))
    assert (outcome.result, outcome.remote_id) == (Result.SYNCED, CONTACT)


def test_the_id_of_the_last_node_is_the_contacts(n8n: N8n, client: Callable[..., Client], bearer: Credentials) -> None:
    path = new_path()
    n8n.publish(workflow(webhook(path, bearer=bearer), fields("Last", id="lead-7")))
    assert told(client(path)).remote_id == "lead-7"


@pytest.mark.parametrize("code", [200, 422])
def test_a_workflow_that_refuses_is_quoted(
    n8n: N8n, client: Callable[..., Client], bearer: Credentials, code: int
) -> None:
    path = new_path()
    answer = respond('{"ok": false, "error": "No consent."}', responseCode=code)
    n8n.publish(workflow(webhook(path, "responseNode", bearer=bearer), answer))
    outcome = told(client(path))
    assert outcome.result is Result.REJECTED
    assert (outcome.message or "").startswith("No consent.")


def test_a_failed_workflow_is_tried_again(n8n: N8n, client: Callable[..., Client], bearer: Credentials) -> None:
    path = new_path()
    n8n.publish(workflow(webhook(path, bearer=bearer), failing()))
    outcome = told(client(path))
    assert (outcome.result, outcome.kind, outcome.http_status) == (Result.RETRY, "workflow", 500)
    assert "Error in workflow" in (outcome.message or "")


def test_where_nothing_must_be_sent_twice_a_failed_workflow_is_unknown(
    n8n: N8n, client: Callable[..., Client], bearer: Credentials
) -> None:
    path = new_path()
    n8n.publish(workflow(webhook(path, bearer=bearer), failing()))
    assert told(client(path, at_most_once=True)).result is Result.UNKNOWN


def test_a_workflow_that_fails_after_it_answered_has_taken_the_contact(
    n8n: N8n, client: Callable[..., Client], bearer: Credentials
) -> None:
    path = new_path()
    made = n8n.publish(workflow(webhook(path, "onReceived", bearer=bearer), failing()))
    assert told(client(path)).result is Result.SYNCED
    assert n8n.wait_for_executions(made, 1)[0]["status"] == "error"


def test_a_workflow_that_never_reached_its_answer_confirms_nothing(
    n8n: N8n, client: Callable[..., Client], bearer: Credentials
) -> None:
    path = new_path()
    n8n.publish(workflow(webhook(path, "responseNode", bearer=bearer), never(), respond("{}")))
    outcome = told(client(path))
    assert (outcome.result, outcome.http_status) == (Result.RETRY, 200)
    assert "answered with nothing" in (outcome.message or "")


def test_a_wrong_secret_is_one_of_the_credentials_and_runs_nothing(
    n8n: N8n, client: Callable[..., Client], bearer: Credentials
) -> None:
    path = new_path()
    made = n8n.publish(workflow(webhook(path, bearer=bearer), fields("Last", id="1")))
    outcome = told(client(path, secret="another"))
    assert (outcome.result, outcome.kind, outcome.http_status) == (Result.REFUSED, "credentials", 403)
    assert told(client(path)).result is Result.SYNCED
    assert len(n8n.wait_for_executions(made, 1)) == 1


def test_what_is_not_published_concerns_the_destination_and_not_the_contact(
    n8n: N8n, client: Callable[..., Client], bearer: Credentials
) -> None:
    path = new_path()
    made = n8n.publish(workflow(webhook(path, bearer=bearer)))
    n8n.withdraw(made)
    for outcome in (told(client(path)), told(client(path, segment="webhook-test")), client(path).probe(turn=at_once)):
        assert (outcome.result, outcome.kind) == (Result.REFUSED, "settings")
        assert "no published workflow" in (outcome.message or "")
        assert path not in (outcome.message or "")


def test_a_workflow_for_another_method_is_named_as_such(n8n: N8n, client: Callable[..., Client]) -> None:
    path = new_path()
    made = n8n.publish(workflow(webhook(path, method="GET")))
    crm = client(path)
    for outcome in (told(crm), crm.probe(turn=at_once)):
        assert (outcome.result, outcome.kind) == (Result.REFUSED, "settings")
        assert "Choose the HTTP method POST" in (outcome.message or "")
    assert n8n.executions(made) == []


def test_looking_whether_a_workflow_is_there_runs_none(
    n8n: N8n, client: Callable[..., Client], bearer: Credentials
) -> None:
    path = new_path()
    made = n8n.publish(workflow(webhook(path, bearer=bearer)))
    crm = client(path)
    assert crm.probe(turn=at_once).result is Result.SYNCED
    assert all(finding.ok for finding in crm.check(turn=at_once))
    assert n8n.executions(made) == []


def test_a_workflow_for_bots_is_not_taken_from_us(n8n: N8n, client: Callable[..., Client], bearer: Credentials) -> None:
    path = new_path()
    n8n.publish(workflow(webhook(path, bearer=bearer, ignoreBots=True)))
    assert told(client(path)).result is Result.SYNCED


def test_a_workflow_sees_the_body_and_the_headers_that_the_documents_promise(
    n8n: N8n, client: Callable[..., Client], bearer: Credentials
) -> None:
    path = new_path()
    made = n8n.publish(workflow(webhook(path, bearer=bearer)))
    told(client(path), has_gmail=False, custom_fields={"Schuhgröße": "38"})
    [execution] = n8n.wait_for_executions(made, 1)
    request = seen(execution)
    sent_at = datetime.fromisoformat(request["body"].pop("timestamp"))
    assert abs(datetime.now(UTC) - sent_at) < timedelta(hours=1)
    assert sent_at.utcoffset() == timedelta(0)
    assert request["body"] == {
        "contact_id": CONTACT,
        "email": "ada@example.com",
        "name": "Ada Lovelace",
        "scrapersky_domain_id": None,
        "scrapersky_page_id": None,
        "first_name": "Ada",
        "last_name": "Lovelace",
        "context": "Zürich ☂ 😀",
        "has_gmail": False,
        "Schuhgröße": "38",
    }
    headers = request["headers"]
    assert headers["authorization"] == f"Bearer {SECRET}"
    assert headers["user-agent"].startswith("crm-pipelines")
    assert headers["content-type"].startswith("application/json")


def test_the_idempotency_key_is_the_same_for_the_same_content_and_another_after_an_edit(
    n8n: N8n, client: Callable[..., Client], bearer: Credentials
) -> None:
    path = new_path()
    made = n8n.publish(workflow(webhook(path, bearer=bearer)))
    crm = client(path)
    told(crm)
    told(crm)
    told(crm, name="Ada King")
    first, again, edited = (seen(one)["headers"]["idempotency-key"] for one in n8n.wait_for_executions(made, 3))
    assert first == again
    assert edited != first


def test_the_signature_is_what_n8ns_own_crypto_node_makes_of_time_and_body(
    n8n: N8n, client: Callable[..., Client], bearer: Credentials
) -> None:
    path = new_path()
    made = n8n.publish(
        workflow(
            webhook(path, bearer=bearer, rawBody=True),
            node("Raw", "extractFromFile", 1.1, {"operation": "text", "destinationKey": "raw", "options": {}}),
            node(
                "Crypto",
                "crypto",
                2,
                {
                    "action": "hmac",
                    "type": "SHA256",
                    "value": "={{ $('Webhook').item.json.headers['x-timestamp'] }}.{{ $json.raw }}",
                    "dataPropertyName": "digest",
                },
                credentials=n8n.credential("crypto", hmacSecret=SECRET),
            ),
        )
    )
    told(client(path))
    [execution] = n8n.wait_for_executions(made, 1)
    assert output(execution, "Crypto")["digest"] == seen(execution)["headers"]["x-signature"]
