"""Preflight and deliveries share one rate; a paused gate keeps back contacts, not the question whether it may open."""

import time
from datetime import timedelta

import pytest

from crm_pipelines.delivery.pace import gatekeeping
from crm_pipelines.delivery.pace.gatekeeping import pacer_for
from crm_pipelines.destinations.gates import GateKeeper, Reservation
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.delivery.conftest import Delivery


def test_each_request_of_provisioning_takes_one_of_the_slots_of_deliveries(
    delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    slots: list[int] = []

    class Counting(GateKeeper):
        def reserve(self, wanted: int, rate: float) -> Reservation | None:
            slots.append(wanted)
            return super().reserve(wanted, rate)

    turns = pacer_for(Counting(delivery.engine, "brevo"), 500)
    assert delivery.crm.schema is not None
    missed_at_first = delivery.crm.schema.provision(dry_run=False, turn=turns.wait)
    requests = brevo_sandbox.requests()
    assert len(requests) > len(missed_at_first) > 0
    # A turn that was missed is given up, and another one taken.
    assert set(slots) == {1}
    assert len(slots) >= len(requests)


def test_a_limit_that_the_account_reported_is_kept(delivery: Delivery) -> None:
    delivery.gate.observe_limit(4)
    turns = pacer_for(delivery.gate, 1000)
    started = time.monotonic()
    for _ in range(3):
        turns.wait()
    assert time.monotonic() - started > 0.4


@pytest.mark.parametrize("kind", ["credentials", "outage", "rate_limit"])
def test_a_gate_that_is_paused_for_long_keeps_no_check_waiting_but_its_pace(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(gatekeeping, "time", None)  # the end of a pause is slept for
    if kind == "credentials":
        delivery.gate.close("Key not found", "fingerprint")
    else:
        delivery.gate.pause(kind, "busy", timedelta(minutes=5))
    turns = pacer_for(delivery.gate, 20)
    started = time.monotonic()
    for _ in range(5):
        turns.wait()
    assert time.monotonic() - started > 0.2
    assert GateKeeper(delivery.engine, "brevo").read().paused, "to open the gate is not the pacer's business"


def test_a_refusal_for_rate_that_is_over_soon_is_waited_out(delivery: Delivery) -> None:
    started = time.monotonic()
    delivery.gate.pause("rate_limit", "busy", timedelta(seconds=1))
    pacer_for(delivery.gate, 20).wait()
    assert time.monotonic() - started > 0.9
