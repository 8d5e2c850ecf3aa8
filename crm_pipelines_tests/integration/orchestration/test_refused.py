"""A contact that the CRM, or a firewall before it, refuses alone keeps no other from getting on."""

from typing import Any

import pytest

from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox

FIREWALL: dict[str, Any] = {"action": "html", "status": 403}
ANOTHERS_JSON: dict[str, Any] = {"action": "status", "status": 403, "body": {"message": "Forbidden"}}
NOTHING: dict[str, Any] = {"action": "empty", "status": 403}
TOO_LARGE: dict[str, Any] = {"action": "html", "status": 413}
METHOD: dict[str, Any] = {"action": "status", "status": 405, "body": {"code": "method_not_allowed", "message": "No"}}
PERMISSION: dict[str, Any] = {
    "action": "status",
    "status": 403,
    "body": {"code": "permission_denied", "message": "Not for this one"},
}


@pytest.mark.parametrize(
    "refusal", [FIREWALL, PERMISSION, TOO_LARGE, METHOD], ids=["a firewall", "the CRM", "too large", "a method"]
)
def test_a_contact_that_is_refused_alone_is_given_up_in_time_and_its_neighbours_arrive(
    refusal: dict[str, Any],
    people: People,
    pipeline: Pipeline,
    brevo_sandbox: BrevoSandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BREVO_RATE_LIMIT_PER_SECOND", "10")
    [refused] = people.add(email="refused@example.com")
    people.run("UPDATE crm_syncs SET run_at = run_at - interval '1 h'")
    people.add(11)
    brevo_sandbox.fault(**refusal, email="refused@example.com", method="POST")
    for _ in range(12):
        people.make_due()
        people.run("UPDATE crm_gates SET paused_until = now() WHERE pause_kind IN ('outage', 'rate_limit')")
        pipeline.run()
    assert people.states() == {"synced": 11, "failed": 1}
    row = people.sync(refused)
    assert (row["state"], row["attempts"]) == ("failed", 4)


@pytest.mark.parametrize("refusal", [FIREWALL, ANOTHERS_JSON, NOTHING], ids=["a page", "another's JSON", "nothing"])
def test_some_contacts_that_a_firewall_refuses_hold_up_no_other(
    refusal: dict[str, Any], people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    refused = people.add(6)
    others = people.add(30)
    for row in people.all("SELECT email FROM crm_contacts WHERE id = ANY (:ids)", ids=refused):
        brevo_sandbox.fault(**refusal, email=row["email"], method="POST")
    run = pipeline.run()
    assert run.success, run.problem
    assert {people.sync(one)["state"] for one in others} == {"synced"}
    assert {people.sync(one)["attempts"] for one in refused} == {1}


def test_while_the_account_may_not_write_at_all_nobody_is_charged(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(12)
    brevo_sandbox.fault(**PERMISSION, method="POST")
    for _ in range(6):
        pipeline.run()
    assert people.states() == {"queued": 12}
    assert people.all("SELECT sum(attempts) AS n FROM crm_syncs") == [{"n": 0}]
    brevo_sandbox.clear_faults()
    for _ in range(2):
        pipeline.run()
    assert people.states() == {"synced": 12}
