"""Every fault that control can order."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests

from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.sandbox.conftest import Api
from crm_pipelines_tests.patience import PATIENCE

ANN = {"email": "ann@example.org"}
TIMER = 0.01  # timers of the event loop may end a few milliseconds early


@contextlib.contextmanager
def asking(sandbox: BrevoSandbox) -> Iterator[socket.socket]:
    """The connection of a client whose request has arrived, and who hangs up at the end."""
    address = urlsplit(sandbox.root)
    body = json.dumps(ANN)
    head = (
        f"POST /v3/contacts HTTP/1.1\r\nHost: {address.netloc}\r\napi-key: any\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((str(address.hostname), int(address.port or 0)), PATIENCE) as connection:
        connection.sendall((head + body).encode())
        sandbox.wait_for_requests(1)
        yield connection


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


def test_a_status_comes_as_often_as_ordered_and_has_no_effect(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.fault("status", status=503, times=2, body={"message": "busy"}, headers={"Retry-After": "7"})
    answers = [api.post("/contacts", ANN) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 201]
    assert (answers[0].json(), answers[0].headers["retry-after"]) == ({"message": "busy"}, "7")
    assert [entry["fault"] for entry in brevo_sandbox.requests()] == ["status", "status", None]
    assert [entry["applied"] for entry in brevo_sandbox.requests()] == [False, False, True]


def test_a_rule_matches_by_method_path_and_address(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.fault("status", status=500, method="PUT")
    brevo_sandbox.fault("status", status=501, path=r"/account$")
    brevo_sandbox.fault("status", status=502, email="Ann@example.org")
    assert api.put("/contacts/1", {}).status_code == 500
    assert api.get("/account").status_code == 501
    assert api.post("/contacts", ANN).status_code == 502
    assert api.get("/contacts/ann%40example.org").status_code == 502
    assert api.post("/contacts/import", {"listIds": [2], "fileBody": "EMAIL\nann@example.org\n"}).status_code == 502
    assert api.post("/contacts", {"email": "joann@example.org"}).status_code == 201
    assert api.post("/contacts", {"email": "ann@example.org.uk"}).status_code == 201
    brevo_sandbox.clear_faults()
    assert api.post("/contacts", ANN).status_code == 201


@pytest.mark.parametrize("applied", [True, False])
def test_a_made_up_answer_may_hide_that_the_request_was_applied(
    api: Api, brevo_sandbox: BrevoSandbox, applied: bool
) -> None:
    brevo_sandbox.fault("status", status=500, applied=applied)
    assert api.post("/contacts", ANN).status_code == 500
    assert len(brevo_sandbox.contacts()) == applied


@pytest.mark.parametrize(
    ("action", "status", "content_type", "body"),
    [
        ("html", 502, "text/html", b"<html>"),
        ("empty", 200, "application/json", b""),
        ("garbage_json", 200, "application/json", b'{"id": 1'),
    ],
)
def test_answers_that_are_no_json(
    api: Api, brevo_sandbox: BrevoSandbox, action: str, status: int, content_type: str, body: bytes
) -> None:
    brevo_sandbox.fault(action, times=1)
    answer = api.post("/contacts", ANN)
    assert (answer.status_code, answer.headers["content-type"]) == (status, content_type)
    assert answer.content.startswith(body)
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|Invalid"):
        answer.json()


def test_a_redirect_leads_to_the_sandbox_itself(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.fault("redirect")
    answer = api.post("/contacts", ANN, allow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (302, "/")


def test_latency_delays_the_real_answer(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.fault("latency", seconds=0.2)
    assert api.post("/contacts", ANN).status_code == 201
    (entry,) = brevo_sandbox.requests()
    assert entry["finished_monotonic"] - entry["arrived_monotonic"] >= 0.2 - TIMER


def test_latency_of_the_configuration_delays_every_answer(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.configure(latency_seconds=0.1)
    api.get("/account")
    (entry,) = brevo_sandbox.requests()
    assert entry["finished_monotonic"] - entry["arrived_monotonic"] >= 0.1 - TIMER


@pytest.mark.parametrize(("action", "effect"), [("timeout_before", 0), ("timeout_after", 1)])
def test_a_timeout_never_answers(brevo_sandbox: BrevoSandbox, action: str, effect: int) -> None:
    brevo_sandbox.fault(action, times=1)
    with asking(brevo_sandbox) as connection:
        assert [entry["finished"] for entry in brevo_sandbox.requests()] == [None]
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b"", "there came no answer up to the end"
    (entry,) = brevo_sandbox.wait_for_requests(1, finished=True)
    assert (entry["status"], len(brevo_sandbox.contacts())) == (None, effect)


@pytest.mark.parametrize(("action", "effect"), [("reset_before", 0), ("reset_after", 1)])
def test_a_reset_breaks_the_connection(api: Api, brevo_sandbox: BrevoSandbox, action: str, effect: int) -> None:
    brevo_sandbox.fault(action, times=1)
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        api.post("/contacts", ANN)
    (entry,) = brevo_sandbox.wait_for_requests(1, finished=True)
    assert (entry["status"], len(brevo_sandbox.contacts())) == (None, effect)


def test_a_reset_of_a_client_that_has_gone_ends_the_request_all_the_same(brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.fault("reset_before", seconds=0.3, times=1)
    with asking(brevo_sandbox):
        pass
    (entry,) = brevo_sandbox.wait_for_requests(1, finished=True)
    assert entry["status"] is None


def test_a_slow_body_drips(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.fault("slow_body", seconds=PATIENCE / 500, times=1)  # for a thousand bytes
    answer = api.post("/contacts", ANN, stream=True)
    assert answer.status_code == 201
    chunks = answer.iter_content(1)
    assert [next(chunks), next(chunks)] == [b" ", b" "]
    answer.close()
    (entry,) = brevo_sandbox.wait_for_requests(1, finished=True)
    assert entry["status"] is None
    assert len(brevo_sandbox.contacts()) == 1


def test_a_slow_body_is_good_json_in_the_end(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.fault("slow_body", seconds=0)
    assert api.post("/contacts", ANN).json() == {"id": 1}


@pytest.mark.parametrize(("action", "effect"), [("hold", 0), ("hold_after", 1)])
def test_a_held_request_goes_on_when_released(
    api: Api, brevo_sandbox: BrevoSandbox, pool: ThreadPoolExecutor, action: str, effect: int
) -> None:
    brevo_sandbox.fault(action, times=1)
    answer = pool.submit(api.post, "/contacts", ANN)
    brevo_sandbox.wait_for_requests(1)
    assert (len(brevo_sandbox.contacts()), brevo_sandbox.state()["held"]) == (effect, 1)
    assert not answer.done()
    assert brevo_sandbox.release() == 1
    assert answer.result(PATIENCE).status_code == 201


def test_a_held_request_is_applied_although_its_client_is_gone(brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.fault("hold", times=1)
    with asking(brevo_sandbox):
        pass
    assert brevo_sandbox.release() == 1
    brevo_sandbox.wait_for_requests(1, finished=True)
    assert len(brevo_sandbox.contacts()) == 1


def test_what_was_held_before_a_reset_has_no_effect_after_it(
    api: Api, brevo_sandbox: BrevoSandbox, pool: ThreadPoolExecutor
) -> None:
    brevo_sandbox.fault("hold", times=1)
    held: Future[requests.Response] = pool.submit(api.post, "/contacts", ANN)
    brevo_sandbox.wait_for_requests(1)
    brevo_sandbox.reset()
    with pytest.raises(requests.ConnectionError):
        held.result(PATIENCE)
    assert (brevo_sandbox.contacts(), brevo_sandbox.requests()) == ([], [])


def test_waiting_ends_with_the_request_that_was_waited_for(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    sender = threading.Timer(0.05, api.post, ["/contacts", ANN])
    sender.start()
    found = brevo_sandbox.wait_for_requests(1, method="POST", path="/contacts$", finished=True)
    sender.join()
    assert [entry["email"] for entry in found] == ["ann@example.org"]


def test_waiting_for_requests_that_do_not_come_fails(
    brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm_pipelines_tests.fixtures.sandbox.PATIENCE", 0.1)
    with pytest.raises(AssertionError, match="1 requests expected, 0 came"):
        brevo_sandbox.wait_for_requests(1)
