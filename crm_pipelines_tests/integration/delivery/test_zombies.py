"""A worker that was stopped for longer than its lease, and woke up again."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from crm_pipelines.delivery import fence
from crm_pipelines.delivery.pace.pacing import Pacer
from crm_pipelines.delivery.planning import DELIVERY_LEASE
from crm_pipelines.delivery.single.courier import Receipt
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.delivery.conftest import Delivery
from crm_pipelines_tests.patience import PATIENCE


class Sleeper:
    """A run that has begun its delivery, and falls asleep at the moment at which its first request is due."""

    RUN = "sleeper"

    def __init__(self, delivery: Delivery, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
        self._asleep, self._awake = threading.Event(), threading.Event()
        self._slept = 0.0
        wait = Pacer.wait

        def wait_and_sleep(pacer: Pacer) -> None:
            wait(pacer)
            if threading.current_thread().name.startswith("send") and not self._asleep.is_set():
                self._asleep.set()
                assert self._awake.wait(PATIENCE)

        courier = delivery.courier(run_id=self.RUN)
        # What keeps the leases of a worker that lives stands still as well.
        monkeypatch.setattr(fence.Fence, "keep", lambda _fence: None)
        monkeypatch.setattr(Pacer, "wait", wait_and_sleep)
        monkeypatch.setattr(fence, "time", SimpleNamespace(clock_gettime=lambda _: time.monotonic() + self._slept))
        self._delivering: Future[Receipt] = pool.submit(courier.deliver, delivery.claim(1, self.RUN))
        assert self._asleep.wait(PATIENCE)

    def wake(self) -> Receipt:
        """How its delivery ended."""
        self._slept += DELIVERY_LEASE.total_seconds()
        self._awake.set()
        return self._delivering.result(PATIENCE)


NOTHING = Receipt(released=0, halted=None)


def test_a_woken_worker_sends_nothing_of_a_contact_that_was_delivered_elsewhere(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    [contact_id] = people.add(name="Old")
    with ThreadPoolExecutor(1) as pool:
        sleeper = Sleeper(delivery, pool, monkeypatch)
        people.expire_leases()
        assert delivery.queue.rescue().charged == 1
        people.run("UPDATE crm_contacts SET name = 'New' WHERE id = :id", id=contact_id)
        [claim] = delivery.queue.claim_suspects("run-1", limit=1, lease=DELIVERY_LEASE)
        delivery.courier().deliver_one_at_a_time([claim])
        assert delivery.apply() == {"synced": 1}
        assert sleeper.wake() == NOTHING
    assert delivery.apply(Sleeper.RUN) == {}
    assert len(brevo_sandbox.requests()) == 1
    assert [contact["attributes"]["FIRSTNAME"] for contact in brevo_sandbox.contacts()] == ["New"]
    assert people.sync(contact_id)["state"] == "synced"


def test_a_woken_worker_sends_nothing_of_a_contact_that_is_being_delivered_elsewhere(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    [contact_id] = people.add()
    with ThreadPoolExecutor(1) as pool:
        sleeper = Sleeper(delivery, pool, monkeypatch)
        people.expire_leases()
        delivery.queue.rescue()
        delivery.queue.claim_suspects("run-1", limit=1, lease=DELIVERY_LEASE)
        assert sleeper.wake() == NOTHING
    assert delivery.apply(Sleeper.RUN) == {}
    assert brevo_sandbox.requests() == []
    row = people.sync(contact_id)
    assert (row["state"], row["claimed_by"]) == ("claimed", "run-1")


def test_a_woken_worker_whose_contact_nobody_took_renews_and_delivers_it(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add()
    with ThreadPoolExecutor(1) as pool:
        sleeper = Sleeper(delivery, pool, monkeypatch)
        people.expire_leases()
        assert sleeper.wake() == NOTHING
    assert delivery.apply(Sleeper.RUN) == {"synced": 1}
    assert len(brevo_sandbox.requests()) == 1
