"""Tokens and permissions, the rate limit, faults, the log, control, and the page."""

from typing import Any

import pytest
import requests

from crm_pipelines.sandbox.mautic.quirks import QUIRKS
from crm_pipelines_tests.fixtures.sandbox import MauticSandbox
from crm_pipelines_tests.integration.sandbox.mautic.conftest import (
    CONTACTS,
    FIELDS,
    SECRET,
    SEGMENTS,
    Client,
    error,
)
from crm_pipelines_tests.patience import PATIENCE


def test_a_token_is_bought_with_a_form_and_counted(client: Client, mautic_sandbox: MauticSandbox) -> None:
    answer = client.buy()
    content = answer.json()
    assert answer.status_code == 200
    assert set(content) == {"access_token", "expires_in", "token_type", "scope"}
    assert (content["expires_in"], content["token_type"], content["scope"]) == (3600, "bearer", "")
    # A second one does not end the first.
    assert client.buy().json()["access_token"] != content["access_token"]
    headers = {"Authorization": f"Bearer {content['access_token']}"}
    assert client("GET", CONTACTS, headers=headers).status_code == 200
    assert mautic_sandbox.tokens() == 3


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"client_id": "", "client_secret": "x"}, "invalid_client"),
        ({"client_secret": ""}, "invalid_client"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unauthorized_client"),
    ],
)
def test_no_token_for_a_request_that_is_not_whole(client: Client, given: dict[str, str], kind: str) -> None:
    told = error(client.buy(**given))
    assert (told["code"], told["type"]) == (400, kind)


def test_a_secret_that_control_does_not_accept_buys_nothing_and_its_tokens_end(
    client: Client, mautic_sandbox: MauticSandbox
) -> None:
    assert client.get(CONTACTS).status_code == 200
    mautic_sandbox.configure(revoked_keys=[SECRET])
    assert client.buy().text == (
        '{"errors": [{"message": "The client credentials are invalid", "code": 400, "type": "invalid_client"}]}'
    )
    assert client.get(CONTACTS).status_code == 401
    mautic_sandbox.configure(revoked_keys=[], keys=["another"])
    assert client.buy().status_code == 400
    assert client.buy(client_secret="another").status_code == 200


def test_tokens_end_after_their_time_and_when_control_says_so(client: Client, mautic_sandbox: MauticSandbox) -> None:
    client.get(CONTACTS)
    assert mautic_sandbox.revoke_tokens() == 1
    told = error(client.get(CONTACTS))
    assert (told["message"], told["type"]) == ("The access token provided is invalid.", "invalid_grant")
    mautic_sandbox.configure(token_seconds=0)
    headers = {"Authorization": f"Bearer {client.buy().json()['access_token']}"}
    assert error(client("GET", CONTACTS, headers=headers))["message"] == "The access token provided has expired."


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer "])
def test_without_a_token_nothing_is_told(client: Client, header: str | None) -> None:
    told = error(client("GET", CONTACTS, headers={"Authorization": header}))
    assert (told["code"], told["type"]) == (401, "access_denied")


def test_basic_authorization_is_off_until_it_is_switched_on(client: Client, mautic_sandbox: MauticSandbox) -> None:
    def ask() -> requests.Response:
        return requests.get(f"{client.url}{CONTACTS}", auth=("user", "password"), timeout=PATIENCE)

    assert (error(ask())["code"], error(ask())["type"]) == (403, "access_denied")
    mautic_sandbox.configure(basic_auth=True)
    assert ask().status_code == 200
    mautic_sandbox.configure(revoked_keys=["password"])
    assert error(ask())["code"] == 401


def test_an_api_that_is_off_refuses_every_call(client: Client, mautic_sandbox: MauticSandbox) -> None:
    client.get(CONTACTS)
    mautic_sandbox.configure(api_enabled=False)
    told = error(client.post(f"{CONTACTS}/new", {"email": "ann@example.org"}))
    assert (told["code"], told["type"]) == (403, "api_disabled")
    assert told["message"].startswith("API disabled. You need to enable the API")
    assert error(client.buy())["type"] == "api_disabled"


@pytest.mark.parametrize(
    ("method", "path", "permissions"),
    [
        ("GET", CONTACTS, ["lead:leads:viewother"]),
        ("POST", f"{CONTACTS}/new", ["lead:leads:create"]),
        ("POST", f"{CONTACTS}/batch/new", ["lead:leads:create"]),
        ("PATCH", f"{CONTACTS}/1/edit", ["lead:leads:editother"]),
        ("DELETE", f"{CONTACTS}/1/delete", ["lead:leads:deleteother"]),
        ("GET", FIELDS, ["lead:fields:view"]),
        ("POST", f"{FIELDS}/new", ["lead:fields:full"]),
        ("GET", f"{SEGMENTS}/1", ["lead:lists:viewown"]),
        ("POST", f"{SEGMENTS}/1/contacts/add", ["lead:lists:viewown", "lead:leads:editother"]),
    ],
)
def test_each_permission_is_asked_for(
    client: Client, mautic_sandbox: MauticSandbox, method: str, path: str, permissions: list[str]
) -> None:
    mautic_sandbox.configure(permissions=[])
    told = error(client(method, path, {}))
    assert (told["code"], told["message"]) == (403, "You do not have access to the requested area/action.")
    mautic_sandbox.configure(permissions=permissions)
    assert client(method, path, {}).status_code != 403


def test_the_user_behind_the_token_is_told(client: Client) -> None:
    assert client.get("/api/users/self").json()["id"] == 1


def test_the_rate_limit_is_off_and_when_on_refuses_with_json_that_is_called_a_page(
    client: Client, mautic_sandbox: MauticSandbox
) -> None:
    assert not [name for name in client.get(CONTACTS).headers if "ratelimit" in name.lower()]
    mautic_sandbox.configure(per_hour=2)
    remaining = [client.get(CONTACTS).headers["X-RateLimit-Remaining"] for _ in range(2)]
    assert remaining == ["1", "0"]
    refused = client.get(CONTACTS)
    assert (refused.status_code, refused.headers["content-type"]) == (429, "text/html; charset=UTF-8")
    assert error(refused)["message"] == "You exceeded the rate limit of 2 API calls per hour."
    assert "retry-after" not in refused.headers
    # Tokens are not of the API.
    assert client.buy().status_code == 200


def test_the_version_is_told_and_may_be_another(client: Client, mautic_sandbox: MauticSandbox) -> None:
    assert client.get(CONTACTS).headers["Mautic-Version"].startswith("5.1.1")
    mautic_sandbox.configure(version="4.4.10")
    assert client.get(CONTACTS).headers["Mautic-Version"].startswith("4.4.10")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/nonsense", 404),
        ("GET", "/contacts", 404),
        ("POST", CONTACTS, 405),
        ("DELETE", "/oauth/v2/token", 405),
    ],
)
def test_what_there_is_not_is_told_in_mautics_form(client: Client, method: str, path: str, status: int) -> None:
    assert error(client(method, path))["code"] == status


def test_a_body_that_is_no_json_is_refused(client: Client) -> None:
    for path in (f"{CONTACTS}/new", f"{CONTACTS}/batch/new"):
        assert client("POST", path, data=b"{").status_code == 400


def test_a_fault_may_let_the_batch_be_saved_and_answer_with_an_error_page(
    client: Client, mautic_sandbox: MauticSandbox
) -> None:
    client.get(CONTACTS)
    mautic_sandbox.fault("html", path="/batch/new", applied=True, times=1)
    assert client.post(f"{CONTACTS}/batch/new", [{"email": "ann@example.org"}]).text.startswith("<html>")
    mautic_sandbox.fault("status", path="/batch/new", status=503, times=1)
    assert client.post(f"{CONTACTS}/batch/new", [{"email": "bob@example.org"}]).json()["errors"][0]["code"] == 500
    assert [one["fields"]["all"]["email"] for one in mautic_sandbox.contacts()] == ["ann@example.org"]


def test_the_log_tells_how_many_contacts_a_batch_has_and_no_secret(
    client: Client, mautic_sandbox: MauticSandbox
) -> None:
    client.upsert({"email": "ann@example.org"}, {"email": "bob@example.org"})
    token, batch = mautic_sandbox.requests()
    assert (token["path"], token["inputs"], token["body"]) == ("/oauth/v2/token", None, "")
    assert (batch["method"], batch["status"], batch["inputs"], batch["applied"]) == ("POST", 201, 2, True)
    assert SECRET not in str(mautic_sandbox.requests())


@pytest.mark.parametrize("prevented", [True, False], ids=["by a fault", "since the API is off"])
def test_the_log_has_no_secret_of_a_request_for_a_token_that_came_to_nothing(
    client: Client, mautic_sandbox: MauticSandbox, prevented: bool
) -> None:
    if prevented:
        mautic_sandbox.fault("status", status=503)
    else:
        mautic_sandbox.configure(api_enabled=False)
    assert client.buy().status_code in (403, 503)
    [asked] = mautic_sandbox.requests()
    assert (asked["path"], asked["body"]) == ("/oauth/v2/token", "")


def test_seeds_find_their_contact_by_its_address_and_reset_forgets_all(
    client: Client, mautic_sandbox: MauticSandbox
) -> None:
    row: dict[str, Any] = {"email": "ann@example.org", "city": "Rome", "tags": ["a"]}
    assert mautic_sandbox.seed(row, {**row, "doNotContact": [{}]}) == [1, 1]
    (noted,) = client.get(f"{CONTACTS}/1").json()["contact"]["doNotContact"]
    assert (noted["channel"], noted["reason"]) == ("email", 1)
    mautic_sandbox.seed({**row, "doNotContact": []})
    assert client.get(f"{CONTACTS}/1").json()["contact"]["doNotContact"] == []
    mautic_sandbox.reset()
    assert (mautic_sandbox.contacts(), mautic_sandbox.tokens()) == ([], 0)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("config", {"per_hour": -1}),
        ("config", {"nonsense": 1}),
        ("contacts", [{"nonsense": 1}]),
        ("contacts", [{"email": "nobody"}]),
        ("contacts", [{"attribution_date": "one day"}]),
        ("contacts", 7),
        ("contacts", [7]),
    ],
)
def test_wrong_orders_are_refused(mautic_sandbox: MauticSandbox, path: str, body: object) -> None:
    assert requests.post(f"{mautic_sandbox.root}/_sandbox/{path}", json=body, timeout=PATIENCE).status_code == 400


def test_the_page_shows_contacts_requests_and_quirks_escaped(client: Client, mautic_sandbox: MauticSandbox) -> None:
    mautic_sandbox.seed({"email": "ann@example.org", "website": "<script>alert(1)</script>", "tags": ["vip"]})
    mautic_sandbox.opt_out("ann@example.org")
    client.post(f"{SEGMENTS}/{client.segment('Our News')}/contact/1/add")
    client.upsert({"email": "bob@example.org"})
    text = requests.get(mautic_sandbox.root, timeout=PATIENCE).text
    assert "This is not Mautic" in text
    assert "<script>" not in text
    assert all(one in text for one in ("1 in a batch", "do not contact: email", "Our News", "vip"))
    assert all(quirk.source in text for quirk in QUIRKS)
    assert SECRET not in text
