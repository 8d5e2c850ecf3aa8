"""A worker that was stopped for longer than its lease, and woke up again."""

import json
import os
import signal
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

from crm_pipelines.delivery.planning import DELIVERY_LEASE
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.delivery.conftest import Delivery, wait_until


class Worker:
    """A process that delivers; see worker.py."""

    def __init__(
        self, database_url: str, sandbox: BrevoSandbox, run_id: str, *, count: int, rate: float, stops: bool = False
    ) -> None:
        command = [
            sys.executable,
            "-m",
            "crm_pipelines_tests.integration.delivery.worker",
            run_id,
            str(count),
            str(rate),
        ]
        self._process = subprocess.Popen(
            [*command, *(["stop-before-sending"] if stops else [])],
            env={**os.environ, "CRM_DATABASE_URL": database_url, "BREVO_API_BASE_URL": sandbox.url},
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def wait_until_stopped(self) -> None:
        _, status = os.waitpid(self._process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), "it ended instead"

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def told(self) -> dict[str, Any]:
        """What it says at its end."""
        output, _ = self._process.communicate(timeout=90)
        assert self._process.returncode == 0
        told: dict[str, Any] = json.loads(output)
        return told


def wait_for_the_lease_to_end(people: People) -> None:
    over = "SELECT 1 AS over FROM crm_syncs WHERE lease_until < now()"
    wait_until(lambda: people.all(over), "the lease ran out")


def first_names(sandbox: BrevoSandbox) -> list[str]:
    return [contact["attributes"]["FIRSTNAME"] for contact in sandbox.contacts()]


def test_a_woken_worker_sends_nothing_of_a_contact_that_was_delivered_elsewhere(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, database_url: str
) -> None:
    [contact_id] = people.add(name="Old")
    with Worker(database_url, brevo_sandbox, "sleeper", count=1, rate=500, stops=True) as sleeper:
        sleeper.wait_until_stopped()
        wait_for_the_lease_to_end(people)
        assert delivery.queue.rescue().charged == 1
        people.run("UPDATE crm_contacts SET name = 'New' WHERE id = :id", id=contact_id)
        [claim] = delivery.queue.claim_suspects("run-1", limit=1, lease=DELIVERY_LEASE)
        delivery.courier().deliver_one_at_a_time([claim])
        assert delivery.apply() == {"synced": 1}
        sleeper.go_on()
        assert sleeper.told() == {"states": {}, "released": 0, "halted": None}
    assert len(brevo_sandbox.requests()) == 1
    assert first_names(brevo_sandbox) == ["New"]
    assert people.sync(contact_id)["state"] == "synced"


def test_a_woken_worker_sends_nothing_of_a_contact_that_is_being_delivered_elsewhere(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, database_url: str
) -> None:
    [contact_id] = people.add()
    with Worker(database_url, brevo_sandbox, "sleeper", count=1, rate=500, stops=True) as sleeper:
        sleeper.wait_until_stopped()
        wait_for_the_lease_to_end(people)
        delivery.queue.rescue()
        delivery.queue.claim_suspects("run-1", limit=1, lease=DELIVERY_LEASE)
        sleeper.go_on()
        assert sleeper.told()["states"] == {}
    assert brevo_sandbox.requests() == []
    row = people.sync(contact_id)
    assert (row["state"], row["claimed_by"]) == ("claimed", "run-1")


def test_a_woken_worker_whose_contact_nobody_took_renews_and_delivers_it(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, database_url: str
) -> None:
    people.add()
    with Worker(database_url, brevo_sandbox, "sleeper", count=1, rate=500, stops=True) as sleeper:
        sleeper.wait_until_stopped()
        wait_for_the_lease_to_end(people)
        sleeper.go_on()
        assert sleeper.told() == {"states": {"synced": 1}, "released": 0, "halted": None}
    assert len(brevo_sandbox.requests()) == 1
