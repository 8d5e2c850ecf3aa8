"""A stop sticks: what a run left that was told to end is for the next tick, whatever the launcher writes down."""

import gc
import logging
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.execution.api import execute_run
from dagster._core.execution.retries import auto_reexecution_should_retry_run
from dagster._daemon.monitoring.run_monitoring import check_run_timeout
from dagster._utils.interrupts import capture_interrupts

from crm_pipelines.delivery.signals import deferred
from crm_pipelines.orchestration.sync.stops import STOPPED_TAG, note_stopped
from crm_pipelines.orchestration.sync.tags import LEFT_TAG, OUTCOME_TAG
from crm_pipelines.orchestration.watching.findings import run_finding
from crm_pipelines.orchestration.watching.health import health
from crm_pipelines.queue.claims import Queue
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline, Run, job_of
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox


def the_job() -> dg.JobDefinition:
    """As the processes of a run load it."""
    return job_of()


def created(instance: dg.DagsterInstance) -> dg.DagsterRun:
    return instance.create_run_for_job(the_job(), tags=the_job().tags)


def found(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run


def would_be_retried(instance: dg.DagsterInstance, run_id: str) -> bool:
    """By Dagster's own judgement, which it makes when the run has failed."""
    return bool(auto_reexecution_should_retry_run(instance, found(instance, run_id), None))


def interrupted_within(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, step: str) -> Run:
    """A run whose process gets a signal, though Dagster knows of nobody who asked for it: as Celery's launcher does it.

    Right after the op of that name, or within the delivery.
    """
    instance, handle, record = pipeline.instance, pipeline.instance.handle_new_event, Queue.record

    def handle_and_stop(event: dg.EventLogEntry, **more: Any) -> None:
        handle(event, **more)
        told = event.dagster_event
        if told is not None and told.is_step_success and told.step_key == step:
            signal.raise_signal(signal.SIGTERM)

    def record_and_stop(self: Queue, *given: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return record(self, *given)

    with monkeypatch.context() as patch, capture_interrupts():
        patch.setattr(instance, "handle_new_event", handle_and_stop)
        if step == "sync_batch":
            patch.setattr(Queue, "record", record_and_stop)
        return pipeline.run()


@pytest.mark.parametrize("step", ["fetch_queued_contacts", "sync_batch", "write_statuses[batch_1]"])
def test_a_run_that_was_told_to_end_is_not_retried_though_its_launcher_wrote_nothing_down(
    people: People, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    people.add(3)
    run = interrupted_within(pipeline, monkeypatch, step)
    failed = found(pipeline.instance, run.result.run_id)
    assert failed.status is dg.DagsterRunStatus.FAILURE
    assert failed.tags[STOPPED_TAG]
    assert failed.tags[OUTCOME_TAG].startswith("stopped")
    assert not would_be_retried(pipeline.instance, failed.run_id)
    assert "claimed" not in people.states()


def call_of_the_package(frame: FrameType, event: str) -> bool:
    return event == "call" and frame.f_globals.get("__name__", "").startswith("crm_pipelines.")


def ping_without_an_answer(frame: FrameType, event: str) -> bool:
    """A connection of the pool is tried out: the statement has just left."""
    if event != "return" or frame.f_code.co_name != "_execute_send":
        return False
    return any(caller.f_code.co_name == "do_ping" for caller, _ in traceback.walk_stack(frame))


@contextmanager
def told_to_end_at(
    number: int,
    counts: Callable[[FrameType, str], bool] = call_of_the_package,
    first: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """This process gets a signal at that event of those that count; `first` is done right before."""
    events = 0

    def count(frame: FrameType, event: str, _: Any) -> None:
        nonlocal events
        if counts(frame, event):
            events += 1
            if events == number:
                sys.setprofile(None)
                first()
                signal.raise_signal(signal.SIGTERM)

    with capture_interrupts():
        sys.setprofile(count)
        yield
        sys.setprofile(None)
        assert events == number, "no whole run has so many"
    gc.collect()  # what is left open is found within this test


# What a library is interrupted in opening stays open for as long as the process lives.
left_open = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")


@left_open
@pytest.mark.parametrize("call", range(160, 1200, 40))
def test_a_run_that_is_told_to_end_at_any_moment_sends_no_more_and_holds_nobody(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, call: int
) -> None:
    people.add(3)
    sent: list[int] = []
    with told_to_end_at(call, first=lambda: sent.append(len(brevo_sandbox.sent()))):
        run = found(pipeline.instance, pipeline.run().result.run_id)
    assert len(brevo_sandbox.sent()) == sent[0]
    assert people.states() == {"synced": 3} if sent[0] else {"queued": 3}
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert run.tags[STOPPED_TAG]
    assert not would_be_retried(pipeline.instance, run.run_id)


@left_open
def test_a_signal_that_a_library_stumbles_over_ends_the_run_as_any_other(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(3)
    with told_to_end_at(1, ping_without_an_answer):
        run = found(pipeline.instance, pipeline.run().result.run_id)
    assert brevo_sandbox.sent() == []
    assert people.states() == {"queued": 3}
    assert run.tags[STOPPED_TAG]


def test_a_second_signal_keeps_nobody_taken(
    people: People, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add(3)
    claim, release = Queue.claim, Queue.release

    def claim_and_stop(self: Queue, *given: Any, **named: Any) -> Any:
        claims = claim(self, *given, **named)
        signal.raise_signal(signal.SIGTERM)
        return claims

    def stop_and_release(self: Queue, *given: Any, **named: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return release(self, *given, **named)

    with monkeypatch.context() as patch, capture_interrupts():
        patch.setattr(Queue, "claim", claim_and_stop)
        patch.setattr(Queue, "release", stop_and_release)
        run = pipeline.run()
    assert people.states() == {"queued": 3}
    assert run.problem == "The run was stopped while it took contacts. Nothing was sent, and all are back in the queue."


def test_two_signals_at_once_stop_what_goes_on() -> None:
    halts: list[str] = []

    def second(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_return" and frame.f_code.co_name == "note" and called.__name__ == "append":
            sys.setprofile(None)
            signal.raise_signal(signal.SIGTERM)

    with capture_interrupts(), deferred(lambda: halts.append("halt")):
        sys.setprofile(second)
        signal.raise_signal(signal.SIGTERM)
        assert sys.getprofile() is None, "the second one came within the handler of the first"
        assert halts


def cancelled_and_killed(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterRun:
    """A run that somebody cancels within its delivery, and whose worker dies when it has written back what it did."""
    instance, handle, record = pipeline.instance, pipeline.instance.handle_new_event, Queue.record

    def record_and_cancel(self: Queue, run_id: str, *given: Any) -> Any:
        run = found(instance, run_id)
        if run.status is not dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceling(run)
            signal.raise_signal(signal.SIGTERM)
        return record(self, run_id, *given)

    def handle_and_die(event: dg.EventLogEntry, **more: Any) -> None:
        handle(event, **more)
        told = event.dagster_event
        if told is not None and told.is_step_success and told.step_key == "write_statuses[batch_1]":
            instance.report_run_failed(found(instance, event.run_id))
            raise SystemExit

    with monkeypatch.context() as patch, capture_interrupts():
        patch.setattr(Queue, "record", record_and_cancel)
        patch.setattr(instance, "handle_new_event", handle_and_die)
        return found(instance, pipeline.run().result.run_id)


def test_a_run_that_is_cancelled_within_its_delivery_is_not_retried_though_its_worker_dies_before_the_end(
    people: People, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add(3)
    run = cancelled_and_killed(pipeline, monkeypatch)
    assert run.status is dg.DagsterRunStatus.FAILURE, "by the launcher, which takes it for crashed"
    assert run.tags[STOPPED_TAG]
    assert not would_be_retried(pipeline.instance, run.run_id)


def test_of_a_run_that_was_told_to_end_nobody_is_alarmed(
    people: People, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add(3)
    interrupted_within(pipeline, monkeypatch, "sync_batch")
    assert run_finding(pipeline.instance, "brevo_sync") is None


def test_a_run_whose_worker_died_is_retried_as_ever(people: People, pipeline: Pipeline) -> None:
    run = created(pipeline.instance)
    pipeline.instance.report_run_failed(run)
    assert would_be_retried(pipeline.instance, run.run_id)


def stopped_and_killed(instance: dg.DagsterInstance) -> dg.DagsterRun:
    """A run that somebody has stopped, and whose worker was killed before it could end: a crash, for Dagster."""
    run = created(instance)
    instance.report_run_canceling(run)
    instance.report_run_failed(run)
    assert would_be_retried(instance, run.run_id), "that is the trouble"
    return found(instance, run.run_id)


def time_is_up(instance: dg.DagsterInstance) -> dg.DagsterRun:
    """A run that Dagster ended after dagster/max_runtime, by Dagster's own code."""
    run = created(instance)
    instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name), run.run_id)
    [record] = instance.get_run_records(dg.RunsFilter(run_ids=[run.run_id]))
    check_run_timeout(instance, record._replace(start_time=time.time() - 86_400), logging.getLogger(), 0)
    return found(instance, run.run_id)


def repeated(instance: dg.DagsterInstance, former: dg.DagsterRun, *, by_dagster: bool = True) -> dg.DagsterRun:
    """The run executed again, by Dagster's daemon or by hand; either way it has the tags of the one before."""
    lineage = {
        "dagster/parent_run_id": former.run_id,
        "dagster/root_run_id": former.run_id,
        "dagster/retry_number": "1",
    }
    run = instance.create_run_for_job(
        the_job(), parent_run_id=former.run_id, root_run_id=former.run_id, tags={**former.tags, **lineage}
    )
    if by_dagster:
        instance.add_run_tags(former.run_id, {"dagster/auto_retry_run_id": run.run_id})
    execute_run(dg.reconstructable(the_job), run, instance)
    return found(instance, run.run_id)


def test_a_retry_of_a_run_that_somebody_stopped_sends_nothing_and_says_why(
    people: People, brevo_environment: BrevoSandbox, instance: dg.DagsterInstance
) -> None:
    people.add(3)
    instance.report_run_failed(created(instance))
    instance.add_run_tags(instance.get_runs()[0].run_id, {"dagster/will_retry": "false"})
    former = stopped_and_killed(instance)
    instance.add_run_tags(former.run_id, {"dagster/will_retry": "true"})
    alarm = run_finding(instance, "brevo_sync")
    assert alarm is not None
    retry = repeated(instance, former)
    assert retry.status is dg.DagsterRunStatus.SUCCESS, "nobody is alarmed"
    assert retry.tags[OUTCOME_TAG] == "nothing was sent: the run that it repeats was stopped"
    assert not retry.tags.get(LEFT_TAG), "nor is it followed"
    still = run_finding(instance, "brevo_sync")
    assert still is not None
    assert still.page == alarm.page, "nor is a failure of before over"
    assert instance.get_latest_materialization_event(dg.AssetKey(["brevo", "contacts"])) is None, "nor as a report"
    assert people.states() == {"queued": 3}
    assert brevo_environment.sent() == []
    said = [record.user_message for record in instance.all_logs(retry.run_id)]
    assert any(one.startswith(f"Run {former.run_id}, which this one repeats by itself, was told") for one in said)


def test_a_retry_that_sends_nothing_is_no_success_for_health(
    people: People, brevo_environment: BrevoSandbox, instance: dg.DagsterInstance, engine: sa.Engine
) -> None:
    former = stopped_and_killed(instance)
    instance.add_run_tags(former.run_id, {"dagster/will_retry": "true"})
    repeated(instance, former)
    said = {one.subject: one.detail for one in health(instance, engine, load_settings(), "brevo")}
    assert said["runs of brevo_sync"] == "No run has succeeded yet."


def test_a_retry_that_was_launched_before_the_process_could_say_that_it_was_told_to_end_sends_nothing(
    people: People, brevo_environment: BrevoSandbox, instance: dg.DagsterInstance
) -> None:
    people.add(3)
    former = created(instance)
    instance.report_run_failed(former)
    note_stopped(former.run_id, instance)
    repeated(instance, found(instance, former.run_id))
    assert people.states() == {"queued": 3}


def test_who_executes_a_stopped_run_again_by_hand_wants_it_to_send(
    people: People, brevo_environment: BrevoSandbox, instance: dg.DagsterInstance
) -> None:
    people.add(3)
    former = stopped_and_killed(instance)
    note_stopped(former.run_id, instance)
    again = repeated(instance, found(instance, former.run_id), by_dagster=False)
    assert again.tags[OUTCOME_TAG] == "3 delivered"
    assert not again.tags[STOPPED_TAG]
    assert people.states() == {"synced": 3}


def test_a_run_whose_time_was_up_is_retried_as_dagster_sees_fit(
    people: People, brevo_environment: BrevoSandbox, instance: dg.DagsterInstance
) -> None:
    people.add(3)
    former = time_is_up(instance)
    note_stopped(former.run_id, instance)
    assert STOPPED_TAG not in found(instance, former.run_id).tags
    assert repeated(instance, former).tags[OUTCOME_TAG] == "3 delivered"
