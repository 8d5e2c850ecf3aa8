"""How a run may end between two ops, and how it is executed again from there."""

import os
import pickle
import shutil
import signal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._utils.interrupts import capture_interrupts

from crm_pipelines import faults
from crm_pipelines.delivery import planning
from crm_pipelines.orchestration.sync import ops
from crm_pipelines.orchestration.sync.tags import FOLLOWS_TAG, GATE_TAG, LEFT_TAG, OUTCOME_TAG, begin_anew
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Claim
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline, Run, job_of
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox


def cancel(instance: dg.DagsterInstance, run_id: str) -> None:
    """What the button Terminate comes to: the run is said to be cancelled, and its worker gets a signal."""
    run = instance.get_run_by_id(run_id)
    assert run is not None
    instance.report_run_canceling(run)
    signal.raise_signal(signal.SIGTERM)  # comes at once, and to this thread


def status_of(instance: dg.DagsterInstance, run: Run) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.result.run_id)
    assert found is not None
    return found.status


def test_a_run_cancelled_between_two_ops_gives_its_claims_back(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add(5)
    instance = pipeline.instance
    handle = instance.handle_new_event

    def handle_and_cancel(event: dg.EventLogEntry, **more: Any) -> None:
        handle(event, **more)
        told = event.dagster_event
        if told is not None and told.is_step_success and told.step_key == "fetch_queued_contacts":
            assert people.states() == {"claimed": 5}
            cancel(instance, event.run_id)

    monkeypatch.setattr(instance, "handle_new_event", handle_and_cancel)
    with capture_interrupts():
        run = pipeline.run()
    assert status_of(instance, run) is dg.DagsterRunStatus.CANCELED
    assert people.states() == {"queued": 5}
    assert people.all("SELECT sum(attempts + crashes) AS n FROM crm_syncs") == [{"n": 0}]
    assert brevo_sandbox.sent() == []


def test_a_run_cancelled_while_it_claims_does_not_begin_anew(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add(5)
    claim = Queue.claim

    def claim_and_cancel(self: Queue, run_id: str, **given: Any) -> list[Claim]:
        claims = claim(self, run_id, **given)
        cancel(pipeline.instance, run_id)
        return claims

    monkeypatch.setattr(Queue, "claim", claim_and_cancel)
    with capture_interrupts():
        run = pipeline.run()
    assert run.problem == "The run was stopped while it took contacts. Nothing was sent, and all are back in the queue."
    assert status_of(pipeline.instance, run) is dg.DagsterRunStatus.CANCELED
    assert people.states() == {"queued": 5}
    assert brevo_sandbox.sent() == []


def tags_of(instance: dg.DagsterInstance, run_id: str) -> dict[str, str]:
    found = instance.get_run_by_id(run_id)
    assert found is not None
    return dict(found.tags)


def test_a_run_stopped_in_mid_send_says_in_one_sentence_and_in_its_tag_what_became_of_its_contacts(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add(3)
    people.run("UPDATE crm_syncs SET crashes = 1")  # they come in a batch of their own
    people.add(5)
    instance, record = pipeline.instance, Queue.record
    stopped: list[str] = []

    def record_and_stop(self: Queue, run_id: str, *given: Any) -> Any:
        if not stopped:
            stopped.append(run_id)
            cancel(instance, run_id)
        return record(self, run_id, *given)

    monkeypatch.setattr(Queue, "record", record_and_stop)
    with capture_interrupts():
        run = pipeline.run()
    assert status_of(instance, run) is dg.DagsterRunStatus.CANCELED
    assert people.states() == {"synced": 5, "queued": 3}
    assert people.all("SELECT sum(attempts) AS tries, max(crashes) AS crashes FROM crm_syncs") == [
        {"tries": 0, "crashes": 1}
    ]
    assert len(brevo_sandbox.sent()) == 5
    assert run.problem == "The run was stopped: 5 delivered, 3 given back. What was given back waits in the queue."
    failed = [event for event in run.result.all_events if event.is_step_failure]
    assert [event.step_key for event in failed] == ["report_run"], "and nothing else went wrong"
    assert tags_of(instance, run.result.run_id)[OUTCOME_TAG] == "stopped: 5 delivered, 3 given back"
    assert run.counts == {"claimed": 8, "synced": 5, "released": 3}


def test_a_run_that_is_interrupted_though_nobody_stopped_it_is_dagsters_to_judge(
    people: People, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add(3)
    people.run("UPDATE crm_syncs SET crashes = 1")
    people.add(5)
    record = Queue.record

    def record_and_interrupt(self: Queue, *given: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return record(self, *given)

    monkeypatch.setattr(Queue, "record", record_and_interrupt)
    with capture_interrupts():
        run = pipeline.run()
    assert status_of(pipeline.instance, run) is dg.DagsterRunStatus.FAILURE
    failed = [event.step_key for event in run.result.all_events if event.is_step_failure]
    assert failed == ["sync_batch[batch_1]"]
    assert people.states() == {"synced": 5, "queued": 3}


def test_the_list_of_runs_tells_what_each_did(people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox) -> None:
    def outcome(**config: Any) -> str:
        return tags_of(pipeline.instance, pipeline.run(**config).result.run_id)[OUTCOME_TAG]

    people.add(2)
    people.add(email=None)
    assert outcome(dry_run=True) == "dry run: 2 new, 1 never sent"
    assert outcome() == "2 delivered, 1 never sent"
    assert outcome() == "nothing was due"
    assert outcome(dry_run=True) == "dry run: nothing is due"
    people.add(2)
    brevo_sandbox.configure(refusal="ip")
    assert outcome() in {"2 given back", "nothing was sent"}, "also of a run that failed"


def test_a_run_that_is_executed_again_begins_without_what_the_former_one_came_to(
    instance: dg.DagsterInstance, brevo_environment: BrevoSandbox
) -> None:
    job = the_job()
    told = {OUTCOME_TAG: "3 delivered", GATE_TAG: "outage", LEFT_TAG: "7", FOLLOWS_TAG: "x"}
    former = instance.create_run_for_job(job, tags=told)
    again = instance.create_run_for_job(
        job, tags=told, parent_run_id=former.run_id, root_run_id=former.run_id, status=dg.DagsterRunStatus.STARTED
    )
    begin_anew(former, instance)
    assert told.items() <= tags_of(instance, former.run_id).items()
    begin_anew(again, instance)
    assert tags_of(instance, again.run_id)[OUTCOME_TAG] == "not known yet"
    assert not tags_of(instance, again.run_id)[GATE_TAG], "people are told of its failure"
    assert not tags_of(instance, again.run_id)[LEFT_TAG], "it is not followed for what another one left"
    assert tags_of(instance, again.run_id)[FOLLOWS_TAG] == "x"


def the_job() -> dg.JobDefinition:
    """As the processes of a run load it."""
    return job_of()


def _again_from_failure(instance: dg.DagsterInstance, run_id: str) -> dg.JobExecutionResult:
    return dg.execute_job(
        dg.reconstructable(the_job),
        instance,
        reexecution_options=dg.ReexecutionOptions.from_failure(run_id, instance),
    )


def _failing(times: int, method: Any) -> Any:
    """The method, which fails so often before it works."""
    left = [times]

    def fail_first(*given: Any, **named: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise RuntimeError
        return method(*given, **named)

    return fail_first


@pytest.mark.parametrize(("failures", "comes_to"), [(2, {"synced": 5}), (3, {"queued": 5})])
def test_contacts_are_taken_at_the_third_try_at_the_latest(
    people: People,
    pipeline: Pipeline,
    brevo_sandbox: BrevoSandbox,
    monkeypatch: pytest.MonkeyPatch,
    failures: int,
    comes_to: dict[str, int],
) -> None:
    people.add(5)
    monkeypatch.setattr(ops, "_SECONDS_BETWEEN_TRIES", 0)
    monkeypatch.setattr(Queue, "claim", _failing(failures, Queue.claim))
    run = pipeline.run()
    assert people.states() == comes_to
    assert run.success is ("synced" in comes_to)
    said = tags_of(pipeline.instance, run.result.run_id)[OUTCOME_TAG]
    assert said == ("5 delivered" if run.success else "failed: nothing was sent")


def test_a_run_executed_again_from_its_failed_delivery_sends_nothing_on_claims_of_the_dead_run(
    people: People, instance: dg.DagsterInstance, brevo_environment: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add(5)
    with monkeypatch.context() as broken:
        broken.setattr(Queue, "load", _failing(1, Queue.load))
        broken.setattr(Queue, "release", lambda *_, **__: 0)  # as after a kill: nobody gives the claims back
        with dg.execute_job(dg.reconstructable(the_job), instance) as result:
            assert not result.success
    assert people.states() == {"claimed": 5}
    with _again_from_failure(instance, result.run_id) as again:
        assert again.success
        counts = again.output_for_node("report_run")
    assert (counts["claimed"], counts["superseded"]) == (5, 5)
    assert brevo_environment.sent() == []
    assert people.all("SELECT DISTINCT claimed_by FROM crm_syncs") == [{"claimed_by": result.run_id}]


@pytest.mark.parametrize("version", ["this", "the one before"])
def test_a_run_executed_again_from_its_failed_write_back_writes_back_what_the_first_one_sent(
    people: People,
    instance: dg.DagsterInstance,
    brevo_environment: BrevoSandbox,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
) -> None:
    people.add(5)
    with monkeypatch.context() as broken:
        broken.setattr(Queue, "apply", _failing(2, Queue.apply))
        with dg.execute_job(dg.reconstructable(the_job), instance) as result:
            assert not result.success
    if version == "the one before":  # which did not know of two processes
        [kept] = (Path(instance.storage_directory()) / result.run_id).glob("sync_batch*/result")
        sent = pickle.loads(kept.read_bytes())
        del sent.__dict__["elsewhere"]
        kept.write_bytes(pickle.dumps(sent))
    assert people.states() == {"claimed": 5}
    with _again_from_failure(instance, result.run_id) as again:
        assert again.success
        assert again.output_for_node("report_run")["synced"] == 5
        assert tags_of(instance, again.run_id)[OUTCOME_TAG] == "5 delivered"
    assert people.states() == {"synced": 5}
    assert len(brevo_environment.sent()) == 5


def test_a_run_executed_again_from_its_failure_where_its_outputs_are_gone_sends_nothing_and_loses_nobody(
    people: People, instance: dg.DagsterInstance, brevo_environment: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add(5)
    with monkeypatch.context() as broken:
        broken.setattr(Queue, "apply", _failing(2, Queue.apply))
        with dg.execute_job(dg.reconstructable(the_job), instance) as result:
            assert not result.success
    shutil.rmtree(Path(instance.storage_directory()) / result.run_id)  # as with the pod of a run
    with _again_from_failure(instance, result.run_id) as again:
        assert not again.success
    assert len(brevo_environment.sent()) == 5
    with dg.execute_job(dg.reconstructable(the_job), instance) as result:
        assert result.success
    assert people.states() == {"synced": 5}
    assert len(brevo_environment.sent()) == 5, "the ledger has what the first one sent"


def _die_in_a_run_at(fault: str, instance: dg.DagsterInstance) -> str:
    """A run whose worker is killed there, and of which Dagster then says so; returns its id."""
    worker = os.fork()
    if not worker:
        try:
            os.environ[faults.VARIABLE] = fault
            faults.arm()
            dg.execute_job(dg.reconstructable(the_job), instance)
        finally:
            os._exit(0)
    assert os.waitpid(worker, 0)[1] == signal.SIGKILL
    [run] = instance.get_runs()
    instance.report_run_failed(run)
    return str(run.run_id)


@pytest.mark.parametrize("fault", ["after_send:kill", "after_send:kill:6", "before_apply:kill:2"])
def test_a_killed_run_of_several_batches_executed_again_from_its_failure_ends_well_and_sends_nothing(
    people: People,
    instance: dg.DagsterInstance,
    brevo_environment: BrevoSandbox,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    monkeypatch.setattr(planning, "_BATCH_SECONDS", 0)
    monkeypatch.setenv("BREVO_SYNC_SCHEDULER_BATCH_SIZE", "5")
    people.add(15)
    run_id = _die_in_a_run_at(fault, instance)
    sent = len(brevo_environment.sent())
    with _again_from_failure(instance, run_id) as again:
        assert again.success
    assert len(brevo_environment.sent()) == sent, "its contacts return to the queue by themselves"
    people.expire_leases()
    with dg.execute_job(dg.reconstructable(the_job), instance) as result:
        assert result.success
    assert people.states() == {"synced": 15}
