"""n8n's job against a real Postgres and the sandbox: one workflow, told of each contact once or at least once."""

import json
from collections.abc import Callable

import dagster as dg
import pytest
import sqlalchemy as sa

from crm_pipelines.crms.n8n import N8n
from crm_pipelines.crms.n8n.mapping import load_mapping
from crm_pipelines.delivery.account.opening import open_account
from crm_pipelines.delivery.account.preflight import check_account
from crm_pipelines.delivery.pace import pacing
from crm_pipelines.delivery.pace.gatekeeping import reopen_if_accepted
from crm_pipelines.destinations.gates import SANDBOX, Gate, GateKeeper
from crm_pipelines.queue.ledger import Ledger
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import N8nSandbox
from crm_pipelines_tests.integration.orchestration.standings import alert_on

SECRET = "the-secret-of-a-test"
Tick = Callable[[], Gate]


@pytest.fixture
def n8n(monkeypatch: pytest.MonkeyPatch, database_url: str, engine: sa.Engine, n8n_sandbox: N8nSandbox) -> N8nSandbox:
    """As after the first run: the address is known to be that of the database's account."""
    monkeypatch.setenv("CRM_DATABASE_URL", database_url)
    monkeypatch.setenv("CRM_DESTINATIONS", "n8n")
    monkeypatch.setenv("N8N_WEBHOOK_URL", n8n_sandbox.url)
    monkeypatch.setenv("N8N_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("N8N_RATE_LIMIT_PER_SECOND", "500")
    monkeypatch.setattr(pacing, "_BLOCK_SECONDS", 0.05)
    client = N8n(webhook_url=n8n_sandbox.url, webhook_secret=SECRET, mapping=load_mapping(None))
    GateKeeper(engine, "n8n").bind_account(SANDBOX, client.credentials_fingerprint)
    return n8n_sandbox


@pytest.fixture
def people(engine: sa.Engine) -> People:
    return People(engine, "n8n")


@pytest.fixture
def pipeline(n8n: N8nSandbox, in_memory: dg.DagsterInstance) -> Pipeline:
    return Pipeline(in_memory, "n8n")


@pytest.fixture
def tick(n8n: N8nSandbox, engine: sa.Engine) -> Tick:
    """What the schedule does with a gate that is closed."""

    def reopen() -> Gate:
        with open_account(load_settings(), "n8n", engine) as account:
            return reopen_if_accepted(account.gate, account.crm, account.queue, account.policy)

    return reopen


def reasons(people: People) -> list[str]:
    return [row["last_error"] for row in people.all("SELECT last_error FROM crm_syncs WHERE state = 'failed'")]


def told_of(sandbox: N8nSandbox) -> list[str]:
    return [one["contact_id"] for one in sandbox.executions()]


def test_each_contact_runs_the_workflow_once_and_the_view_shows_its_id(
    people: People, pipeline: Pipeline, n8n: N8nSandbox
) -> None:
    people.add(20)
    assert pipeline.run().counts == {"claimed": 20, "synced": 20}
    rows = people.all("SELECT id, email, n8n_contact_id, n8n_sync_status FROM contacts")
    assert {row["email"]: row["n8n_contact_id"] for row in rows} == {
        one["email"]: str(one["id"]) for one in n8n.contacts()
    }
    assert {row["n8n_sync_status"] for row in rows} == {"Complete"}
    assert sorted(told_of(n8n)) == sorted(str(row["id"]) for row in rows)
    people.run("UPDATE crm_syncs SET state = 'queued', run_at = now()")
    assert pipeline.run().counts == {"claimed": 20, "unchanged": 20}
    assert len(n8n.executions()) == 20


@pytest.mark.parametrize("answers", ["started", "no_content"])
def test_a_workflow_that_answers_without_an_id_knows_the_contact_by_ours(
    people: People, pipeline: Pipeline, n8n: N8nSandbox, answers: str
) -> None:
    n8n.configure(answers=answers)
    [contact] = people.add()
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    [row] = people.all("SELECT n8n_contact_id FROM contacts")
    assert row["n8n_contact_id"] == str(contact)


def test_whom_the_workflow_refuses_fails_in_its_words_and_the_others_arrive(
    people: People, pipeline: Pipeline, n8n: N8nSandbox
) -> None:
    people.add(4)
    people.add(email="not.wanted@example.com")
    n8n.configure(refused={"not.wanted@example.com": "No company for not.wanted@example.com"})
    assert pipeline.run().counts == {"claimed": 5, "synced": 4, "failed": 1}
    [reason] = reasons(people)
    assert "No company for" in reason
    assert "not.wanted" not in reason


def test_a_workflow_that_fails_costs_an_attempt_and_the_retry_has_the_same_key_until_an_edit(
    people: People, pipeline: Pipeline, n8n: N8nSandbox
) -> None:
    [contact] = people.add(email="ada@example.com")
    n8n.configure(failing=["ada@example.com"])
    pipeline.run()
    assert people.sync(contact)["last_error_kind"] == "workflow"
    assert people.sync(contact)["attempts"] == 1
    n8n.configure(failing=[])
    people.run("UPDATE crm_syncs SET run_at = now()")
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    people.run("UPDATE crm_contacts SET name = 'Somebody else'")
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    first, again, edited = [one["idempotency_key"] for one in n8n.executions()]
    assert first == again
    assert edited != first


def test_an_edit_back_and_a_selection_of_who_has_arrived_have_keys_of_their_own_and_a_retry_has_not(
    people: People, pipeline: Pipeline, n8n: N8nSandbox
) -> None:
    [contact] = people.add(email="ada@example.com", name="Ada")
    for name in ("Ada", "Augusta", "Ada"):
        people.run("UPDATE crm_contacts SET name = :name", name=name)
        n8n.fault("reset_after", method="POST", times=1)
        pipeline.run()
        people.run("UPDATE crm_syncs SET state = 'failed'")
        people.run("SELECT crm_select('n8n', ARRAY[CAST(:id AS uuid)])", id=contact)
        assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    people.run("SELECT crm_select('n8n', ARRAY[CAST(:id AS uuid)])", id=contact)
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    keys = [one["idempotency_key"] for one in n8n.executions()]
    assert keys[:6:2] == keys[1:6:2], "a retry"
    assert len(set(keys)) == 4


def test_a_lost_answer_is_asked_for_again_unless_nothing_may_be_sent_twice(
    people: People, pipeline: Pipeline, n8n: N8nSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    n8n.fault("reset_after", method="POST", times=1)
    [ada] = people.add()
    pipeline.run()
    assert people.sync(ada)["state"] == "queued"
    people.run("UPDATE crm_syncs SET run_at = now()")
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert told_of(n8n) == [str(ada)] * 2

    monkeypatch.setenv("N8N_AT_MOST_ONCE", "true")
    n8n.fault("reset_after", method="POST", times=1)
    [bob] = people.add()
    assert pipeline.run().counts == {"claimed": 1, "failed": 1}
    people.run("UPDATE crm_contacts SET name = 'Newer' WHERE id = :id", id=bob)
    assert pipeline.run().counts == {}
    assert told_of(n8n).count(str(bob)) == 1
    [parked] = Ledger(people.engine, "n8n").parked()
    assert (parked["status"], parked["kind"], parked["contacts"]) == ("Error", "unknown", 1)


def test_an_unpublished_workflow_closes_the_gate_charges_nobody_and_opens_it_once_it_is_published(
    people: People, pipeline: Pipeline, n8n: N8nSandbox, tick: Tick
) -> None:
    n8n.configure(methods=[])
    people.add(30)
    assert not pipeline.run().success
    gate = tick()
    assert gate.closed_for_settings
    assert "Publish the workflow" in (gate.pause_reason or "")
    assert people.all("SELECT 1 FROM crm_syncs WHERE attempts > 0 OR state <> 'queued'") == []
    n8n.configure(methods=["POST"])
    assert not tick().paused
    assert n8n.executions() == []
    assert pipeline.run().counts == {"claimed": 30, "synced": 30}


def test_a_refused_secret_closes_the_gate_and_one_contact_at_a_tick_tries_whether_it_is_right_by_now(
    people: People, pipeline: Pipeline, n8n: N8nSandbox, engine: sa.Engine, tick: Tick
) -> None:
    n8n.configure(keys=["another secret"])
    people.add(30)
    assert not pipeline.run().success
    closed = GateKeeper(engine, "n8n").read()
    assert closed.closed_for_credentials
    for _ in range(2):
        before = len(n8n.requests(method="POST"))
        assert tick().tries_credentials
        finding = alert_on(engine, "n8n")
        assert finding is not None
        assert (finding.key, finding.since) == ("n8n.gate.credentials", closed.changed_at)
        assert not pipeline.run().success
        assert len(n8n.requests(method="POST")) == before + 1
        again = GateKeeper(engine, "n8n").read()
        assert (again.closed_for_credentials, again.changed_at) == (True, closed.changed_at)
    assert people.all("SELECT 1 FROM crm_syncs WHERE attempts > 0 OR state <> 'queued'") == []
    assert n8n.executions() == []
    n8n.configure(keys=[SECRET])
    tick()
    assert pipeline.run().success
    assert alert_on(engine, "n8n") is None
    pipeline.run()
    assert people.states() == {"synced": 30}


def test_another_secret_opens_the_gate_at_once(
    people: People, pipeline: Pipeline, n8n: N8nSandbox, tick: Tick, monkeypatch: pytest.MonkeyPatch
) -> None:
    n8n.configure(keys=["the-new-secret"])
    people.add(3)
    pipeline.run()
    monkeypatch.setenv("N8N_WEBHOOK_SECRET", "the-new-secret")
    gate = tick()
    assert (gate.paused, gate.probing) == (False, False)
    assert pipeline.run().counts == {"claimed": 3, "synced": 3}


def test_a_check_opens_the_gate_runs_nothing_and_says_what_it_did_not_try(
    people: People, pipeline: Pipeline, n8n: N8nSandbox, engine: sa.Engine
) -> None:
    n8n.configure(methods=["GET"])
    people.add()
    pipeline.run()
    with open_account(load_settings(), "n8n", engine) as account:
        [problem] = check_account(account).problems
        assert "POST" in problem.detail
        n8n.configure(methods=["POST"])
        found = check_account(account)
    assert (found.problems, found.reopened) == ([], True)
    assert any("not tried" in one.detail for one in found.findings)
    assert n8n.executions() == []


def test_nothing_that_is_kept_or_logged_tells_the_address_or_the_secret(
    people: People, pipeline: Pipeline, n8n: N8nSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    said = f"{SECRET} at {n8n.url} under {n8n.prefix}"
    n8n.configure(refused={"ada@example.com": said})
    people.add(email="ada@example.com")
    run = pipeline.run()
    kept = [people.all(f"SELECT * FROM {table}") for table in ("crm_syncs", "crm_attempts", "crm_gates")]
    for text in (json.dumps(kept, default=str), json.dumps(run.metadata, default=str), caplog.text):
        assert SECRET not in text
        assert n8n.prefix.rpartition("/")[2] not in text
