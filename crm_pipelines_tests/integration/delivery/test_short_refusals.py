"""A refusal for rate that is over soon is waited out; an interrupted wait loses neither the contact nor the count."""

from dataclasses import replace
from datetime import timedelta

import pytest

from crm_pipelines.delivery.pace.session import STOPPED
from crm_pipelines.destinations.gates import Gate, GateKeeper
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.delivery.conftest import Delivery


@pytest.mark.parametrize("interruption", ["stop", "longer pause"])
def test_a_wait_that_is_interrupted_leaves_the_contact_snoozed_uncharged_and_its_request_counted(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, interruption: str
) -> None:
    class Interrupted(GateKeeper):
        """As soon as the courier sees for how short the gate is paused, and is about to wait."""

        def read(self) -> Gate:
            gate = super().read()
            if interruption == "stop":
                courier.session.halt(STOPPED)
            elif gate.pause_reason != "busy elsewhere":
                self.pause("rate_limit", "busy elsewhere", timedelta(minutes=5))
                gate = replace(gate, paused_seconds=0)
            return gate

    [contact_id] = people.add()
    brevo_sandbox.fault("status", status=429, headers={"x-sib-ratelimit-reset": "10"}, times=1)
    courier = delivery.courier(gate=Interrupted(delivery.engine, "brevo"))
    receipt = courier.deliver(delivery.claim())
    assert (receipt.released, receipt.halted is None) == (0, False)
    assert people.all("SELECT outcome, requests FROM crm_attempts") == [{"outcome": "snoozed", "requests": 1}]
    assert delivery.apply() == {"queued": 1}
    assert people.sync(contact_id)["attempts"] == 0
    assert len(brevo_sandbox.requests()) == 1


def test_an_outage_after_a_short_refusal_is_charged_as_one_attempt_with_both_requests(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    [contact_id] = people.add()
    brevo_sandbox.fault("status", status=429, headers={"x-sib-ratelimit-reset": "1"}, times=1)
    brevo_sandbox.fault("status", status=503, times=1)
    delivery.courier().deliver(delivery.claim())
    assert people.all("SELECT outcome, requests FROM crm_attempts") == [{"outcome": "retry", "requests": 2}]
    assert delivery.apply() == {"queued": 1}
    assert people.sync(contact_id)["attempts"] == 1
