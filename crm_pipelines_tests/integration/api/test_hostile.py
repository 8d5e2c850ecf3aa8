"""What somebody sends who means harm, or whose program is broken."""

import base64
import json
import socket
from collections.abc import Callable
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import requests

from crm_pipelines.api.access import FAILURES_PER_MINUTE, LOOKS_PER_MINUTE
from crm_pipelines_tests.fixtures.api import Api, error_of
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.patience import PATIENCE


def exchange(api: Api, head: str) -> str:
    """The first line of the answer to a request of which this is all that ever comes."""
    parts = urlsplit(api.root)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=PATIENCE) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        return connection.makefile("rb").readline().decode().strip()


@pytest.mark.parametrize("length", ["Content-Length: 4000000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("path", ["/contacts", "/contacts/search", "/contacts/crm/select", "/contacts/crm/retry"])
def test_a_stranger_is_turned_away_before_a_byte_of_the_body_is_read(api: Api, length: str, path: str) -> None:
    head = f"POST /api/v3{path} HTTP/1.1\nHost: localhost\nContent-Type: application/json\n{length}"
    assert exchange(api, f"{head}\nAuthorization: Bearer nonsense") == "HTTP/1.1 401 Unauthorized"


@pytest.mark.parametrize(
    "head",
    [
        "GET /api/v3/crm/config HTTP/1.1\nHost: localhost\nHost: evil.example",
        "GET /api/v3/crm/config HTTP/1.1\nHost: evil.example\nHost: localhost",
        "POST /api/v3/contacts HTTP/1.1\nHost: localhost\nContent-Length: 2\nContent-Length: 3",
        f"POST /api/v3/contacts HTTP/1.1\nHost: localhost\nContent-Length: {'9' * 5000}",
        "POST /api/v3/contacts HTTP/1.1\nHost: localhost\nContent-Length: -1",
        "POST /api/v3/contacts HTTP/1.1\nHost: localhost\nContent-Length: 2\nTransfer-Encoding: chunked",
        "GET /api/v3/contacts%00 HTTP/1.1\nHost: localhost",
        "GET /api/v3/../v3/contacts HTTP/1.1\nHost: localhost",
        "GET /static/../session.py HTTP/1.1\nHost: localhost",
        "GET /static/..%2fsession.py HTTP/1.1\nHost: localhost",
    ],
)
def test_a_request_that_two_servers_might_read_differently_gets_nothing(api: Api, head: str) -> None:
    status = int(exchange(api, f"{head}\nAuthorization: Bearer {api.token}").split()[1])
    assert 400 <= status < 500, status


def test_a_request_says_neither_its_own_id_nor_where_it_comes_from(api: Api) -> None:
    answer = api.call("GET", "/crm/config", headers={"X-Request-ID": "mine"})
    assert answer.headers["X-Request-ID"] != "mine"
    codes = [
        error_of(
            requests.get(
                f"{api.url}/crm/config",
                headers={"Authorization": "Bearer no", "X-Forwarded-For": f"10.0.0.{number}"},
                timeout=PATIENCE,
            )
        )[0]
        for number in range(FAILURES_PER_MINUTE + 1)
    ]
    assert codes == [401] * FAILURES_PER_MINUTE + [429]


@pytest.mark.parametrize("path", ["/contacts", "/crm/status/failed", "/crm/status/errors"])
@pytest.mark.parametrize(
    "place",
    [
        [5, 5],
        [None, None],
        [[], {}],
        {"created_at": 1, "id": 2},
        7,
        [str(uuid4()), "\0"],
        [str(uuid4()), "\ud800"],
        ["9" * 100, "x"],
        ["-1", "x"],
        ["2026-01-01T00:00:00+00:00", 5],
        ["2026-01-01T00:00:00+00:00", str(uuid4()), "more"],
        [],
    ],
)
def test_a_cursor_that_was_tampered_with_is_refused(api: Api, path: str, place: object) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(place).encode()).decode()
    assert api.refused("GET", path, params={"cursor": cursor}) == (422, "invalid_cursor")


def test_a_body_full_of_problems_gets_a_short_answer(api: Api) -> None:
    bodies: list[tuple[str, object]] = [
        ("/contacts/crm/select", {"contact_ids": [1] * 100_000, "crms": ["brevo"]}),
        ("/contacts", {"email": "ada@example.com", **dict.fromkeys(map(str, range(10_000)), 1)}),
        ("/contacts/search", {"filter": dict.fromkeys(map(str, range(10_000)), 1)}),
        ("/contacts/crm/select", {"contact_ids": [str(uuid4())], "crms": [1] * 10_000}),
    ]
    for path, body in bodies:
        answer = api.call("POST", path, json=body)
        assert error_of(answer) == (422, "validation_failed"), path
        assert len(answer.content) < 10_000, path


def test_what_a_crm_holds_is_told_when_asked_for_and_through_the_gate(
    serve_api: Callable[..., Api], brevo_environment: BrevoSandbox
) -> None:
    api = serve_api()
    contact = api.post("/contacts", {"email": "ada@example.com", "name": "Ada Lovelace"})
    brevo_environment.seed({"email": "ada@example.com", "attributes": {"FIRSTNAME": "Augusta"}})
    path = f"/contacts/{contact['id']}/sync-status"
    assert api.get(path)["live"] == []
    assert brevo_environment.requests() == []
    api.sign_in(api.new_token(["read"]))
    api.people.run("UPDATE crm_gates SET next_slot_at = now() - interval '1 hour'")
    [held] = api.get(path, live="true")["live"]
    assert (held["crm"], held["found"], held["says"]) == ("brevo", True, "It differs in FIRSTNAME, LASTNAME.")
    assert {one["attribute"]: one["theirs"] for one in held["fields"]}["FIRSTNAME"] == "Augusta"
    [gate] = api.people.all("SELECT next_slot_at > now() - interval '50 m' AS used FROM crm_gates WHERE crm = 'brevo'")
    assert gate["used"]
    for _ in range(LOOKS_PER_MINUTE):
        answer = api.call("GET", path, params={"live": "true"})
    assert error_of(answer) == (429, "too_many_requests")
    assert api.get(path)["live"] == []


def test_without_a_key_the_crm_cannot_be_asked_and_the_answer_says_so(api: Api) -> None:
    [contact] = api.people.add(select=False)
    path = f"/contacts/{contact}/sync-status"
    assert api.refused("GET", path, params={"live": "true"}) == (409, "crm_not_configured")
    assert api.refused("GET", path, params={"live": "perhaps"}) == (422, "validation_failed")
