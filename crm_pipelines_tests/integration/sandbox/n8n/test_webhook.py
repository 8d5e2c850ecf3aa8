"""The webhook of n8n's sandbox, asked by a plain HTTP client."""

import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect

from crm_pipelines.sandbox.n8n.sandbox import TEST_PATH
from crm_pipelines.sandbox.n8n.server import create_app
from crm_pipelines_tests.fixtures.api import serving
from crm_pipelines_tests.fixtures.sandbox import N8nSandbox
from crm_pipelines_tests.patience import PATIENCE

ADA = b'{"contact_id": "1", "email": "Ada@Example.com", "note": "x"}'


def signed(body: bytes, *, secret: str = "s3cret", bearer: str = "s3cret") -> dict[str, str]:
    signature = hmac.new(secret.encode(), b"1." + body, hashlib.sha256).hexdigest()
    return {
        "Authorization": f"Bearer {bearer}",
        "Content-Type": "application/json",
        "Idempotency-Key": "a-key",
        "X-Timestamp": "1",
        "X-Signature": signature,
    }


def post(sandbox: N8nSandbox, body: bytes = ADA, path: str | None = None, **headers: Any) -> requests.Response:
    url = sandbox.url if path is None else f"{sandbox.root}{path}"
    return requests.post(url, data=body, headers={**signed(body), **headers}, timeout=PATIENCE)


def ask(sandbox: N8nSandbox, method: str, path: str, **headers: str) -> requests.Response:
    return requests.request(method, f"{sandbox.root}{path}", headers=headers, timeout=PATIENCE)


@pytest.mark.parametrize(
    ("answers", "status", "told"),
    [
        ("respond", 200, {"ok": True, "id": 1}),
        ("last_node", 200, {"id": 1, "contact_id": "1", "email": "ada@example.com", "note": "x"}),
        ("all_items", 200, [{"id": 1, "contact_id": "1", "email": "ada@example.com", "note": "x"}]),
        ("started", 200, {"message": "Workflow was started"}),
        ("no_content", 204, None),
        ("nothing", 200, None),
    ],
)
def test_it_answers_in_the_modes_of_n8n(n8n_sandbox: N8nSandbox, answers: str, status: int, told: Any) -> None:
    n8n_sandbox.configure(answers=answers)
    answer = post(n8n_sandbox)
    assert (answer.status_code, answer.json() if answer.content else None) == (status, told)
    assert n8n_sandbox.executions() == [{"contact_id": "1", "idempotency_key": "a-key"}]
    [row] = n8n_sandbox.contacts()
    assert row == {"id": 1, "contact_id": "1", "email": "ada@example.com", "fields": {"note": "x"}}


def test_each_request_is_an_execution_and_the_table_has_one_row_for_an_address(n8n_sandbox: N8nSandbox) -> None:
    post(n8n_sandbox)
    post(n8n_sandbox, b'{"contact_id": "1", "email": "ada@example.com", "note": null, "more": 0}')
    assert len(n8n_sandbox.executions()) == 2
    assert [row["fields"] for row in n8n_sandbox.contacts()] == [{"more": 0}]


@pytest.mark.parametrize("authorization", ["Bearer wrong", "Bearer ", "Basic s3cret", ""])
def test_a_wrong_secret_is_refused_before_the_workflow(n8n_sandbox: N8nSandbox, authorization: str) -> None:
    n8n_sandbox.configure(keys=["s3cret"])
    answer = post(n8n_sandbox, Authorization=authorization)
    assert (answer.status_code, answer.text) == (403, "Authorization data is wrong!")
    assert n8n_sandbox.executions() == []


@pytest.mark.parametrize(
    "headers", [signed(ADA, secret="another"), signed(ADA + b" "), {**signed(ADA), "X-Timestamp": "2"}]
)
def test_a_wrong_signature_is_refused_by_the_workflow(n8n_sandbox: N8nSandbox, headers: dict[str, str]) -> None:
    answer = requests.post(n8n_sandbox.url, data=ADA, headers=headers, timeout=PATIENCE)
    assert (answer.status_code, answer.json()["ok"]) == (401, False)
    assert n8n_sandbox.contacts() == []


def test_what_the_workflow_refuses_or_fails_with_is_not_stored(n8n_sandbox: N8nSandbox) -> None:
    n8n_sandbox.configure(refused={"Ada@example.com": "Not wanted"})
    assert post(n8n_sandbox).json() == {"ok": False, "error": "Not wanted"}
    n8n_sandbox.configure(refused={}, failing=["ada@EXAMPLE.com"])
    answer = post(n8n_sandbox)
    assert (answer.status_code, answer.json()) == (500, {"message": "Error in workflow"})
    n8n_sandbox.configure(answers="started")
    assert post(n8n_sandbox).status_code == 200
    assert n8n_sandbox.contacts() == []


def test_an_unpublished_workflow_and_another_method_are_told_apart(n8n_sandbox: N8nSandbox) -> None:
    path, origin = n8n_sandbox.prefix, {"Origin": "http://127.0.0.1"}
    assert ask(n8n_sandbox, "OPTIONS", path, **origin).headers["access-control-allow-methods"] == "OPTIONS, POST"
    assert "Did you mean to make a POST request?" in ask(n8n_sandbox, "GET", path).json()["message"]
    n8n_sandbox.configure(methods=[])
    for missing in (post(n8n_sandbox), post(n8n_sandbox, path="/webhook/nowhere")):
        assert missing.status_code == 404
        assert missing.json().keys() == {"code", "message", "hint", "stacktrace"}
        assert "is not registered" in missing.json()["message"]
    for unknown in (path, "/webhook/nowhere"):
        answer = ask(n8n_sandbox, "OPTIONS", unknown, **origin)
        assert (answer.status_code, answer.headers["access-control-allow-methods"]) == (204, "OPTIONS")
    assert post(n8n_sandbox, path="/rest/nowhere").headers["content-type"].startswith("text/html")
    assert n8n_sandbox.executions() == []


def test_a_test_address_takes_one_request_while_somebody_listens(n8n_sandbox: N8nSandbox) -> None:
    assert post(n8n_sandbox, path=TEST_PATH).status_code == 404
    assert ask(n8n_sandbox, "OPTIONS", TEST_PATH, Origin="http://127.0.0.1").status_code == 404
    n8n_sandbox.configure(listening=True)
    assert [post(n8n_sandbox, path=TEST_PATH).status_code for _ in range(2)] == [200, 404]
    assert len(n8n_sandbox.executions()) == 1


def test_a_body_that_is_no_json_and_an_address_that_is_not_allowed_are_refused(n8n_sandbox: N8nSandbox) -> None:
    assert post(n8n_sandbox, b"{").status_code == 422
    n8n_sandbox.configure(allowed_address=False)
    answer = post(n8n_sandbox)
    assert (answer.status_code, answer.text.startswith("IP is not")) == (403, True)
    assert n8n_sandbox.executions() == []


def test_the_table_survives_a_restart_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    with serving(create_app(file)) as root:
        post(sandbox := N8nSandbox(root))
        before = sandbox.contacts()
        sandbox.close()
    with serving(create_app(file)) as root:
        sandbox = N8nSandbox(root)
        assert sandbox.contacts() == before
        assert post(sandbox, b'{"contact_id": "2", "email": "bob@example.com"}').json()["id"] == 2
        sandbox.close()


@pytest.mark.browser
def test_the_page_says_that_it_is_no_n8n_and_fits_a_phone(n8n_sandbox: N8nSandbox, page: Page) -> None:
    post(n8n_sandbox)
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(n8n_sandbox.root)
    expect(page.get_by_text("This is not n8n.")).to_be_visible()
    expect(page.get_by_text("ada@example.com")).to_be_visible()
    expect(page.get_by_text("was run 1 times")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
