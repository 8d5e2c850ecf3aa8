"""Contacts in a long queue, crash suspects, and those that need no request: none keeps another from its turn."""

from uuid import UUID

import pytest
import sqlalchemy as sa

from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import DELIVERIES, BrevoSandbox


def suspect(people: People, ids: list[UUID]) -> None:
    """Their deliveries took a worker down."""
    people.run("UPDATE crm_syncs SET crashes = 1 WHERE contact_id = ANY (:ids)", ids=ids)


def probing(people: People) -> None:
    """A pause for an outage is over: one contact goes ahead and tries."""
    people.run("UPDATE crm_gates SET probing = true, pause_seconds = 30 WHERE crm = 'brevo'")


def unchanged(people: People, pipeline: Pipeline, count: int) -> None:
    """Contacts that are due, and of whom the CRM has everything already."""
    ids = people.add(count)
    pipeline.run()
    people.run(
        "UPDATE crm_syncs SET state = 'queued', run_at = now() - interval '1 h' WHERE contact_id = ANY (:ids)", ids=ids
    )


def test_suspects_get_their_turn_however_long_the_queue_is(people: People, pipeline: Pipeline) -> None:
    people.add(30)
    suspects = people.add(3)
    suspect(people, suspects)
    for done in (1, 2, 3):
        assert pipeline.run(limit=5).counts == {"claimed": 5, "synced": 5}
        assert len([one for one in suspects if people.sync(one)["state"] == "synced"]) == done


def test_suspects_however_many_leave_the_others_their_turn(people: People, pipeline: Pipeline) -> None:
    suspect(people, people.add(30))
    others = people.add(9)
    assert pipeline.run(limit=10).counts == {"claimed": 10, "synced": 10}
    assert {people.sync(one)["state"] for one in others} == {"synced"}


def test_without_others_suspects_have_the_whole_run(people: People, pipeline: Pipeline) -> None:
    suspect(people, people.add(8))
    assert pipeline.run(limit=8).counts == {"claimed": 8, "synced": 8}


def test_contacts_that_need_no_request_are_no_probe(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, engine: sa.Engine
) -> None:
    unchanged(people, pipeline, 8)
    people.add(4)
    probing(people)
    assert pipeline.run().counts == {"claimed": 12, "unchanged": 8, "synced": 4}
    assert not GateKeeper(engine, "brevo").read().probing
    assert len(brevo_sandbox.contacts()) == 12


def test_a_probe_that_fails_is_the_only_one_and_costs_nobody_else_anything(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, engine: sa.Engine
) -> None:
    unchanged(people, pipeline, 3)
    people.add(9)
    suspect(people, people.add(2))
    probing(people)
    brevo_sandbox.fault("status", status=503, method="POST")
    before = len(brevo_sandbox.requests(method="POST", path=DELIVERIES))
    pipeline.run()
    assert len(brevo_sandbox.requests(method="POST", path=DELIVERIES)) == before + 1
    assert people.all("SELECT sum(attempts) AS n FROM crm_syncs") == [{"n": 1}]
    assert people.states() == {"synced": 3, "queued": 11}
    gate = GateKeeper(engine, "brevo").read()
    assert (gate.paused, gate.pause_kind, gate.probing) == (True, "outage", True)


def test_a_probe_that_nobody_else_is_under_way_with(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(12)
    probing(people)
    pipeline.run()
    sent = brevo_sandbox.requests(method="POST", path=DELIVERIES)
    assert len(sent) == 12
    assert all(one["arrived_monotonic"] >= sent[0]["finished_monotonic"] for one in sent[1:])


def test_a_suspect_is_a_probe_only_if_there_is_nobody_else(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    suspects = people.add(2)
    suspect(people, suspects)
    people.add(3, name="Ada")
    probing(people)
    brevo_sandbox.fault("status", status=503, method="POST")
    pipeline.run(limit=2)
    assert [people.sync(one)["attempts"] for one in suspects] == [0, 0]
    people.run("DELETE FROM crm_contacts WHERE name = 'Ada'")
    people.run("UPDATE crm_gates SET paused_until = now() WHERE crm = 'brevo'")
    pipeline.run(limit=2)
    assert [people.sync(one)["attempts"] for one in suspects] == [1, 0]


def test_of_a_limited_run_an_import_takes_what_the_contacts_that_go_singly_leave(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREVO_BULK_THRESHOLD", "20")
    apart = people.add(4)
    people.run("UPDATE crm_syncs SET bulk_ok = false WHERE contact_id = ANY (:ids)", ids=apart)
    suspects = people.add(1)
    suspect(people, suspects)
    people.add(40)
    assert pipeline.run(limit=30).counts == {"claimed": 30, "synced": 30}
    assert {people.sync(one)["state"] for one in (*apart, *suspects)} == {"synced"}
    assert len(brevo_sandbox.requests(path="/contacts/import")) == 1


def test_a_probe_that_is_only_asked_to_wait_is_the_only_one(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(5)
    probing(people)
    brevo_sandbox.fault("status", status=429, method="POST")
    assert pipeline.run().counts == {"claimed": 5, "released": 5}
    sent = {one["email"] for one in brevo_sandbox.requests(method="POST", path=DELIVERIES)}
    assert len(sent) == 1
