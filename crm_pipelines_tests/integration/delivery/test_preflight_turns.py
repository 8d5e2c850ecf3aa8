"""Preflight and deliveries share one rate; a paused gate keeps back contacts, not the question whether it may open."""

import time
from datetime import timedelta

import pytest

from crm_pipelines.delivery.account.identity import account_of
from crm_pipelines.delivery.account.preflight import check_account
from crm_pipelines.delivery.pace import gatekeeping
from crm_pipelines.delivery.pace.gatekeeping import pacer_for
from crm_pipelines.destinations.gates import GateKeeper, Reservation
from crm_pipelines_tests.fixtures.people import People
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


def test_checks_and_questions_whose_account_it_is_leave_fewer_looks_at_imports(
    delivery: Delivery, people: People, brevo_sandbox: BrevoSandbox
) -> None:
    def taken() -> float:
        """Of the bucket, as of now."""
        [row] = people.all("SELECT aside_full_at - clock_timestamp() AS missing FROM crm_gates WHERE crm = 'brevo'")
        assert delivery.crm.aside is not None
        return max(0.0, float(row["missing"] / delivery.crm.aside.refill))

    check_account(delivery.account)
    after_a_check = taken()
    account_of(GateKeeper(delivery.engine, "brevo"), delivery.crm, turn=lambda: None)
    assert len(brevo_sandbox.requests(path="/account")) == 2
    assert after_a_check > 0
    assert taken() > after_a_check + 0.5


def test_what_was_selected_long_before_the_first_delivery_is_told_with_the_way_to_take_it_back(
    delivery: Delivery, people: People
) -> None:
    def told() -> list[str]:
        return [one.detail for one in check_account(delivery.account).findings if one.subject == "Contacts"]

    people.add(3)
    assert told() == [], "who has just selected knows it"
    people.run("UPDATE crm_syncs SET selected_at = now() - interval '2 days'")
    people.run(
        "UPDATE crm_syncs SET selected_at = '2024-01-05 08:00Z' "
        "WHERE contact_id = (SELECT id FROM crm_contacts ORDER BY id LIMIT 1)"
    )
    [sentence] = told()
    assert sentence == (
        "Selected for brevo more than a day ago: 3, the first on 2024-01-05. Nothing was sent there so far; the next "
        "run sends them. To take them back first: `crm-pipelines contacts unselect brevo --where-status Selected`."
    )
    delivery.gate.bind_account("company-id-1", delivery.crm.credentials_fingerprint, move=False)
    assert told() == [], "a long queue at an account that gets contacts is no news"
