"""Connections to the contacts database that break while contacts are delivered."""

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.outcomes import Outcome
from crm_pipelines.crms.payloads import Sendable
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.delivery.conftest import Delivery
from crm_pipelines_tests.patience import PATIENCE, wait_until


def test_connections_cut_again_and_again_while_sending_lose_nothing_and_send_nothing_twice(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    cuts: list[int] = []
    numbers = itertools.count()

    class CutsAfterEveryFifth:
        def __init__(self, crm: Crm) -> None:
            self._crm = crm

        def __getattr__(self, name: str) -> Any:
            return getattr(self._crm, name)

        def deliver(self, contacts: Sequence[Sendable], **how: Any) -> Sequence[Outcome | None]:
            outcomes = self._crm.deliver(contacts, **how)
            if next(numbers) % 5 == 0:
                cuts.append(delivery.cut(people))
            return outcomes

    people.add(40)
    receipt = delivery.courier(rate=60, crm=CutsAfterEveryFifth(delivery.crm)).deliver(delivery.claim())
    assert sum(cut > 0 for cut in cuts) > 1
    assert (receipt.halted, receipt.released) == (None, 0)
    assert delivery.apply() == {"synced": 40}
    assert len(brevo_sandbox.requests()) == 40
    assert len(brevo_sandbox.contacts()) == 40


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
        receipt = sending.result(PATIENCE)
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
        receipt = sending.result(PATIENCE)
    assert (receipt.halted, receipt.released) == (None, 0)
    assert len(brevo_sandbox.requests()) == 3


def test_a_connection_cut_while_claims_are_given_back_leaves_none_behind(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, engine: sa.Engine
) -> None:
    people.add(5)
    claims = delivery.claim()
    courier = delivery.courier()
    courier.session.halt("already halted")
    with ThreadPoolExecutor(1) as pool, engine.connect() as holder:
        holder.execute(sa.text("LOCK TABLE crm_syncs IN EXCLUSIVE MODE"))
        giving_back = pool.submit(courier.deliver, claims)
        wait_until(lambda: delivery.waiting(people), "the release waits for the lock")
        delivery.cut(people)
        holder.rollback()
        assert giving_back.result(PATIENCE).released == 5
    assert people.states() == {"queued": 5}
    assert brevo_sandbox.requests() == []
