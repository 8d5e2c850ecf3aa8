"""What n8n is sent, and what its answers mean, without HTTP."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from crm_pipelines.crms.mapping import MappingError
from crm_pipelines.crms.n8n.identity import SANDBOX_PATH, identity_of
from crm_pipelines.crms.n8n.mapper import N8nMapper
from crm_pipelines.crms.n8n.mapping import load_mapping
from crm_pipelines.crms.n8n.message import SignedSecret, body_of, idempotency_key, signature
from crm_pipelines.crms.n8n.outcomes import classify, classify_preflight, was_never_sent
from crm_pipelines.crms.outcomes import Result
from crm_pipelines.crms.payloads import Payload, Sendable
from crm_pipelines.crms.transport import Answer
from crm_pipelines.sandbox.n8n import sandbox

NOW = datetime(2026, 11, 30, 4, 5, 6, tzinfo=UTC)
ADA: dict[str, Any] = {
    "id": UUID(int=7),
    "email": "Ada@Example.com",
    "name": "Ada King",
    "domain_id": "d-1",
    "custom_fields": {"Company size": 12, "größe": "XL"},
}


def contact(sent: frozenset[str] = frozenset(), **changes: Any) -> Sendable:
    payload = N8nMapper(mapping=load_mapping(None)).prepare({**ADA, **changes}, sent_attributes=sent)
    assert isinstance(payload, Payload)
    return Sendable(payload=payload, remote_key=None, remote_id=None)


def answered(status: int, body: Any, **headers: str) -> Answer:
    return Answer(status=status, body=body if isinstance(body, bytes) else json.dumps(body).encode(), headers=headers)


def test_the_body_has_the_names_of_the_original_and_the_mapped_fields_beside_them() -> None:
    body = json.loads(body_of(contact(sent=frozenset({"context", "Company size"})), NOW))
    assert body == {
        "contact_id": str(UUID(int=7)),
        "email": "ada@example.com",
        "name": "Ada King",
        "scrapersky_domain_id": "d-1",
        "scrapersky_page_id": None,
        "first_name": "Ada",
        "last_name": "King",
        "Company size": 12,
        "größe": "XL",
        "context": None,
        "timestamp": "2026-11-30T04:05:06+00:00",
    }


def test_the_names_of_the_original_are_there_whatever_the_mapping_says(tmp_path: Path) -> None:
    file = tmp_path / "mapping.toml"
    file.write_text('custom_fields = "mapped"\n[attributes]\nwho = { from = "name", type = "text" }\n')
    payload = N8nMapper(mapping=load_mapping(file)).prepare(ADA, sent_attributes=frozenset())
    assert isinstance(payload, Payload)
    body = json.loads(body_of(Sendable(payload=payload, remote_key=None, remote_id=None), NOW))
    assert body.keys() >= {"name", "scrapersky_domain_id", "scrapersky_page_id", "who"}
    assert "Company size" not in body


@pytest.mark.parametrize("name", ["contact_id", "email", "timestamp"])
def test_what_the_delivery_says_itself_is_not_mapped(tmp_path: Path, name: str) -> None:
    file = tmp_path / "mapping.toml"
    file.write_text(f'[attributes]\n{name} = {{ from = "name", type = "text" }}\n')
    with pytest.raises(MappingError, match=f"{name} is sent by crm-pipelines itself"):
        load_mapping(file)


def test_the_idempotency_key_is_that_of_contact_and_content_and_not_of_the_time() -> None:
    key = idempotency_key(contact())
    assert key == idempotency_key(contact())
    assert body_of(contact(), NOW) != body_of(contact(), NOW + timedelta(seconds=1))
    later = idempotency_key(replace(contact(), occasion="2.1"))
    assert len({key, later, idempotency_key(contact(name="Eve")), idempotency_key(contact(id=UUID(int=8)))}) == 4


def test_what_is_signed_is_the_time_and_the_body_byte_by_byte() -> None:
    body = body_of(contact(name="Zoë 😀"), NOW)
    sent = SignedSecret("s3cret")(requests.Request("POST", "http://127.0.0.1/", data=body).prepare())
    signed = sent.headers["X-Timestamp"].encode() + b"." + body
    assert sent.body == body
    assert sent.headers["X-Signature"] == hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
    assert sent.headers["Authorization"] == "Bearer s3cret"
    assert signature("s3cret", "1", body) not in {signature("s3cret", "2", body), signature("other", "1", body)}


N8NS_404 = {"code": 404, "message": 'The requested webhook "POST a-path" is not registered.', "hint": "Publish it."}
GET_ONLY = {
    "code": 404,
    "message": "This webhook is not registered for POST requests. Did you mean to make a GET request?",
}
PAGE = b"\n<html>Please log in</html>"


@pytest.mark.parametrize(
    ("answer", "result", "kind", "said"),
    [
        (answered(200, {"message": "Workflow was started"}), "synced", None, None),
        (answered(200, {"id": 5}), "synced", None, None),
        (answered(200, [{"id": 5}, {"id": 6}]), "synced", None, None),
        (answered(200, "fine"), "synced", None, None),
        (answered(201, {"ok": True}), "synced", None, None),
        (answered(204, b""), "synced", None, None),
        (answered(200, b""), "retry", "outage", "answered with nothing. Let the workflow answer with JSON"),
        (answered(200, PAGE), "retry", "outage", "a page or a text. Let the workflow answer with JSON"),
        (answered(200, b"thanks"), "retry", "outage", "a page or a text. Let the workflow answer with JSON"),
        (answered(200, {"ok": False, "error": "No such company"}), "rejected", "refused", "No such company"),
        (answered(200, {"ok": False, "error": {"message": "No"}}), "rejected", "refused", "No"),
        (answered(200, {"ok": False}), "rejected", "refused", "The workflow refused this contact."),
        (answered(200, {"ok": "False", "error": "No such company"}), "rejected", "refused", "No such company"),
        (answered(200, {"ok": "falsetto"}), "synced", None, None),
        (answered(200, {"ok": None}), "synced", None, None),
        (answered(302, b""), "retry", "outage", "Redirects are not followed."),
        (answered(400, {"error": "Bad"}), "rejected", "rejected", "Bad"),
        (answered(400, PAGE), "retry", "outage", "This is no answer of n8n's."),
        (answered(401, b"Authorization is required!"), "refused", "credentials", "N8N_WEBHOOK_SECRET"),
        (answered(401, {"ok": False, "error": "The signature is wrong"}), "refused", "credentials", "signature"),
        (answered(403, b"Authorization data is wrong!"), "refused", "credentials", "Authorization data is wrong!"),
        (answered(403, PAGE), "retry", "outage", "This is no answer of n8n's."),
        (
            answered(403, b"IP is not whitelisted to access the webhook!"),
            "refused",
            "ip_not_authorised",
            "Add this machine's address",
        ),
        (answered(404, N8NS_404), "refused", "settings", "no published workflow at this address. Publish the workflow"),
        (answered(404, GET_ONLY), "refused", "settings", "Choose the HTTP method POST"),
        (answered(404, {"ok": False, "error": "No such company"}), "rejected", "rejected", "No such company"),
        (answered(404, PAGE), "retry", "outage", "This is no answer of n8n's."),
        (answered(405, b""), "refused", "settings", "whichever contact is in it"),
        (answered(408, b""), "retry", "outage", None),
        (answered(413, PAGE), "refused", "settings", "whichever contact is in it"),
        (answered(422, {"message": "Failed to parse request body"}), "rejected", "rejected", "Failed to parse"),
        (answered(425, b""), "retry", "outage", None),
        (answered(429, b""), "snoozed", "rate_limit", None),
        (answered(500, {"message": "Error in workflow"}), "retry", "workflow", "See the execution in n8n"),
        (answered(500, {"code": 0, "message": "There was a problem executing the workflow"}), "retry", "outage", None),
        (answered(500, {"message": "No authentication data defined on node!"}), "retry", "workflow", "No auth"),
        (answered(502, PAGE), "retry", "outage", None),
        (answered(503, {"message": "Database is not ready!"}), "retry", "outage", None),
    ],
)  # fmt: skip
def test_what_an_answer_means(answer: Answer, result: str, kind: str | None, said: str | None) -> None:
    outcome = classify(answer)
    assert (outcome.result, outcome.kind, outcome.http_status) == (result, kind, answer.status)
    assert (said or "") in (outcome.message or "")
    assert "a-path" not in (outcome.message or "")


def test_only_what_found_no_connection_was_never_sent() -> None:
    assert was_never_sent(requests.ConnectTimeout())
    assert not was_never_sent(requests.ReadTimeout())
    assert not was_never_sent(requests.ConnectionError("Connection aborted."))


@pytest.mark.parametrize(
    ("told", "known"),
    [
        (5, "5"),
        ("abc", "abc"),
        (True, None),
        (None, None),
        ("", None),
        (["a"], None),
        ("x" * 201, None),
        ("a\nb", "a b"),
    ],
)
def test_an_id_is_taken_over_where_it_is_one(told: Any, known: str | None) -> None:
    assert classify(answered(200, {"id": told})).remote_id == known
    assert classify(answered(200, [{"id": told}])).remote_id == known


@pytest.mark.parametrize(
    ("wait", "expected"),
    [("37", 37), ("0", 1), (str(10**9), 86_400), (None, 10)],
    ids=["said", "none", "long", "unsaid"],
)
def test_how_long_n8n_asks_to_wait(wait: str | None, expected: int) -> None:
    headers = {} if wait is None else {"retry-after": wait}
    assert classify(Answer(status=429, headers=headers)).retry_after == timedelta(seconds=expected)


@pytest.mark.parametrize(
    ("methods", "result", "said"),
    [
        ("OPTIONS, POST", "synced", ""),
        ("OPTIONS, GET, post", "synced", ""),
        ("*", "synced", ""),
        ("OPTIONS", "refused", "Publish the workflow"),
        ("OPTIONS, GET", "refused", "n8n takes GET at this address. Choose the HTTP method POST"),
        ("", "retry", "passes requests with the method OPTIONS on"),
    ],
)
def test_what_an_answer_to_options_means(methods: str, result: str, said: str) -> None:
    headers = {"access-control-allow-methods": methods} if methods else {}
    outcome = classify_preflight(Answer(status=204, headers=headers))
    assert outcome.result == result
    assert said in (outcome.message or "")


@given(st.integers(100, 999), st.binary() | st.builds(lambda told: json.dumps(told).encode(), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda some: st.lists(some) | st.dictionaries(st.sampled_from(["ok", "id", "error", "message", "code"]), some),
)))  # fmt: skip
def test_any_answer_means_something(status: int, body: bytes) -> None:
    for outcome in (classify(Answer(status=status, body=body)), classify_preflight(Answer(status=status, body=body))):
        assert (outcome.result is Result.SYNCED) == (outcome.message is None)
        assert len(outcome.message or "") <= 500


def test_the_account_is_the_address_of_which_only_the_host_is_told() -> None:
    first = identity_of("https://n8n.example.org/webhook/a-path")
    assert first == identity_of("https://n8n.example.org/webhook/a-path/")
    assert first.account.startswith("n8n.example.org ")
    assert "a-path" not in first.account
    assert first.named
    assert not first.sandbox
    assert identity_of("https://n8n.example.org/webhook/another").account != first.account


def test_the_sandbox_is_known_by_its_address_on_this_machine() -> None:
    assert sandbox.PATH == SANDBOX_PATH
    assert identity_of(f"http://127.0.0.1:8085{SANDBOX_PATH}").sandbox
    assert not identity_of(f"https://n8n.example.org{SANDBOX_PATH}").sandbox
    assert not identity_of("http://127.0.0.1:5678/webhook/mine").sandbox
