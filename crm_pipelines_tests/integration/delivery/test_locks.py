"""Somebody's open transaction on one contact holds up that contact, and no other."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from crm_pipelines.database import retrying
from crm_pipelines.queue.model import Attempt, Intent
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.delivery.conftest import POLICY, RUN, Delivery
from crm_pipelines_tests.patience import PATIENCE

Hold = Callable[[UUID], AbstractContextManager[None]]

HOLDS = {
    "an edit": "UPDATE crm_contacts SET context = 'edited' WHERE id = :id",
    "a deletion": "DELETE FROM crm_contacts WHERE id = :id",
    "a lock of the person": "SELECT 1 FROM crm_contacts WHERE id = :id FOR UPDATE",
    "a decision": "SELECT crm_select('brevo', ARRAY[CAST(:id AS uuid)])",
    "a lock of the delivery": "SELECT 1 FROM crm_syncs WHERE contact_id = :id FOR UPDATE",
}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "PAUSES_FOR_LOCKS", (0.0,))


@pytest.fixture(params=list(HOLDS.values()), ids=list(HOLDS))
def hold(request: Any, engine: sa.Engine) -> Hold:
    """Somebody's transaction that holds a contact for the length of the block, and is rolled back."""

    @contextmanager
    def hold(contact_id: UUID) -> Iterator[None]:
        with engine.connect() as connection:
            connection.execute(sa.text(request.param), {"id": contact_id})
            yield
            connection.rollback()

    return hold


def test_who_is_held_from_before_the_delivery_waits_alone(people: People, pipeline: Pipeline, hold: Hold) -> None:
    held, *others = people.add(12)
    with hold(held):
        run = pipeline.run()
    assert run.success, run.problem
    assert run.counts["synced"] in {11, 12}
    assert {people.sync(one)["state"] for one in others} == {"synced"}
    pipeline.run()
    assert people.states() == {"synced": 12}
    assert people.all("SELECT sum(attempts + crashes) AS n FROM crm_syncs") == [{"n": 0}]


def test_who_is_held_from_during_the_delivery_on_waits_alone(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, hold: Hold
) -> None:
    held, *others = people.add(12)
    brevo_sandbox.fault("hold", method="POST", times=12)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(pipeline.run)
        brevo_sandbox.wait_for_requests(12, method="POST")
        with hold(held):
            brevo_sandbox.release()
            run = running.result(PATIENCE)
            assert run.success, run.problem
            assert {people.sync(one)["state"] for one in others} == {"synced"}
    people.expire_leases()
    pipeline.run()
    assert people.states() == {"synced": 12}
    assert people.all("SELECT sum(attempts + crashes) AS n FROM crm_syncs") == [{"n": 0}]
    assert len(brevo_sandbox.requests(method="POST")) <= 13, "at most one repeat"


def test_a_lock_of_a_moment_costs_nothing(people: People, delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "PAUSES_FOR_LOCKS", (1.0,))
    [contact_id] = people.add()
    claims = delivery.claim()
    with people.engine.connect() as connection:
        connection.execute(sa.text(HOLDS["a lock of the delivery"]), {"id": contact_id})
        monkeypatch.setattr(time, "sleep", lambda _: connection.rollback())
        assert delivery.queue.renew(claims, lease=timedelta(minutes=1)) == {contact_id: 1}


def test_no_step_of_the_protocol_waits_for_a_lock(people: People, delivery: Delivery, hold: Hold) -> None:
    held, other = people.add(2)
    claims = delivery.claim()
    with hold(held):
        queue = delivery.queue
        assert other in queue.renew(claims, lease=timedelta(minutes=1))
        assert other in queue.intend([Intent(claim=one, key="x", names=frozenset()) for one in claims])
        outcomes = [Attempt(claim=one, revision=1, outcome="synced", duration=timedelta()) for one in claims]
        assert any(one.contact_id == other for one in queue.record(RUN, outcomes))
        assert queue.apply(RUN, POLICY)
        assert people.sync(other)["state"] == "synced"
        people.run("UPDATE crm_syncs SET state = 'failed', last_error_kind = 'x' WHERE contact_id = :id", id=other)
        queue.requeue_parked("another mapping")
        queue.requeue_edited("run-1")
        queue.release(RUN)
        queue.rescue()
        assert queue.claim("run-2", limit=9, lease=timedelta(minutes=1)) == []


def test_an_edit_that_its_trigger_missed_is_found_though_somebody_holds_another(
    people: People, delivery: Delivery, engine: sa.Engine
) -> None:
    held, other = people.add(2)
    people.run("UPDATE crm_contacts SET name = 'After'")
    people.run("UPDATE crm_syncs SET contact_revision = 1")
    with engine.connect() as connection:
        connection.execute(sa.text(HOLDS["a lock of the delivery"]), {"id": held})
        assert delivery.queue.requeue_edited("run-1") == 1
    assert people.sync(other)["contact_revision"] == 2
    assert delivery.queue.requeue_edited("run-1") == 1


def test_failed_contacts_get_another_chance_under_a_new_mapping_though_somebody_holds_one(
    people: People, delivery: Delivery, engine: sa.Engine
) -> None:
    held, other = people.add(2)
    people.run("UPDATE crm_syncs SET state = 'failed', last_error_kind = 'rejected', mapping_version = 'old'")
    with engine.connect() as connection:
        connection.execute(sa.text(HOLDS["a lock of the delivery"]), {"id": held})
        assert delivery.queue.requeue_parked("new") == 1
    assert people.sync(other)["state"] == "queued"


@pytest.mark.parametrize("during", ["claiming", "import"])
def test_who_is_held_during_an_import_waits_alone(
    during: str,
    people: People,
    pipeline: Pipeline,
    brevo_sandbox: BrevoSandbox,
    hold: Hold,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BREVO_BULK_THRESHOLD", "20")
    held, *others = people.add(30)
    if during == "claiming":
        with hold(held):
            run = pipeline.run()
    else:
        brevo_sandbox.fault("hold_after", path="/contacts/import", times=1)
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(pipeline.run)
            brevo_sandbox.wait_for_requests(1, path="/contacts/import")
            with hold(held):
                brevo_sandbox.release()
                run = running.result(PATIENCE)
    assert run.success, run.problem
    assert {people.sync(one)["state"] for one in others} == {"synced"}
    for _ in range(2):
        pipeline.run()
    assert people.states() == {"synced": 30}
    assert people.all("SELECT sum(attempts + crashes) AS n FROM crm_syncs") == [{"n": 0}]
