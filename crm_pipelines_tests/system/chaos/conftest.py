"""Workers to be killed, against this test's database and sandbox."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crm_pipelines.crms.brevo.mapping import load_mapping
from crm_pipelines_tests.ends.brevo import account_attributes
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import DELIVERIES, BrevoSandbox
from crm_pipelines_tests.patience import wait_until
from crm_pipelines_tests.worker import Worker

StartWorker = Callable[..., Worker]

_PASSED_ON = (
    "CRM_DATABASE_URL",
    "BREVO_API_KEY",
    "BREVO_API_BASE_URL",
    "BREVO_RATE_LIMIT_PER_SECOND",
    "BREVO_SYNC_SCHEDULER_BATCH_SIZE",
)


class Deliveries(BrevoSandbox):
    """The same sandbox. Unless told otherwise, faults meet deliveries only, and the log tells of nothing else."""

    def fault(self, action: str, **rule: Any) -> None:
        super().fault(action, **{"path": DELIVERIES, **rule})

    def requests(self, *, path: str | None = DELIVERIES, **asked: Any) -> list[dict[str, Any]]:
        return super().requests(path=path, **asked)

    def wait_for_requests(self, n: int, *, path: str | None = DELIVERIES, **asked: Any) -> list[dict[str, Any]]:
        return super().wait_for_requests(n, path=path, **asked)


@pytest.fixture
def account(brevo_environment: BrevoSandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[BrevoSandbox]:
    """A sandbox whose account keeps everything that is sent; one batch, since each costs time."""
    monkeypatch.setenv("BREVO_SYNC_SCHEDULER_BATCH_SIZE", "100")
    brevo_environment.configure(attributes=account_attributes(load_mapping(None)))
    sandbox = Deliveries(brevo_environment.root)
    yield sandbox
    sandbox.close()


@pytest.fixture
def start_worker(account: BrevoSandbox, tmp_path: Path) -> Iterator[StartWorker]:
    """Start a worker with this test's environment; all are ended with the test."""
    workers: list[Worker] = []

    def start(environment: dict[str, str] | None = None, **more: Any) -> Worker:
        own = {name: os.environ[name] for name in _PASSED_ON}
        workers.append(Worker({**own, **(environment or {})}, tmp_path, **more))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


def until_quiet(people: People, pipeline: Pipeline, sandbox: BrevoSandbox) -> None:
    """Run the job as often as it takes; instead of waiting for leases and back-offs, they are ended."""
    for _ in range(12):
        wait_until(lambda: not unfinished(sandbox), "the CRM is through with all requests")
        people.expire_leases()
        people.make_due()
        people.run("UPDATE crm_gates SET paused_until = NULL, pause_kind = NULL WHERE paused_until < 'infinity'")
        if not people.states().keys() & {"queued", "claimed"}:
            return
        pipeline.run()


def unfinished(sandbox: BrevoSandbox) -> list[Any]:
    return [entry for entry in sandbox.requests() if entry["finished"] is None]


@pytest.fixture
def crew(people: People, engine: sa.Engine) -> list[Any]:
    """Twelve contacts with everything that is mapped, queued; two batches."""
    return [
        contact_id
        for number in range(12)
        for contact_id in people.add(
            email=f"crew{number}@example.com",
            name=f"Crew Member{number}",
            phone_number=f"+1202555{number:04}",
            email_type="work",
            has_gmail=bool(number % 2),
            source_url=f"https://example.com/{number}",
        )
    ]
