"""Control, the log, the page, and who may come in."""

import socket
from urllib.parse import urlsplit

import pytest
import requests

from crm_pipelines.sandbox.brevo.quirks import QUIRKS
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.sandbox.conftest import Api
from crm_pipelines_tests.patience import PATIENCE


def test_the_log_tells_who_asked_for_what_and_never_the_key(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    api.post("/contacts", {"email": "Ann@example.org", "ext_id": "a-1"}, headers={"User-Agent": "me/1"})
    api.get("/contacts", limit=5)
    api("GET", "/account", headers={"api-key": "another"})
    first, second, third = brevo_sandbox.requests()
    assert [first["seq"], second["seq"], third["seq"]] == [1, 2, 3]
    assert (first["method"], first["path"], first["status"]) == ("POST", "/v3/contacts", 201)
    assert (first["email"], first["ext_id"], first["user_agent"]) == ("Ann@example.org", "a-1", "me/1")
    assert second["query"] == "limit=5"
    assert first["client_port"] == second["client_port"]
    assert first["key"] == second["key"] != third["key"]
    assert first["arrived_monotonic"] <= first["finished_monotonic"] <= second["arrived_monotonic"]
    assert "xkeysib-test" not in str(brevo_sandbox.requests())


def test_a_new_connection_shows_in_the_log(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    api.get("/account")
    api.session.close()
    api.get("/account")
    first, second = brevo_sandbox.requests()
    assert first["client_port"] != second["client_port"]


@pytest.mark.parametrize("path", ["/", "/v3/account", "/v3/nothing", "/_sandbox/state", "/nothing", "/reports/1/x.csv"])
def test_every_answer_says_that_it_is_the_sandbox(brevo_sandbox: BrevoSandbox, path: str) -> None:
    assert requests.get(f"{brevo_sandbox.root}{path}", timeout=PATIENCE).headers["x-sandbox"] == "crm-pipelines"


def test_answers_of_faults_and_to_nonsense_say_so_too(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.fault("html")
    assert api.get("/account").headers["x-sandbox"] == "crm-pipelines"
    address = urlsplit(brevo_sandbox.root)
    assert address.hostname is not None
    with socket.create_connection((address.hostname, address.port or 0), PATIENCE) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        assert b"x-sandbox: crm-pipelines" in connection.recv(4096).lower()


def test_every_api_answer_has_its_own_request_id(api: Api) -> None:
    first, second = (api.get("/account").headers["sib-request-id"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize("path", ["/", "/v3/account", "/_sandbox/state", "/_sandbox/reset"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example:80", ""])
def test_a_foreign_host_name_is_refused_everywhere(brevo_sandbox: BrevoSandbox, path: str, host: str) -> None:
    answer = requests.get(f"{brevo_sandbox.root}{path}", headers={"Host": host, "api-key": "k"}, timeout=PATIENCE)
    assert (answer.status_code, answer.headers["x-sandbox"]) == (403, "crm-pipelines")


@pytest.mark.parametrize("host", ["localhost", "localhost:1234", "[::1]:80", "127.0.0.1"])
def test_names_of_this_machine_are_accepted(brevo_sandbox: BrevoSandbox, host: str) -> None:
    assert requests.get(brevo_sandbox.root, headers={"Host": host}, timeout=PATIENCE).ok


@pytest.mark.parametrize("path", ["reset", "config", "faults", "release", "contacts"])
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_simple_form_of_a_foreign_page_cannot_change_anything(
    brevo_sandbox: BrevoSandbox, path: str, content_type: str | None
) -> None:
    brevo_sandbox.seed({"email": "ann@example.org"})
    answer = requests.post(
        f"{brevo_sandbox.root}/_sandbox/{path}", data="{}", headers={"Content-Type": content_type}, timeout=PATIENCE
    )
    assert answer.status_code == 415
    assert len(brevo_sandbox.contacts()) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("config", {"no_such_setting": 1}),
        ("config", {"contacts_per_second": -1}),
        ("config", [1]),
        ("faults", [{"action": "explode"}]),
        ("faults", [{"action": "status", "path": "("}]),
        ("faults", {"action": "status"}),
        ("contacts", [{"email": "no address"}]),
        ("contacts", 7),
    ],
)
def test_wrong_orders_are_refused(brevo_sandbox: BrevoSandbox, path: str, body: object) -> None:
    assert requests.post(f"{brevo_sandbox.root}/_sandbox/{path}", json=body, timeout=PATIENCE).status_code == 400


def test_seeded_contacts_leave_no_trace_in_the_log(brevo_sandbox: BrevoSandbox) -> None:
    assert brevo_sandbox.seed({"email": "a@example.org"}, {"email": "A@example.org", "emailBlacklisted": True}) == [
        1,
        1,
    ]
    contact = brevo_sandbox.contact("A@example.org")
    assert contact is not None
    assert contact["emailBlacklisted"] is True
    assert brevo_sandbox.requests() == []


def test_the_page_shows_contacts_requests_faults_and_quirks_escaped(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    api.post("/contacts", {"email": "ann@example.org", "attributes": {"FIRSTNAME": "<script>alert(1)</script>"}})
    api.get("/contacts/%3Cb%3E")
    brevo_sandbox.fault("status", path="<i>")
    answer = requests.get(brevo_sandbox.root, timeout=PATIENCE)
    assert "This is not Brevo" in answer.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert not any(raw in answer.text for raw in ("<script>", "<b>alert", "/<b>", "<i>"))
    assert all(quirk.source in answer.text for quirk in QUIRKS)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "xkeysib-test" not in answer.text


def test_the_page_is_readable_when_there_is_nothing(brevo_sandbox: BrevoSandbox) -> None:
    text = requests.get(brevo_sandbox.root, timeout=PATIENCE).text
    assert "No contacts yet." in text
    assert "No requests yet." in text
