"""Keys, refusals of the account, and rate limits."""

import pytest

from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.sandbox.conftest import Api


def test_a_missing_key_and_a_dead_key_are_told_apart_by_text_only(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    missing = api("GET", "/account", headers={"api-key": None})
    assert (missing.status_code, missing.json()["message"]) == (401, "authentication not found in headers")
    brevo_sandbox.configure(revoked_keys=["xkeysib-test"])
    dead = api.get("/account")
    assert (dead.status_code, dead.json()) == (401, {"code": "unauthorized", "message": "Key not found"})
    assert api("GET", "/account", headers={"api-key": "another"}).ok


def test_only_listed_keys_are_accepted_when_control_lists_them(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.configure(keys=["good"])
    assert api.get("/account").status_code == 401
    assert api("GET", "/account", headers={"api-key": "good"}).ok


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        ("ip", 401, "unauthorized"),
        ("credits", 402, "not_enough_credits"),
        ("permission", 403, "permission_denied"),
        ("validation", 403, "account_under_validation"),
    ],
)
def test_the_account_can_refuse_everything(
    api: Api, brevo_sandbox: BrevoSandbox, refusal: str, status: int, code: str
) -> None:
    brevo_sandbox.configure(refusal=refusal)
    answer = api.post("/contacts", {"email": "a@example.org"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    brevo_sandbox.configure(refusal=None)
    assert api.post("/contacts", {"email": "a@example.org"}).ok


def test_the_refused_address_is_named(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.configure(refusal="ip")
    message = api.get("/account").json()["message"]
    assert message.startswith("We have detected you are using an unrecognised IP address 127.0.0.1. If you")
    assert message.endswith("https://app.brevo.com/security/authorised_ips")


def test_contacts_and_everything_else_have_their_own_limits(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.configure(contacts_per_second=0, contacts_per_hour=2, others_per_hour=1)
    first, second, third = (api.get("/contacts") for _ in range(3))
    assert [answer.status_code for answer in (first, second, third)] == [200, 200, 429]
    assert first.headers["x-sib-ratelimit-limit"] == "2"
    assert [answer.headers["x-sib-ratelimit-remaining"] for answer in (first, second, third)] == ["1", "0", "0"]
    assert 1 <= int(third.headers["x-sib-ratelimit-reset"]) <= 3600
    assert "retry-after" not in third.headers
    assert [api.get("/account").status_code, api.get("/processes").status_code] == [200, 429]
    assert api("GET", "/contacts", headers={"api-key": "another"}).ok


def test_the_default_is_ten_a_second(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.control("POST", "reset")
    headers = api.get("/contacts").headers
    told = [headers[f"x-sib-ratelimit-{name}"] for name in ("limit", "remaining", "reset")]
    assert told == ["10", "9", "1"]


def test_a_refused_request_has_no_effect(api: Api, brevo_sandbox: BrevoSandbox) -> None:
    brevo_sandbox.configure(contacts_per_hour=2)
    answers = [api.post("/contacts", {"email": f"c{number}@example.org"}) for number in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert len(brevo_sandbox.contacts()) == 2
    assert [entry["applied"] for entry in brevo_sandbox.requests()] == [True, True, False]


def test_without_limits_there_are_no_headers_of_limits(api: Api) -> None:
    assert not [name for name in api.get("/contacts").headers if name.lower().startswith("x-sib-ratelimit")]
