"""The courier: what becomes of each contact when something happens during its delivery."""

import logging
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Payload, Sendable, Unsendable
from crm_pipelines.crms.turns import DeliveryTurn
from crm_pipelines.delivery.pace.pacing import Pacer
from crm_pipelines.delivery.pace.rates import RateLimit
from crm_pipelines.delivery.pace.session import STOPPED, CrmSession
from crm_pipelines.delivery.single import courier
from crm_pipelines.destinations.gates import GateKeeper, Tally
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Attempt, Claim
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.delivery.conftest import RUN, Delivery
from crm_pipelines_tests.patience import PATIENCE


def names(sandbox: BrevoSandbox) -> list[str]:
    """The first names as the CRM holds them."""
    return [contact["attributes"].get("FIRSTNAME") for contact in sandbox.contacts()]


class Wrapped:
    """A CRM that does what the real one does unless a test says otherwise."""

    def __init__(self, crm: Crm) -> None:
        self._crm = crm

    def __getattr__(self, name: str) -> Any:
        return getattr(self._crm, name)


def test_an_edit_during_delivery_is_delivered_afterwards(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    [contact_id] = people.add(name="Before")
    brevo_sandbox.fault("hold", times=1)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(delivery.courier().deliver, delivery.claim())
        brevo_sandbox.wait_for_requests(1)
        people.run("UPDATE crm_contacts SET name = 'After' WHERE id = :id", id=contact_id)
        brevo_sandbox.release()
        sending.result(PATIENCE)
    assert delivery.apply() == {"queued": 1}
    assert names(brevo_sandbox) == ["Before"]
    delivery.courier().deliver(delivery.claim())
    assert delivery.apply() == {"synced": 1}
    assert names(brevo_sandbox) == ["After"]


def test_an_edit_between_claim_and_delivery_is_sent_at_once(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    [contact_id] = people.add(name="Before")
    claims = delivery.claim()
    people.run("UPDATE crm_contacts SET name = 'After' WHERE id = :id", id=contact_id)
    delivery.courier().deliver(claims)
    assert delivery.apply() == {"synced": 1}
    assert names(brevo_sandbox) == ["After"]


def test_a_contact_unselected_during_delivery_stays_unselected_and_the_delivery_is_in_the_ledger(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    [contact_id] = people.add()
    brevo_sandbox.fault("hold", times=1)
    claims = delivery.claim()
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(delivery.courier().deliver, claims)
        brevo_sandbox.wait_for_requests(1)
        people.run("SELECT crm_unselect('brevo', ARRAY[CAST(:id AS uuid)])", id=contact_id)
        brevo_sandbox.release()
        receipt = sending.result(PATIENCE)
    assert receipt.released == 0
    assert delivery.apply() == {"superseded": 1}
    assert people.sync(contact_id)["state"] == "unselected"
    assert people.all("SELECT outcome FROM crm_attempts") == [{"outcome": "synced"}]


def test_a_contact_unselected_before_its_delivery_is_not_sent(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    stays, goes = people.add(2)
    claims = delivery.claim()
    people.run("SELECT crm_unselect('brevo', ARRAY[CAST(:id AS uuid)])", id=goes)
    assert delivery.courier().deliver(claims).released == 0
    assert delivery.apply() == {"synced": 1}
    assert people.sync(stays)["state"] == "synced"
    assert len(brevo_sandbox.requests()) == 1


def test_a_contact_deleted_during_delivery_breaks_nothing(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    stays, goes = people.add(2)
    brevo_sandbox.fault("hold", times=2)
    claims = delivery.claim()
    courier = delivery.courier()
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(courier.deliver, claims)
        brevo_sandbox.wait_for_requests(2)
        people.run("DELETE FROM crm_contacts WHERE id = :id", id=goes)
        brevo_sandbox.release()
        receipt = sending.result(PATIENCE)
    assert (receipt.released, receipt.halted) == (0, None)
    assert delivery.apply() == {"synced": 1}
    assert people.sync(stays)["state"] == "synced"
    assert delivery.queue.unattempted(courier.present(claims)) == (1, 0), "superseded, in the sums"


def test_a_defect_of_ours_costs_only_its_contact_an_attempt_and_tells_no_data(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    class Defective(Wrapped):
        def prepare(self, record: Mapping[str, Any], *, sent_attributes: frozenset[str]) -> Payload | Unsendable:
            if record["name"] == "Unpreparable":
                raise ValueError(record["email"])
            return self._crm.prepare(record, sent_attributes=sent_attributes)

        def deliver(self, contacts: Sequence[Sendable], **how: Any) -> Sequence[Outcome | None]:
            for one in contacts:
                if one.payload.attributes.get("FIRSTNAME") == "Undeliverable":
                    raise KeyError(one.payload.key)
            return self._crm.deliver(contacts, **how)

    people.add(3)
    broken = [people.add(name=name, email="ada@example.com")[0] for name in ("Unpreparable",)]
    broken += people.add(name="Undeliverable", email="bob@example.com")
    with caplog.at_level(logging.DEBUG):
        receipt = delivery.courier(crm=Defective(delivery.crm)).deliver(delivery.claim())
    assert (receipt.released, receipt.halted) == (0, None)
    assert delivery.apply() == {"synced": 3, "queued": 2}
    for contact_id, error in zip(broken, ("ValueError", "KeyError"), strict=True):
        row = people.sync(contact_id)
        assert (row["attempts"], row["last_error_kind"]) == (1, "internal")
        assert f"Unexpected {error} in crm-pipelines at test_courier.py:" in row["last_error"]
        assert "example.com" not in row["last_error"]
    assert "ada@" not in caplog.text
    assert "bob@" not in caplog.text


def test_a_stop_lets_what_is_under_way_end_and_gives_the_rest_back_uncharged(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(20)
    brevo_sandbox.fault("hold")
    courier = delivery.courier(rate=4)
    with ThreadPoolExecutor(1) as pool:
        # 4 requests per second: 4 threads, whose requests are all held.
        sending = pool.submit(courier.deliver, delivery.claim())
        brevo_sandbox.wait_for_requests(2)
        courier.session.halt(STOPPED)
        brevo_sandbox.clear_faults()
        brevo_sandbox.release()
        receipt = sending.result(PATIENCE)
    sent = len(brevo_sandbox.requests())
    assert sent <= 4
    assert receipt.halted == STOPPED
    assert receipt.released == 20 - sent
    delivery.apply()
    assert people.states() == {"synced": sent, "queued": 20 - sent}
    assert people.all("SELECT max(attempts) AS a, max(crashes) AS c FROM crm_syncs") == [{"a": 0, "c": 0}]


def test_once_halted_a_courier_sends_nothing_more(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(4)
    claims = delivery.claim()
    delivery.gate.pause("outage", "down", timedelta(minutes=5))
    renewed: list[int] = []

    class Renewing(Queue):
        def begin(self, claims: Sequence[Claim], **more: Any) -> dict[UUID, int]:
            renewed.append(len(claims))
            return super().begin(claims, **more)

    halted = delivery.courier(queue=Renewing(delivery.engine, "brevo"))
    assert halted.deliver(claims[:2]).halted == "sending is paused"
    delivery.gate.open()
    assert halted.deliver(claims[2:]).released == 2
    assert brevo_sandbox.requests() == []
    assert people.states() == {"queued": 4}
    assert renewed == [2], "what is not sent is not begun"


def test_an_interruption_while_outcomes_are_recorded_loses_none_and_goes_on(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    class Interrupted(Queue):
        interrupted = False

        def record(self, run_id: str, attempts: Sequence[Attempt]) -> set[Claim]:
            if not self.interrupted:
                self.interrupted = True
                raise KeyboardInterrupt
            return super().record(run_id, attempts)

    people.add(10)
    interrupted = delivery.courier(queue=Interrupted(delivery.engine, "brevo"))
    with pytest.raises(KeyboardInterrupt):
        interrupted.deliver(delivery.claim())
    sent = len(brevo_sandbox.requests())
    assert sent > 0
    assert people.all("SELECT count(*) AS n FROM crm_attempts WHERE outcome = 'synced'") == [{"n": sent}]
    delivery.apply()
    assert people.states().get("synced") == sent
    assert people.states().get("queued", 0) == 10 - sent


def test_stop_signals_end_the_sending_also_those_that_come_while_one_is_being_dealt_with(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, request: pytest.FixtureRequest
) -> None:
    first = threading.Lock()

    class Impatient(CrmSession):
        def halt(self, reason: str) -> None:
            signal.raise_signal(signal.SIGTERM)
            super().halt(reason)

    class Signalling(Wrapped):
        def deliver(self, contacts: Sequence[Sendable], **how: Any) -> Sequence[Outcome | None]:
            outcomes = self._crm.deliver(contacts, **how)
            if first.acquire(blocking=False):
                os.kill(os.getpid(), signal.SIGTERM)  # for the process: the main thread gets it
            return outcomes

    class Asked(Exception):
        pass

    def stop(*_: object) -> None:
        raise Asked

    request.addfinalizer(partial(signal.signal, signal.SIGTERM, signal.getsignal(signal.SIGTERM)))
    signal.signal(signal.SIGTERM, stop)
    people.add(100)
    impatient = Impatient(
        gate=delivery.gate, crm=cast("Crm", Signalling(delivery.crm)), limit=RateLimit(20, is_ceiling=True)
    )
    stopped = courier.Courier(queue=delivery.queue, session=impatient, run_id=RUN)
    with pytest.raises(Asked):
        stopped.deliver(delivery.claim())
    assert 0 < len(brevo_sandbox.requests()) < 100
    assert "claimed" not in delivery.apply()
    assert people.all("SELECT sum(attempts + crashes) AS n FROM crm_syncs") == [{"n": 0}]
    assert signal.getsignal(signal.SIGTERM) is stop


def test_the_breaker_hears_of_outcomes_in_the_order_of_their_arrival(people: People, delivery: Delivery) -> None:
    failed = threading.Semaphore(0)

    class LastOneSucceeds(Wrapped):
        def deliver(self, contacts: Sequence[Sendable], *, turn: DeliveryTurn, **how: Any) -> Sequence[Outcome | None]:
            [contact] = turn(contacts)
            if contact.payload.attributes["FIRSTNAME"] == "Good":
                assert all(failed.acquire(timeout=PATIENCE) for _ in range(9))
                return [Outcome(result=Result.SYNCED, requests=1, answered=True, remote_key=contact.payload.key)]
            failed.release()
            return [Outcome(result=Result.RETRY, kind="outage", requests=1, answered=True)]

    tallies: list[Tally] = []

    class Listening(GateKeeper):
        def judge(self, tally: Tally) -> str | None:
            tallies.append(tally)
            return None

    people.add(name="Good")
    people.add(9, name="Bad")  # one more would stop the sending
    delivery.courier(crm=LastOneSucceeds(delivery.crm), gate=Listening(delivery.engine, "brevo")).deliver(
        delivery.claim()
    )
    assert sum(tally.failures for tally in tallies) == 9
    assert (tallies[-1].successes, tallies[-1].trailing_failures) == (1, 0)


def test_the_time_of_an_attempt_is_that_of_its_requests_without_the_wait_for_its_turn(
    people: People, delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0

    def wait(_pacer: Pacer) -> None:
        nonlocal now
        now += 100

    class TakesTwoSeconds(Wrapped):
        def deliver(self, contacts: Sequence[Sendable], *, turn: DeliveryTurn, **how: Any) -> Sequence[Outcome | None]:
            nonlocal now
            [contact] = turn(contacts)
            now += 2
            return [Outcome(result=Result.SYNCED, requests=1, answered=True, remote_key=contact.payload.key)]

    monkeypatch.setattr(courier, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(Pacer, "wait", wait)
    people.add(2)
    delivery.courier(crm=TakesTwoSeconds(delivery.crm)).deliver_one_at_a_time(delivery.claim())
    rows = people.all("SELECT extract(epoch FROM finished_at - started_at)::float8 AS seconds FROM crm_attempts")
    assert [row["seconds"] for row in rows] == [2, 2]


def test_suspects_are_sent_one_after_the_other(people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox) -> None:
    people.add(3)
    brevo_sandbox.fault("hold", times=1)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(delivery.courier().deliver_one_at_a_time, delivery.claim())
        brevo_sandbox.wait_for_requests(1)
        assert people.all("SELECT count(*) AS n FROM crm_syncs WHERE delivery_started_at IS NOT NULL") == [{"n": 1}]
        brevo_sandbox.release()
        assert sending.result(PATIENCE).released == 0
    log = brevo_sandbox.requests()
    assert [one["finished"] <= two["arrived"] for one, two in pairwise(log)] == [True, True]


def test_what_cannot_be_sent_costs_no_request_and_no_wait(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(email=None)
    claims = delivery.claim()
    delivery.gate.pause("outage", "down", timedelta(minutes=5))
    receipt = delivery.courier().deliver(claims)
    assert (receipt.released, receipt.halted) == (0, None)
    assert delivery.apply() == {"skipped": 1}
    assert people.all("SELECT run_id FROM crm_attempts") == [{"run_id": RUN}]
    assert brevo_sandbox.requests() == []


def test_a_request_of_many_contacts_that_failed_is_no_row_of_failures(people: People, delivery: Delivery) -> None:
    class InOneRequest(Wrapped):
        most_per_request = 100

        def deliver(self, contacts: Sequence[Sendable], *, turn: DeliveryTurn, **how: Any) -> Sequence[Outcome | None]:
            failed = Outcome(result=Result.RETRY, kind="outage", requests=1, answered=True)
            return [failed, *[replace(failed, requests=0)] * (len(turn(contacts)) - 1)]

    people.add(100)
    receipt = delivery.courier(crm=InOneRequest(delivery.crm)).deliver(delivery.claim())
    assert (receipt.released, receipt.halted) == (0, None)
    assert not delivery.gate.read().paused
    assert people.all("SELECT sum(requests) AS n, bool_and(answered) AS answered FROM crm_attempts") == [
        {"n": 1, "answered": True}
    ]
