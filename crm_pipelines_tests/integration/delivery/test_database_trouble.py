"""Connections to the contacts database that break while contacts are delivered."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.delivery.conftest import Delivery, wait_until


def test_connections_cut_again_and_again_while_sending_lose_nothing_and_send_nothing_twice(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(60)
    cuts = 0
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(delivery.courier(rate=60).deliver, delivery.claim())
        for arrived in range(5, 60, 5):
            brevo_sandbox.wait_for_requests(arrived)
            cuts += delivery.cut(people) > 0
        receipt = sending.result(30)
    assert cuts > 1
    assert (receipt.halted, receipt.released) == (None, 0)
    assert delivery.apply() == {"synced": 60}
    assert len(brevo_sandbox.requests()) == 60
    assert len(brevo_sandbox.contacts()) == 60


@pytest.mark.parametrize(
    "locked",
    [
        pytest.param("LOCK TABLE crm_attempts IN EXCLUSIVE MODE", id="ledger"),
        pytest.param("SELECT 1 FROM crm_gates FOR UPDATE", id="gate"),
    ],
)
def test_a_connection_cut_while_an_answer_is_noted_costs_no_second_request(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, engine: sa.Engine, locked: str
) -> None:
    people.add(3)
    brevo_sandbox.configure(contacts_per_second=100)  # answers tell of the limit, which the gate is to remember
    brevo_sandbox.fault("hold", times=3)
    claims = delivery.claim()
    with ThreadPoolExecutor(1) as pool, engine.connect() as holder:
        sending = pool.submit(delivery.courier().deliver, claims)
        brevo_sandbox.wait_for_requests(3)
        holder.execute(sa.text(locked))
        brevo_sandbox.release()
        for _ in range(3):
            wait_until(lambda: delivery.waiting(people), "a statement of the courier waits for the lock")
            assert delivery.cut(people) > 0
        holder.rollback()
        receipt = sending.result(30)
    assert (receipt.halted, receipt.released) == (None, 0)
    assert delivery.apply() == {"synced": 3}
    assert len(brevo_sandbox.requests()) == 3


def test_a_connection_cut_while_waiting_for_the_gate_halts_nobody(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, engine: sa.Engine
) -> None:
    people.add(3)
    claims = delivery.claim()
    with ThreadPoolExecutor(1) as pool, engine.connect() as holder:
        holder.execute(sa.text("SELECT 1 FROM crm_gates FOR UPDATE"))
        sending = pool.submit(delivery.courier().deliver, claims)
        wait_until(lambda: delivery.waiting(people), "a request for a slot waits for the lock")
        delivery.cut(people)
        holder.rollback()
        receipt = sending.result(30)
    assert (receipt.halted, receipt.released) == (None, 0)
    assert len(brevo_sandbox.requests()) == 3


def test_a_connection_cut_while_claims_are_given_back_leaves_none_behind(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, engine: sa.Engine
) -> None:
    people.add(5)
    claims = delivery.claim()
    courier = delivery.courier()
    courier.halted = "already halted"
    with ThreadPoolExecutor(1) as pool, engine.connect() as holder:
        holder.execute(sa.text("SELECT 1 FROM crm_syncs FOR UPDATE"))
        giving_back = pool.submit(courier.deliver, claims)
        wait_until(lambda: delivery.waiting(people), "the release waits for the lock")
        delivery.cut(people)
        holder.rollback()
        assert giving_back.result(30).released == 5
    assert people.states() == {"queued": 5}
    assert brevo_sandbox.requests() == []
