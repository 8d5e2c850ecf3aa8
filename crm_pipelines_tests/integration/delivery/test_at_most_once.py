"""A courier to a CRM at which nothing must be sent twice: what may have arrived is known, and is not sent again."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from crm_pipelines.crms.base import IsContact
from crm_pipelines.crms.brevo import Brevo
from crm_pipelines.crms.outcomes import Outcome
from crm_pipelines.crms.payloads import Sendable
from crm_pipelines.crms.turns import DeliveryTurn
from crm_pipelines.delivery.pace.session import STOPPED
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Attempt, Claim
from crm_pipelines_tests.at_most_once import at_most_once
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.delivery.conftest import RUN, Delivery
from crm_pipelines_tests.patience import PATIENCE


@pytest.fixture(autouse=True)
def _at_most_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_most_once(monkeypatch)


def until_nothing_is_due(people: People, delivery: Delivery) -> None:
    """Runs, as often as it takes, with an edit of everybody in between."""
    for number in range(5):
        people.run("UPDATE crm_contacts SET context = :context", context=str(number))
        people.expire_leases()
        people.make_due()
        delivery.queue.requeue_parked(f"mapping {number}")
        for run_id in [RUN, *delivery.queue.silent_runs()]:
            delivery.apply(run_id)
        delivery.queue.rescue()
        delivery.courier().deliver(delivery.claim())
        delivery.apply()


def applied(sandbox: BrevoSandbox) -> list[str]:
    """Whom requests have reached that wrote something."""
    return [one["ext_id"] for one in sandbox.requests() if one["applied"] and one["method"] != "GET"]


def test_a_contact_whose_answer_was_lost_is_sent_once_and_parked_the_others_arrive(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    ids = people.add(6)
    brevo_sandbox.fault("reset_after", times=2)
    delivery.courier().deliver(delivery.claim())
    assert delivery.apply() == {"synced": 4, "failed": 2}
    lost = people.all("SELECT contact_id, last_error_kind AS kind FROM crm_syncs WHERE state = 'failed'")
    assert {row["kind"] for row in lost} == {"unknown"}
    until_nothing_is_due(people, delivery)
    sent = applied(brevo_sandbox)
    assert all(sent.count(str(row["contact_id"])) == 1 for row in lost)
    assert set(sent) == {str(one) for one in ids}


def test_where_nothing_may_be_sent_twice_silence_opens_the_breaker(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(60)
    brevo_sandbox.fault("reset_before")
    receipt = delivery.courier(rate=5).deliver(delivery.claim())
    assert receipt.halted is not None
    assert delivery.gate.read().pause_kind == "outage"
    states = delivery.apply()
    assert states["failed"] < 60
    assert people.states() == {"failed": states["failed"], "queued": 60 - states["failed"]}


def test_a_defect_of_ours_after_a_request_was_begun_parks_and_before_it_costs_an_attempt(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = people.add(2)
    deliver = Brevo.deliver

    def break_off(self: Brevo, contacts: Sequence[Sendable], *, turn: DeliveryTurn, **more: Any) -> list[Any]:
        if contacts[0].external_id == str(before):
            raise KeyError
        deliver(self, contacts, turn=turn, **more)
        raise KeyError

    monkeypatch.setattr(Brevo, "deliver", break_off)
    delivery.courier().deliver(delivery.claim())
    assert delivery.apply() == {"queued": 1, "failed": 1}
    assert people.sync(before)["attempts"] == 1
    row = people.sync(after)
    assert (row["last_error_kind"], row["attempts"]) == ("unknown", 0)
    assert "Unexpected KeyError" in row["last_error"]
    monkeypatch.setattr(Brevo, "deliver", deliver)
    until_nothing_is_due(people, delivery)
    assert applied(brevo_sandbox).count(str(after)) == 1
    assert people.sync(before)["state"] == "synced"


def test_a_stop_between_two_requests_of_a_delivery_gives_back_what_had_no_effect(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    [contact_id] = people.add()
    courier = delivery.courier()

    def look_only(self: Brevo, contacts: Sequence[Sendable], *, turn: DeliveryTurn, **more: Any) -> list[Any]:
        assert turn(contacts)
        courier.session.halt(STOPPED)
        assert not turn(contacts)
        return [None]

    monkeypatch.setattr(Brevo, "deliver", look_only)
    receipt = courier.deliver(delivery.claim())
    assert receipt.released == 1
    assert people.sync(contact_id)["state"] == "queued"


def test_what_could_not_be_written_into_the_ledger_is_not_sent_again(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    class Forgetful(Queue):
        def record(self, run_id: str, attempts: Sequence[Attempt]) -> set[Claim]:
            return set()

    [contact_id] = people.add()
    claims = delivery.claim()
    receipt = delivery.courier(queue=Forgetful(delivery.engine, "brevo")).deliver(claims)
    assert (receipt.released, receipt.locked) == (0, 1)
    assert people.sync(contact_id)["state"] == "claimed"
    until_nothing_is_due(people, delivery)
    assert applied(brevo_sandbox) == [str(contact_id)]
    assert people.sync(contact_id)["last_error_kind"] == "unknown"


def test_a_database_that_fails_while_a_contact_is_sent_does_not_have_it_sent_again(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    [contact_id] = people.add()
    deliver = Brevo.deliver

    def ask_in_vain(
        self: Brevo, contacts: Sequence[Sendable], *, is_contact: IsContact, **more: Any
    ) -> list[Outcome | None]:
        deliver(self, contacts, is_contact=is_contact, **more)
        raise sa.exc.OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr(Brevo, "deliver", ask_in_vain)
    receipt = delivery.courier().deliver(delivery.claim())
    assert (receipt.released, receipt.halted) == (0, "the contacts database failed")
    monkeypatch.setattr(Brevo, "deliver", deliver)
    until_nothing_is_due(people, delivery)
    assert applied(brevo_sandbox) == [str(contact_id)]


def test_nothing_is_sent_before_it_is_written_down_that_it_is(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(3)
    brevo_sandbox.fault("hold")
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(delivery.courier().deliver, delivery.claim())
        held = brevo_sandbox.wait_for_requests(3)
        noted = people.all("SELECT contact_id FROM crm_syncs WHERE sending_claim_no = claim_no AND state = 'claimed'")
        brevo_sandbox.clear_faults()
        brevo_sandbox.release()
        sending.result(PATIENCE)
    assert {str(row["contact_id"]) for row in noted} == {one["ext_id"] for one in held}


def test_a_contact_that_somebody_s_transaction_holds_is_not_sent_and_returns(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    class Held(Queue):
        def note_sending(self, claims: Sequence[Claim]) -> set[UUID]:
            return set()

    [contact_id] = people.add()
    receipt = delivery.courier(queue=Held(delivery.engine, "brevo")).deliver(delivery.claim())
    assert receipt.released == 1
    assert brevo_sandbox.requests() == []
    assert people.sync(contact_id)["state"] == "queued"
