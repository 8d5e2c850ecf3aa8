"""Preflight and deliveries share one rate; a paused gate keeps back contacts, not the question whether it may open."""

import time
from datetime import timedelta

import pytest

from crm_pipelines.contacts.gates import GateKeeper
from crm_pipelines.delivery.gatekeeping import pacer_for
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.delivery.conftest import Delivery


def test_a_delivery_right_after_provisioning_stays_within_the_limit(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(10)
    brevo_sandbox.configure(contacts_per_second=10)
    fields = {f"field {number}": "x" for number in range(5)}
    turns = pacer_for(delivery.gate, 10)
    created = delivery.crm.provision(dry_run=False, before_request=turns.wait, custom_fields=fields)
    assert len(created) >= 5
    delivery.courier(rate=10).deliver(delivery.claim())
    assert delivery.apply() == {"synced": 10}
    assert 429 not in {request["status"] for request in brevo_sandbox.requests()}


def test_a_limit_that_the_account_reported_is_kept(delivery: Delivery) -> None:
    delivery.gate.observe_limit(4)
    turns = pacer_for(delivery.gate, 1000)
    turns.wait()
    started = time.monotonic()
    for _ in range(2):
        turns.wait()
    assert time.monotonic() - started > 0.4


@pytest.mark.parametrize("kind", ["credentials", "outage", "rate_limit"])
def test_a_gate_that_is_paused_for_long_keeps_no_check_waiting_but_its_pace(delivery: Delivery, kind: str) -> None:
    if kind == "credentials":
        delivery.gate.close("Key not found", "fingerprint")
    else:
        delivery.gate.pause(kind, "busy", timedelta(minutes=5))
    turns = pacer_for(delivery.gate, 20)
    started = time.monotonic()
    for _ in range(5):
        turns.wait()
    assert 0.2 < time.monotonic() - started < 5
    assert GateKeeper(delivery.engine, "brevo").read().paused, "to open the gate is not the pacer's business"


def test_a_refusal_for_rate_that_is_over_soon_is_waited_out(delivery: Delivery) -> None:
    delivery.gate.pause("rate_limit", "busy", timedelta(seconds=1))
    started = time.monotonic()
    pacer_for(delivery.gate, 20).wait()
    assert time.monotonic() - started > 0.9
