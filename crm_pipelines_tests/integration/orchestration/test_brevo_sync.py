"""The job, from queued contacts to the sandbox and back."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from typing import Any

import dagster as dg
import pytest
import requests
import sqlalchemy as sa
from pydantic import ValidationError

from crm_pipelines.delivery.planning import CLAIM_LEASE as LEASE
from crm_pipelines.delivery.single import courier
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Attempt
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import API_KEY, Pipeline, Run
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.patience import PATIENCE


def test_queued_contacts_arrive_and_are_complete(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    ids = people.add(25, name="Ada Lovelace")
    run = pipeline.run()
    assert run.success
    assert run.counts == {"claimed": 25, "synced": 25}
    assert people.states() == {"synced": 25}
    contacts = brevo_sandbox.contacts()
    assert len(contacts) == 25
    assert contacts[0]["attributes"]["FIRSTNAME"] == "Ada"
    assert {contact["email"] for contact in contacts} == {
        row["email"] for row in people.all("SELECT email FROM contacts")
    }
    [row] = people.all("SELECT * FROM contacts WHERE id = :id", id=ids[0])
    assert (row["brevo_sync_status"], row["brevo_processing_status"]) == ("Complete", "Complete")
    assert row["brevo_contact_id"] == row["email"]
    assert row["brevo_id"] is not None
    assert all(check.passed for check in run.result.get_asset_check_evaluations())


def test_nothing_due_is_a_successful_run_that_says_so(people: People, pipeline: Pipeline) -> None:
    run = pipeline.run()
    assert run.success
    assert run.counts == {}
    assert run.metadata["queue_depth"] == 0


def test_500_then_201_is_two_requests_and_complete(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    [contact_id] = people.add()
    brevo_sandbox.fault("status", method="POST", status=500, body={"message": "upstream is down"}, times=1)
    assert pipeline.run().counts == {"claimed": 1, "retrying": 1}
    [row] = people.all("SELECT * FROM contacts WHERE id = :id", id=contact_id)
    assert (row["brevo_sync_status"], row["brevo_processing_status"]) == ("Queued", "Queued")
    assert "upstream is down" in row["brevo_processing_error"]
    assert row["next_retry_at"] >= people.sync(contact_id)["last_attempt_at"] + timedelta(minutes=5)
    assert pipeline.run().counts == {}, "not before its time"
    people.make_due()
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert len(brevo_sandbox.sent()) == 2
    assert people.states() == {"synced": 1}


def test_four_attempts_then_error_and_the_run_reports_it(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    [contact_id] = people.add()
    brevo_sandbox.fault("status", method="POST", status=503, body={"message": "maintenance"})
    for _ in range(4):
        people.make_due()
        run = pipeline.run()
    assert run.counts == {"claimed": 1, "failed": 1}
    [row] = people.all("SELECT * FROM contacts WHERE id = :id", id=contact_id)
    assert (row["brevo_sync_status"], row["brevo_processing_status"]) == ("Error", "Error")
    assert row["brevo_processing_error"].startswith("Max retries exceeded (3). Last error: ")
    assert row["last_failed_crm"] == "brevo"
    people.make_due()
    assert pipeline.run().counts == {}
    assert len(brevo_sandbox.sent()) == 4


def test_a_rejected_contact_is_parked_with_brevos_words_and_the_run_succeeds(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    good, bad = people.add(2)
    [row] = people.all("SELECT email FROM crm_contacts WHERE id = :id", id=bad)
    brevo_sandbox.fault(
        "status", status=400, email=row["email"], body={"code": "invalid_parameter", "message": "attribute is wrong"}
    )
    run = pipeline.run()
    assert run.success
    assert run.counts == {"claimed": 2, "synced": 1, "failed": 1}
    sync = people.sync(bad)
    assert (sync["state"], sync["attempts"], sync["last_error_code"]) == ("failed", 1, "invalid_parameter")
    assert "attribute is wrong" in sync["last_error"]
    assert people.sync(good)["state"] == "synced"
    brevo_sandbox.clear_faults()
    people.run("UPDATE crm_contacts SET name = 'Mended' WHERE id = :id", id=bad)
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}


def test_contacts_without_a_usable_address_are_skipped_without_a_request(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    [nobody] = people.add(email=None)
    [typo] = people.add(email="not an address")
    run = pipeline.run()
    assert run.success
    assert run.counts == {"claimed": 2, "skipped": 2}
    assert brevo_sandbox.sent() == []
    assert people.sync(nobody)["last_error_kind"] == "no_address"
    assert people.sync(typo)["last_error_kind"] == "invalid_address"
    [row] = people.all("SELECT * FROM contacts WHERE id = :id", id=nobody)
    assert (row["brevo_sync_status"], row["brevo_processing_status"]) == ("Skipped", None)


def test_a_dead_key_costs_a_handful_of_requests_and_charges_nobody(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, engine: sa.Engine
) -> None:
    people.add(60)
    brevo_sandbox.configure(revoked_keys=[API_KEY])
    run = pipeline.run()
    assert not run.success
    assert "Key not found" in (run.problem or "")
    assert API_KEY not in (run.problem or "")
    assert len(brevo_sandbox.sent()) <= 33, "as many as there are threads, and the one that closed the gate"
    assert people.states() == {"queued": 60}
    assert people.all("SELECT max(attempts) AS n FROM crm_syncs") == [{"n": 0}]
    assert GateKeeper(engine, "brevo").read().closed_for_credentials


def test_a_new_key_opens_the_gate_by_itself(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add(3)
    brevo_sandbox.configure(revoked_keys=[API_KEY])
    pipeline.run()
    monkeypatch.setenv("BREVO_API_KEY", "xkeysib-a-new-key")
    assert pipeline.run().counts == {"claimed": 3, "synced": 3}


def test_an_address_allowed_at_brevos_side_opens_the_gate_by_one_probe(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(3)
    brevo_sandbox.configure(refusal="ip")
    run = pipeline.run()
    assert "authorised_ips" in (run.problem or "")
    before = len(brevo_sandbox.sent())
    assert not pipeline.run().success
    assert len(brevo_sandbox.sent()) == before + 1, "one probe, no contact"
    brevo_sandbox.configure(refusal=None)
    assert pipeline.run().counts == {"claimed": 3, "synced": 3}


def test_a_short_429_is_waited_out_and_charges_nobody(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(20)
    brevo_sandbox.fault("status", method="POST", status=429, headers={"x-sib-ratelimit-reset": "1"}, times=1)
    run = pipeline.run()
    assert run.success
    assert run.counts == {"claimed": 20, "synced": 20}
    assert run.metadata["requests"] == len(brevo_sandbox.sent()) == 21
    ledger = people.all("SELECT contact_id, outcome, requests FROM crm_attempts ORDER BY requests")
    assert [(row["outcome"], row["requests"]) for row in ledger] == [("synced", 1)] * 19 + [("synced", 2)]
    [refused] = [request for request in brevo_sandbox.sent() if request["status"] == 429]
    [again] = [
        request
        for request in brevo_sandbox.sent()
        if request["ext_id"] == refused["ext_id"] and request["status"] != 429
    ]
    assert again["arrived_monotonic"] >= refused["arrived_monotonic"] + 1


def test_a_contact_that_is_refused_for_rate_again_and_again_waits_for_the_next_run_uncharged(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "_MOST_SENDS", 2)
    [contact_id] = people.add()
    brevo_sandbox.fault("status", method="POST", status=429, headers={"x-sib-ratelimit-reset": "1"})
    run = pipeline.run()
    assert run.success
    assert run.counts == {"claimed": 1, "released": 1}
    log = brevo_sandbox.sent()
    assert run.metadata["requests"] == len(log) == 2
    assert all(two["arrived_monotonic"] >= one["arrived_monotonic"] + 1 for one, two in pairwise(log))
    sync = people.sync(contact_id)
    assert (sync["state"], sync["attempts"]) == ("queued", 0)
    brevo_sandbox.clear_faults()
    people.make_due()
    people.run("UPDATE crm_gates SET paused_until = now() - interval '1 s' WHERE crm = 'brevo'")
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}


def test_after_a_long_429_nothing_is_sent_before_the_reset(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, engine: sa.Engine
) -> None:
    people.add(100)
    brevo_sandbox.fault("status", method="POST", status=429, headers={"x-sib-ratelimit-reset": "600"}, times=1)
    run = pipeline.run()
    assert run.success, "the account is busy; nothing is wrong"
    assert people.all("SELECT max(attempts) AS n FROM crm_syncs") == [{"n": 0}]
    sent = len(brevo_sandbox.sent())
    people.make_due()
    assert pipeline.run().counts == {}
    assert len(brevo_sandbox.sent()) == sent
    gate = GateKeeper(engine, "brevo").read()
    assert gate.paused_until == gate.changed_at + timedelta(seconds=600)


def test_an_outage_opens_the_breaker_and_fails_the_run(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(100)
    brevo_sandbox.fault("status", method="POST", status=503)
    run = pipeline.run()
    assert not run.success
    assert len(brevo_sandbox.sent()) < 80
    states = people.all("SELECT count(*) FILTER (WHERE attempts = 0) AS uncharged, count(*) AS n FROM crm_syncs")[0]
    assert states["n"] == 100
    assert states["uncharged"] > 20
    people.run("UPDATE crm_gates SET paused_until = now() - interval '1 s' WHERE crm = 'brevo'")
    brevo_sandbox.clear_faults()
    assert pipeline.run().counts["synced"] > 20, "after the probe the others follow"


def test_the_claims_of_a_dead_run_are_returned_and_its_recorded_outcomes_kept(
    people: People, pipeline: Pipeline, queue: Queue, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(5)
    queue.claim("a-run-of-another-instance", limit=5, lease=LEASE)
    assert pipeline.run().counts == {}, "the lease holds"
    people.expire_leases()
    assert pipeline.run().counts == {"claimed": 5, "synced": 5}
    assert len(brevo_sandbox.sent()) == 5


def test_a_recorded_outcome_of_a_run_that_vanished_is_kept_and_nothing_is_sent_again(
    people: People, pipeline: Pipeline, queue: Queue, brevo_sandbox: BrevoSandbox
) -> None:
    [contact_id] = people.add()
    claims = queue.claim("a-run-of-another-instance", limit=1, lease=LEASE)
    queue.renew(claims, lease=LEASE)
    synced = Attempt(claim=claims[0], revision=1, outcome="synced", duration=timedelta(), requests=1, answered=True)
    queue.record("a-run-of-another-instance", [synced])
    people.expire_leases()
    assert pipeline.run().counts == {}
    assert people.sync(contact_id)["state"] == "synced"
    assert brevo_sandbox.sent() == []


def test_an_unchanged_contact_costs_no_request(people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox) -> None:
    [contact_id] = people.add(name="Ada")
    pipeline.run()
    people.run("UPDATE crm_contacts SET name = '  Ada ', context = 'seen again' WHERE id = :id", id=contact_id)
    assert pipeline.run().counts == {"claimed": 1, "unchanged": 1}
    assert len(brevo_sandbox.sent()) == 1
    assert people.states() == {"synced": 1}


@pytest.mark.parametrize("how", [{"emails": ["ada@example.com"]}, {"all": True}], ids=["left", "removed"])
def test_who_is_off_the_list_stays_off_it_after_edits_and_selecting_again(
    people: People,
    pipeline: Pipeline,
    brevo_sandbox: BrevoSandbox,
    monkeypatch: pytest.MonkeyPatch,
    how: dict[str, Any],
) -> None:
    monkeypatch.setenv("BREVO_LIST_ID", "2")
    people.add(email="ada@example.com")
    pipeline.run()
    assert brevo_sandbox.contacts()[0]["listIds"] == [2]
    url = f"{brevo_sandbox.url}/contacts/lists/2/contacts/remove"
    requests.post(url, json=how, headers={"api-key": "another tool"}, timeout=PATIENCE).raise_for_status()
    for change in (
        "UPDATE contacts SET name = 'Ada King'",
        "UPDATE contacts SET email = 'new@example.com'",
        "UPDATE contacts SET brevo_sync_status = 'New', brevo_processing_status = NULL",
        "UPDATE contacts SET brevo_sync_status = 'Selected', brevo_processing_status = 'Queued'",
    ):
        people.run(change)
        pipeline.run()
    [held] = brevo_sandbox.contacts()
    assert (held["email"], held["listIds"]) == ("new@example.com", [])
    assert people.states() == {"synced": 1}


def test_selecting_a_complete_contact_again_sends_it_again(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    [contact_id] = people.add()
    pipeline.run()
    people.run(
        "UPDATE contacts SET brevo_sync_status = 'Selected', brevo_processing_status = 'Queued' WHERE id = :id",
        id=contact_id,
    )
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert [one["method"] for one in brevo_sandbox.sent()] == ["POST", "GET", "PUT"]


def test_a_changed_address_renames_the_contact_in_brevo(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    [contact_id] = people.add(email="old@example.com")
    pipeline.run()
    people.run("UPDATE contacts SET email = 'new@example.com' WHERE id = :id", id=contact_id)
    [row] = people.all("SELECT brevo_contact_id FROM contacts")
    assert row["brevo_contact_id"] == "old@example.com", "until the change is delivered"
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert [contact["email"] for contact in brevo_sandbox.contacts()] == ["new@example.com"]
    [row] = people.all("SELECT brevo_contact_id FROM contacts")
    assert row["brevo_contact_id"] == "new@example.com"


def test_an_address_passed_on_to_another_contact_waits_until_its_first_owner_has_left_it(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    [first] = people.add(email="shared@example.com", name="First")
    pipeline.run()
    people.run("UPDATE crm_contacts SET email = 'moved@example.com' WHERE id = :id", id=first)
    people.run("UPDATE crm_syncs SET run_at = now() + interval '1 min' WHERE contact_id = :id", id=first)
    people.add(email="shared@example.com", name="Second")
    assert pipeline.run().counts == {"claimed": 1, "released": 1}
    people.make_due()
    for _ in range(2):
        pipeline.run()
        people.make_due()
    assert {contact["email"]: contact["attributes"]["FIRSTNAME"] for contact in brevo_sandbox.contacts()} == {
        "moved@example.com": "First",
        "shared@example.com": "Second",
    }


def test_a_dry_run_sends_nothing_and_claims_nothing(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(3)
    people.add(email=None)
    run = pipeline.run(dry_run=True)
    assert run.success
    assert run.result.output_for_node("report_run")["synced"] == 3
    assert run.result.output_for_node("report_run")["skipped"] == 1
    assert run.metadata == {}, "no materialization: nothing changed"
    assert brevo_sandbox.sent() == []
    assert people.states() == {"queued": 4}


def test_a_limit_and_chosen_contacts_are_respected(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    ids = people.add(5)
    assert pipeline.run(limit=2).counts == {"claimed": 2, "synced": 2}
    assert pipeline.run(contact_ids=[str(ids[4])]).counts == {"claimed": 1, "synced": 1}
    assert people.sync(ids[4])["state"] == "synced"
    assert people.sync(ids[3])["state"] == "queued"


def test_a_chosen_contact_need_not_wait_for_its_retry(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    [contact_id] = people.add(email="wait@example.com")
    brevo_sandbox.fault("status", method="POST", status=500, times=1)
    pipeline.run()
    assert pipeline.run(emails=["WAIT@example.com"]).counts == {"claimed": 1, "synced": 1}
    assert people.sync(contact_id)["state"] == "synced"


def test_an_id_that_is_none_is_refused_before_there_is_a_run(people: People, pipeline: Pipeline) -> None:
    people.add()
    with pytest.raises(ValidationError, match="expected ids as in column id of contacts"):
        pipeline.run(contact_ids=["42"])
    assert people.states() == {"queued": 1}


def test_two_runs_at_once_send_no_contact_twice(people: People, brevo_environment: BrevoSandbox) -> None:
    def run(_: int) -> Run:
        # Records of its own: those in memory do not stand two writers at once.
        with dg.DagsterInstance.ephemeral() as instance:
            return Pipeline(instance).run(limit=40)

    people.add(60)
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(run, range(2)))
    assert sum(run.counts.get("synced", 0) for run in runs) == 60
    assert len(brevo_environment.requests(method="POST")) == 60


def test_crash_suspects_are_delivered_one_at_a_time(
    people: People, pipeline: Pipeline, queue: Queue, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(3)
    queue.renew(queue.claim("crashed", limit=3, lease=LEASE), lease=LEASE)
    people.expire_leases()
    # Else one that is answered at once would be over before the next could begin.
    brevo_sandbox.fault("latency", seconds=0.1)
    assert pipeline.run().counts == {"claimed": 3, "synced": 3}
    log = brevo_sandbox.sent()
    assert all(one["finished_monotonic"] <= two["arrived_monotonic"] for one, two in pairwise(log))
    assert people.all("SELECT max(crashes) AS n FROM crm_syncs") == [{"n": 0}]


def test_nothing_dagster_keeps_holds_an_address_a_name_or_the_key(people: People, pipeline: Pipeline) -> None:
    people.add(5, name="Zebedee Quux", phone_number="Phone not found")
    people.add(email="broken@@example.com", name="Zebedee Quux")
    run = pipeline.run()
    kept = " ".join(str(record) for record in pipeline.instance.all_logs(run.result.run_id))
    for secret in ("@example.com", "Zebedee", "Quux", API_KEY):
        assert secret not in kept
