"""A run with bulk imports is asked to stop: nothing is sent again, and nothing of it goes on."""

import signal
import threading
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from dagster._utils.interrupts import capture_interrupts

from crm_pipelines.crms.brevo.bulk import BrevoImports
from crm_pipelines.delivery import planning
from crm_pipelines.delivery.bulk import sending
from crm_pipelines.delivery.pace.session import CrmSession
from crm_pipelines.queue.bulk_imports import BulkImports
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline, Run
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.orchestration.test_bulk import add, poll_again, wait_until_ended

_MANY = 5


@pytest.fixture(autouse=True)
def _small_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREVO_BULK_THRESHOLD", "20")
    monkeypatch.setattr(planning, "IMPORT_PATIENCE", planning.IMPORT_PATIENCE * 0)


def stop() -> None:
    """As Dagster stops a run; to a main thread it comes at once."""
    signal.raise_signal(signal.SIGTERM)


def run_that_is_stopped(pipeline: Pipeline) -> Run:
    with capture_interrupts():
        run = pipeline.run()
    assert not run.success
    return run


def test_a_stop_between_an_imports_request_and_its_record_repeats_nothing(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(people, 30)
    accepted = BulkImports.accepted

    def stop_first(self: BulkImports, import_id: UUID, process_id: str) -> None:
        stop()
        accepted(self, import_id, process_id)

    with monkeypatch.context() as stopping:
        stopping.setattr(BulkImports, "accepted", stop_first)
        run_that_is_stopped(pipeline)
    wait_until_ended(brevo_sandbox)
    poll_again(people)
    assert pipeline.run().success
    assert people.states() == {"synced": 30}
    assert len(brevo_sandbox.requests(method="POST", path="/contacts/import")) == 1


def test_a_stop_before_an_imports_request_gives_its_contacts_back_uncharged(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(people, 30)
    begin_submitting = BulkImports.begin_submitting

    def stop_first(self: BulkImports, import_id: UUID, **more: Any) -> set[str]:
        stop()
        stopped.wait()
        return begin_submitting(self, import_id, **more)

    stopped = stops_are_heard_of(monkeypatch)
    with monkeypatch.context() as stopping:
        stopping.setattr(BulkImports, "begin_submitting", stop_first)
        run_that_is_stopped(pipeline)
    assert brevo_sandbox.requests(method="POST", path="/contacts/import") == []
    assert people.states() == {"queued": 30}
    assert people.all("SELECT sum(attempts + crashes) AS n, bool_and(bulk_ok) AS bulk FROM crm_syncs") == [
        {"n": 0, "bulk": True}
    ]


def stops_are_heard_of(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once a session was told to stop."""
    heard = threading.Event()
    halt = CrmSession.halt

    def tell(self: CrmSession, reason: str) -> None:
        halt(self, reason)
        heard.set()

    monkeypatch.setattr(CrmSession, "halt", tell)
    return heard


def test_a_second_stop_leaves_no_thread_going_that_reads_back_ahead(
    people: People, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    class Over(threading.Event):
        """The second stop comes in the moment in which the thread is to be told to end."""

        second_came = False

        def set(self) -> None:
            self.second_came = True
            stop()
            super().set()

        def is_set(self) -> bool:
            nonlocal looks
            looks += self.second_came
            return super().is_set() or looks > _MANY  # else the thread would go on for ever

        def wait(self, timeout: float | None = None) -> bool:
            return super().wait(0.001)

    submit = BrevoImports.submit

    def submit_and_stop(self: BrevoImports, *given: Any, **named: Any) -> Any:
        answer = submit(self, *given, **named)
        stop()
        return answer

    add(people, 30)
    monkeypatch.setattr(BrevoImports, "submit", submit_and_stop)
    monkeypatch.setattr(sending, "threading", SimpleNamespace(Event=Over))
    run_that_is_stopped(pipeline)
    assert looks <= _MANY, "the thread was never told"
