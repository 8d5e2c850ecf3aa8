"""Tokens and their scopes, rate limits, faults, the log, control, and the page."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from crm_pipelines.sandbox.hubspot.quirks import QUIRKS
from crm_pipelines_tests.fixtures.sandbox import HubSpotSandbox
from crm_pipelines_tests.integration.sandbox.hubspot.conftest import CONTACTS, PROPERTIES, TOKEN, Hub, by_email
from crm_pipelines_tests.patience import PATIENCE

ANN = {"properties": {"email": "ann@example.org"}}


@pytest.mark.parametrize("header", [None, "Basic x", "Bearer", "Bearer "])
def test_without_a_token_nothing_is_told(hub: Hub, header: str | None) -> None:
    answer = hub("GET", CONTACTS, headers={"Authorization": header})
    assert (answer.status_code, answer.json()["category"]) == (401, "INVALID_AUTHENTICATION")
    assert answer.json()["message"].startswith("Authentication credentials not found")


def test_only_the_tokens_that_control_names_are_accepted(hub: Hub, hubspot_sandbox: HubSpotSandbox) -> None:
    hubspot_sandbox.configure(revoked_keys=[TOKEN])
    assert hub.get(CONTACTS).status_code == 401
    hubspot_sandbox.configure(revoked_keys=[], keys=["another"])
    assert hub.get(CONTACTS).status_code == 401
    assert hub("GET", CONTACTS, headers={"Authorization": "Bearer another"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", CONTACTS, "crm.objects.contacts.read"),
        ("POST", f"{CONTACTS}/batch/read", "crm.objects.contacts.read"),
        ("POST", f"{CONTACTS}/search", "crm.objects.contacts.read"),
        ("POST", f"{CONTACTS}/batch/upsert", "crm.objects.contacts.write"),
        ("POST", f"{CONTACTS}/gdpr-delete", "crm.objects.contacts.write"),
        ("POST", PROPERTIES, "crm.schemas.contacts.write"),
        ("GET", "/crm/v3/lists/1", "crm.lists.read"),
        ("PUT", "/crm/v3/lists/1/memberships/add", "crm.lists.write"),
    ],
)
def test_a_scope_that_the_token_lacks_is_named(
    hub: Hub, hubspot_sandbox: HubSpotSandbox, method: str, path: str, scope: str
) -> None:
    every = {"crm.objects.contacts.read", "crm.objects.contacts.write", "crm.schemas.contacts.write"}
    hubspot_sandbox.configure(scopes=sorted((every | {"crm.lists.read", "crm.lists.write"}) - {scope}))
    answer = hub(method, path, {})
    assert (answer.status_code, answer.json()["category"]) == (403, "MISSING_SCOPES")
    assert answer.json()["errors"][0]["context"] == {"requiredGranularScopes": [scope]}


def test_the_headers_tell_of_both_limits(hub: Hub, hubspot_sandbox: HubSpotSandbox) -> None:
    hubspot_sandbox.control("POST", "reset")
    hub.get(CONTACTS)
    headers = hub.get(CONTACTS).headers
    told = {name.lower().removeprefix("x-hubspot-ratelimit-"): value for name, value in headers.items()}
    assert {name: told[name] for name in ("max", "remaining", "interval-milliseconds", "daily", "daily-remaining")} == {
        "max": "100",
        "remaining": "98",
        "interval-milliseconds": "10000",
        "daily": "250000",
        "daily-remaining": "249998",
    }


@pytest.mark.parametrize(
    ("limit", "policy", "words"),
    [
        ("per_ten_seconds", "TEN_SECONDLY_ROLLING", "You have reached your ten_secondly_rolling limit."),
        ("per_day", "DAILY", "You have reached your daily limit."),
    ],
)
def test_a_request_beyond_a_limit_is_refused_with_its_policy_and_has_no_effect(
    hub: Hub, hubspot_sandbox: HubSpotSandbox, limit: str, policy: str, words: str
) -> None:
    hubspot_sandbox.configure(**{limit: 1})
    assert hub.get(CONTACTS).status_code == 200
    answer = hub.post(CONTACTS, ANN)
    content = answer.json()
    assert (answer.status_code, content["policyName"], content["message"]) == (429, policy, words)
    assert content["errorType"] == "RATE_LIMIT"
    assert "retry-after" not in answer.headers
    assert hubspot_sandbox.contacts() == []
    assert [entry["applied"] for entry in hubspot_sandbox.requests()] == [True, False]


def test_the_ten_seconds_are_counted_per_token_and_the_day_for_all(hub: Hub, hubspot_sandbox: HubSpotSandbox) -> None:
    other = {"Authorization": "Bearer other"}
    hubspot_sandbox.configure(per_ten_seconds=1, per_day=2)
    statuses = [hub.get(CONTACTS).status_code, hub.get(CONTACTS).status_code]
    statuses += [hub("GET", CONTACTS, headers=other).status_code, hub("GET", PROPERTIES, headers=other).status_code]
    assert statuses == [200, 429, 200, 429]


def test_searches_have_a_limit_of_their_own_and_no_headers(hub: Hub, hubspot_sandbox: HubSpotSandbox) -> None:
    hubspot_sandbox.configure(per_ten_seconds=1, searches_per_second=1)
    first, second = (hub.post(f"{CONTACTS}/search", {}) for _ in range(2))
    assert (first.status_code, second.status_code, second.json()["policyName"]) == (200, 429, "SECONDLY")
    assert not [name for name in first.headers if name.lower().startswith("x-hubspot-ratelimit")]
    assert hub.get(CONTACTS).status_code == 200


def test_the_portal_tells_its_number(hub: Hub, hubspot_sandbox: HubSpotSandbox) -> None:
    for path in ("/account-info/v3/details", "/account-info/2026-03/details"):
        assert hub.get(path).json()["portalId"] == 0
    hubspot_sandbox.configure(portal_id=4711)
    assert hub.get("/account-info/v3/details").json()["portalId"] == 4711


@pytest.mark.parametrize("path", ["/", "/_sandbox/state", CONTACTS, "/crm/v9/nothing", "/nothing"])
def test_every_answer_says_that_it_is_the_sandbox(hubspot_sandbox: HubSpotSandbox, path: str) -> None:
    assert requests.get(f"{hubspot_sandbox.root}{path}", timeout=PATIENCE).headers["x-sandbox"] == "crm-pipelines"


def test_what_is_not_there_and_what_may_not_be_done_are_told_apart(hub: Hub) -> None:
    assert hub.get("/crm/v3/objects/companies").status_code == 404
    assert hub.put(CONTACTS, {}).status_code == 405


def test_the_log_has_every_request_with_its_whole_batch_and_never_the_token(
    hub: Hub, hubspot_sandbox: HubSpotSandbox
) -> None:
    rows = [by_email(f"c{number}@example.org", f"t{number}", firstname="x" * 500) for number in range(100)]
    hub.batch("upsert", *rows)
    hub.get(CONTACTS)
    first, second = hubspot_sandbox.requests()
    assert (first["seq"], first["inputs"], second["inputs"]) == (1, 100, None)
    assert "t99" in first["body"]
    assert first["key"] == second["key"]
    assert TOKEN not in str((first, second))


FAULTS: list[tuple[dict[str, Any], int]] = [
    ({"status": 423, "body": {"status": "error", "message": "locked"}}, 423),
    ({"status": 477, "headers": {"Retry-After": "60"}}, 477),
    ({"status": 429, "body": {"policyName": "DAILY"}}, 429),
    ({"status": 502}, 502),
    ({"status": 524, "body": "no reply"}, 524),
]


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize(("rule", "status"), FAULTS)
def test_a_status_can_be_ordered_with_or_without_its_effect(
    hub: Hub, hubspot_sandbox: HubSpotSandbox, rule: dict[str, Any], status: int, applied: bool
) -> None:
    hubspot_sandbox.fault("status", path="/batch/upsert$", times=1, applied=applied, **rule)
    answer = requests.post(
        f"{hubspot_sandbox.url}{CONTACTS}/batch/upsert",
        json={"inputs": [by_email("ann@example.org")]},
        headers={"Authorization": "Bearer t"},
        timeout=PATIENCE,
    )
    assert answer.status_code == status
    assert len(hubspot_sandbox.contacts()) == applied
    assert hub.batch("upsert", by_email("ann@example.org")).status_code == 200


@pytest.mark.parametrize(("action", "effect"), [("reset_before", 0), ("reset_after", 1)])
def test_a_reset_comes_before_or_after_the_effect(
    hub: Hub, hubspot_sandbox: HubSpotSandbox, action: str, effect: int
) -> None:
    hubspot_sandbox.fault(action, times=1)
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        hub.post(CONTACTS, ANN)
    hubspot_sandbox.wait_for_requests(1, finished=True)
    assert len(hubspot_sandbox.contacts()) == effect


@pytest.mark.parametrize(("action", "effect"), [("hold", 0), ("hold_after", 1)])
def test_a_held_request_goes_on_when_released(
    hub: Hub, hubspot_sandbox: HubSpotSandbox, action: str, effect: int
) -> None:
    hubspot_sandbox.fault(action, email="ann@example.org", times=1)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(hub.batch, "upsert", by_email("bob@example.org"), by_email("ann@example.org"))
        hubspot_sandbox.wait_for_requests(1)
        assert (len(hubspot_sandbox.contacts()), hubspot_sandbox.state()["held"]) == (2 * effect, 1)
        assert hubspot_sandbox.release() == 1
        assert answer.result(PATIENCE).status_code == 200


def test_seeded_contacts_leave_no_trace_in_the_log(hubspot_sandbox: HubSpotSandbox) -> None:
    first, second = {"email": "a@example.org"}, {"email": "A@example.org", "lastname": "Lee"}
    assert hubspot_sandbox.seed(first, second) == [101, 101]
    assert hubspot_sandbox.contact("a@example.org") == {
        "createdate": hubspot_sandbox.contacts()[0]["createdAt"],
        "email": "a@example.org",
        "hs_object_id": "101",
        "lastmodifieddate": hubspot_sandbox.contacts()[0]["updatedAt"],
        "lastname": "Lee",
    }
    assert hubspot_sandbox.requests() == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("config", {"no_such_setting": 1}),
        ("config", {"per_day": -1}),
        ("contacts", [{"email": "no address"}]),
        ("contacts", [{"email": "b@example.org", "hs_additional_emails": "a@example.org"}]),
        ("contacts", [{"email": 7}]),
        ("contacts", 7),
        ("contacts", [7]),
    ],
)
def test_wrong_orders_are_refused(hubspot_sandbox: HubSpotSandbox, path: str, body: object) -> None:
    hubspot_sandbox.seed({"email": "a@example.org"})
    assert requests.post(f"{hubspot_sandbox.root}/_sandbox/{path}", json=body, timeout=PATIENCE).status_code == 400


def test_the_page_shows_contacts_requests_and_quirks_escaped(hub: Hub, hubspot_sandbox: HubSpotSandbox) -> None:
    hub.create("ann@example.org", firstname="<script>alert(1)</script>")
    hubspot_sandbox.opt_out("ann@example.org")
    hub.batch("upsert", by_email("bob@example.org"))
    text = requests.get(hubspot_sandbox.root, timeout=PATIENCE).text
    assert "This is not HubSpot" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script>" not in text
    assert "1 in a batch" in text
    assert "opted out" in text
    assert all(quirk.source in text for quirk in QUIRKS)
    assert TOKEN not in text
