"""When a tick starts a run, and what it says when it does not."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.execution.plan.objects import StepFailureData
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test
from dagster_shared.error import SerializableErrorInfo

from crm_pipelines.delivery.planning import CLAIM_LEASE, DELIVERY_LEASE
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.orchestration.resources import Destination
from crm_pipelines.orchestration.sync import ended_runs as ended_runs_module
from crm_pipelines.orchestration.sync.ended_runs import ended_runs
from crm_pipelines.orchestration.sync.schedules import cron_of, sync_schedule
from crm_pipelines.orchestration.sync.tags import SYNC_SLOT_TAG
from crm_pipelines.queue.claims import Queue
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import API_KEY, Pipeline, schedule_context
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.patience import LONGEST_TEST

Status = dg.DagsterRunStatus
Tick = Callable[[], dg.RunRequest | dg.SkipReason]


@pytest.fixture
def tick(instance: dg.DagsterInstance, brevo_environment: BrevoSandbox) -> Tick:
    """Evaluates the schedule as it is for the environment of this test."""

    def evaluate() -> dg.RunRequest | dg.SkipReason:
        schedule = sync_schedule(load_settings().destination("brevo"))
        answer = schedule(schedule_context(instance))
        assert isinstance(answer, dg.RunRequest | dg.SkipReason)
        return answer

    return evaluate


@pytest.fixture
def gate(engine: sa.Engine) -> GateKeeper:
    return GateKeeper(engine, "brevo")


def reason(answer: dg.RunRequest | dg.SkipReason) -> str:
    assert isinstance(answer, dg.SkipReason), "a run was requested"
    return answer.skip_message or ""


def slot(answer: dg.RunRequest | dg.SkipReason) -> str | None:
    assert isinstance(answer, dg.RunRequest), answer
    return answer.tags.get(SYNC_SLOT_TAG)


ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("crm_pipelines"), "__repository__"), "brevo_sync"
)


def a_run(
    instance: dg.DagsterInstance, status: Status, slot_value: str = "brevo-1", *, chosen: dict[str, Any] | None = None
) -> str:
    run: dg.DagsterRun = create_run_for_test(
        instance,
        run_config={"ops": {"fetch_queued_contacts": {"config": chosen}}} if chosen else None,
        job_name="brevo_sync",
        status=status,
        tags={SYNC_SLOT_TAG: slot_value},
        remote_job_origin=ORIGIN,  # which Dagster wants of queued runs
    )
    return run.run_id


def a_started_run(instance: dg.DagsterInstance) -> str:
    run_id = a_run(instance, Status.STARTING)
    instance.report_dagster_event(
        dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_START.value, job_name="brevo_sync"), run_id=run_id
    )
    return run_id


def test_without_a_key_a_tick_skips_and_needs_no_database(tick: Tick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BREVO_API_KEY")
    monkeypatch.setenv("CRM_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    assert reason(tick()) == "BREVO_API_KEY is not set: nothing is sent."


def test_with_nothing_due_a_tick_skips(tick: Tick, people: People) -> None:
    people.add(select=False)
    people.add()
    people.run("UPDATE crm_syncs SET run_at = now() + interval '5 min'")
    assert reason(tick()) == "Nothing is due."


def test_with_contacts_due_a_tick_starts_a_run_in_the_first_place(tick: Tick, people: People) -> None:
    people.add()
    assert slot(tick()) == "brevo-1"


def test_contacts_that_were_refused_under_another_mapping_are_work(tick: Tick, people: People) -> None:
    people.add()
    failed = "UPDATE crm_syncs SET state = 'failed', last_error_kind = 'rejected', mapping_version = :version"
    with Destination("brevo").open() as account:
        people.run(failed, version=account.crm.mapping_version)
    assert reason(tick()) == "Nothing is due."
    people.run(failed, version="an older one")
    assert slot(tick()) == "brevo-1"


def test_an_edit_that_ends_after_its_contact_was_delivered_is_work(
    tick: Tick, people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    [contact_id] = people.add(name="Before", select=False)
    with people.engine.connect() as editing:
        editing.execute(sa.text("UPDATE crm_contacts SET name = 'After' WHERE id = :id"), {"id": contact_id})
        people.run("SELECT crm_select('brevo', ARRAY[CAST(:id AS uuid)])", id=contact_id)
        assert pipeline.run().counts == {"claimed": 1, "synced": 1}
        editing.commit()
    assert slot(tick()) == "brevo-1"
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert brevo_sandbox.contacts()[0]["attributes"]["FIRSTNAME"] == "After"
    assert reason(tick()) == "Nothing is due."


def test_a_tick_names_the_pause_and_its_end(tick: Tick, people: People, gate: GateKeeper) -> None:
    people.add()
    gate.pause("outage", "HTTP 503 from Brevo.", timedelta(minutes=10))
    until = gate.read().paused_until
    assert reason(tick()) == f"Sending is paused until {until:%Y-%m-%d %H:%M:%S} UTC: HTTP 503 from Brevo."


def test_a_tick_in_a_restored_database_starts_no_run_and_says_who_opens_the_gate(
    tick: Tick, people: People, brevo_sandbox: BrevoSandbox
) -> None:
    people.add()
    people.run("UPDATE crm_gates SET home = 'where the dump was made'")
    for _ in range(2):
        said = reason(tick())
        assert said.startswith("Sending is paused until somebody starts it again (`crm-pipelines gate open brevo`): ")
        assert "restored or copied" in said
    assert brevo_sandbox.requests() == []


def test_while_the_key_is_refused_each_tick_makes_one_cheap_request_and_no_run(
    tick: Tick, people: People, gate: GateKeeper, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(5)
    brevo_sandbox.configure(revoked_keys=[API_KEY])
    gate.close("Key not found", load_fingerprint())
    for ticks in (1, 2):
        assert reason(tick()).startswith("Sending is paused until the key is accepted: ")
        assert [request["method"] for request in brevo_sandbox.requests()] == ["GET"] * ticks


def load_fingerprint() -> str:
    with Destination("brevo").open() as account:
        return account.crm.credentials_fingerprint


def test_once_the_key_is_accepted_again_the_next_tick_starts_a_run(
    tick: Tick, people: People, gate: GateKeeper, brevo_sandbox: BrevoSandbox
) -> None:
    people.add()
    gate.close("IP not authorised", load_fingerprint())
    assert slot(tick()) == "brevo-1"
    assert not gate.read().paused


def test_another_key_opens_the_gate_without_a_request(
    tick: Tick, people: People, gate: GateKeeper, brevo_sandbox: BrevoSandbox
) -> None:
    people.add()
    gate.close("Key not found", "fingerprint of the former key")
    assert slot(tick()) == "brevo-1"
    assert brevo_sandbox.requests() == []


@pytest.mark.parametrize(
    "status", [Status.NOT_STARTED, Status.QUEUED, Status.STARTING, Status.STARTED, Status.CANCELING]
)
def test_while_a_run_is_active_a_tick_skips_and_names_it(
    tick: Tick, people: People, instance: dg.DagsterInstance, status: Status
) -> None:
    people.add()
    run_id = a_run(instance, status)
    assert reason(tick()) == f"Run {run_id} is still active."


def test_runs_that_ended_and_runs_of_other_jobs_hold_nobody_up(
    tick: Tick, people: People, instance: dg.DagsterInstance
) -> None:
    people.add()
    for status in (Status.SUCCESS, Status.FAILURE, Status.CANCELED):
        a_run(instance, status)
    create_run_for_test(instance, job_name="another_job", status=Status.STARTED)
    assert slot(tick()) == "brevo-1"


@pytest.mark.parametrize("chosen", [{"put_first": True}, {"contact_ids": ["x"]}, {"limit": 1}, {"dry_run": True}])
@pytest.mark.parametrize("status", [Status.QUEUED, Status.STARTED])
def test_runs_for_chosen_contacts_hold_the_others_up_for_one_run_at_most(
    tick: Tick, people: People, instance: dg.DagsterInstance, status: Status, chosen: dict[str, Any]
) -> None:
    people.add()
    for _ in range(3):
        a_run(instance, status, chosen=chosen)
    request = tick()
    assert slot(request) == "brevo-1"
    assert isinstance(request, dg.RunRequest)
    assert int(request.tags["dagster/priority"]) > 0, "else it would wait for all that were queued before"


@pytest.mark.parametrize(
    ("taken", "chosen_in", "free"), [("brevo-2", "brevo-1", "brevo-3"), ("elsewhere", "brevo-1", "brevo-2")]
)
def test_a_place_that_a_run_for_chosen_contacts_has_is_given_last(
    tick: Tick,
    people: People,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    taken: str,
    chosen_in: str,
    free: str,
) -> None:
    monkeypatch.setenv("BREVO_SYNC_SCHEDULER_MAX_INSTANCES", "3")
    people.add()
    a_run(instance, Status.STARTED, taken)
    a_run(instance, Status.STARTED, chosen_in, chosen={"put_first": True})
    assert slot(tick()) == free


@pytest.mark.parametrize(("taken", "free"), [("brevo-1", "brevo-2"), ("brevo-2", "brevo-1"), ("elsewhere", "brevo-1")])
def test_with_two_places_the_free_one_is_given(
    tick: Tick,
    people: People,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    taken: str,
    free: str,
) -> None:
    monkeypatch.setenv("BREVO_SYNC_SCHEDULER_MAX_INSTANCES", "2")
    people.add()
    a_run(instance, Status.STARTED, taken)
    assert slot(tick()) == free


def test_with_both_of_two_places_taken_a_tick_skips(
    tick: Tick, people: People, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREVO_SYNC_SCHEDULER_MAX_INSTANCES", "2")
    people.add()
    for place in ("brevo-1", "brevo-2"):
        a_run(instance, Status.STARTED, place)
    assert "is still active" in reason(tick())


def test_claims_of_an_ended_run_start_a_run_though_nothing_else_is_due(
    tick: Tick, people: People, queue: Queue, instance: dg.DagsterInstance
) -> None:
    people.add()
    queue.claim(a_run(instance, Status.FAILURE), limit=1, lease=CLAIM_LEASE)
    assert slot(tick()) == "brevo-1"


def test_claims_whose_lease_is_over_start_a_run_whoever_held_them(tick: Tick, people: People, queue: Queue) -> None:
    people.add()
    queue.claim("a-run-that-nobody-knows", limit=1, lease=CLAIM_LEASE)
    people.expire_leases()
    assert slot(tick()) == "brevo-1"


def test_claims_of_a_run_of_another_instance_start_no_empty_runs(tick: Tick, people: People, queue: Queue) -> None:
    people.add()
    queue.claim("a-run-of-another-instance", limit=1, lease=CLAIM_LEASE)
    assert reason(tick()) == "Nothing is due."


def test_a_run_without_a_sign_of_life_is_reported_as_failed_and_followed(
    tick: Tick, people: People, queue: Queue, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_runs_module, "_SILENT_SECONDS", 0)
    people.add(2)
    dead = a_started_run(instance)
    queue.claim(dead, limit=1, lease=CLAIM_LEASE)
    assert slot(tick()) == "brevo-1"
    run = instance.get_run_by_id(dead)
    assert run is not None
    assert run.status is Status.FAILURE
    assert ended_runs(instance, [dead]) == ([], [dead])


def test_a_run_that_renews_its_leases_is_left_alone(
    tick: Tick, people: People, queue: Queue, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_runs_module, "_SILENT_SECONDS", 0)
    people.add(2)
    alive = a_started_run(instance)
    queue.renew(queue.claim(alive, limit=1, lease=CLAIM_LEASE), lease=DELIVERY_LEASE)
    assert reason(tick()) == f"Run {alive} is still active."


def test_a_run_that_started_just_now_is_left_alone(
    tick: Tick, people: People, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_runs_module, "_SILENT_SECONDS", LONGEST_TEST)
    people.add()
    young = a_started_run(instance)
    assert reason(tick()) == f"Run {young} is still active."


@pytest.mark.parametrize(
    ("minutes", "cron"),
    [(1, "*/1 * * * *"), (5, "*/5 * * * *"), (60, "0 */1 * * *"), (120, "0 */2 * * *"), (1440, "0 0 * * *")],
)
def test_the_interval_becomes_an_evenly_spaced_cron_expression(minutes: int, cron: str) -> None:
    assert cron_of(minutes) == cron


def test_runs_that_ended_by_themselves_or_by_order_are_orderly_and_those_without_a_failed_op_crashed(
    instance: dg.DagsterInstance,
) -> None:
    @dg.op
    def fails() -> None:
        raise dg.Failure("on purpose")

    @dg.job
    def failing() -> None:
        fails()

    failed_op = failing.execute_in_process(instance=instance, raise_on_error=False).run_id
    crashed = a_started_run(instance)
    run = instance.get_run_by_id(crashed)
    assert run is not None
    instance.report_run_failed(run)
    canceled = a_run(instance, Status.CANCELED)
    success = a_run(instance, Status.SUCCESS)
    active = a_run(instance, Status.STARTED)
    assert ended_runs(instance, [failed_op, crashed, canceled, success, active, "unknown"]) == (
        [failed_op, canceled, success],
        [crashed],
    )


def a_step_event(
    instance: dg.DagsterInstance, run_id: str, kind: dg.DagsterEventType, step: str, *, error: str | None = None
) -> None:
    failure = None
    if kind is dg.DagsterEventType.STEP_FAILURE:
        told = SerializableErrorInfo(message="", stack=[], cls_name=error) if error else None
        failure = StepFailureData(error=told, user_failure_data=None)  # type: ignore[no-untyped-call]
    instance.report_dagster_event(
        dg.DagsterEvent(event_type_value=kind.value, job_name="brevo_sync", step_key=step, event_specific_data=failure),
        run_id=run_id,
    )


def test_a_run_has_crashed_whose_worker_died_after_one_of_its_ops_had_failed(instance: dg.DagsterInstance) -> None:
    run_id = a_started_run(instance)
    a_step_event(instance, run_id, dg.DagsterEventType.STEP_START, "write_statuses[batch_1]")
    a_step_event(instance, run_id, dg.DagsterEventType.STEP_FAILURE, "write_statuses[batch_1]")
    a_step_event(instance, run_id, dg.DagsterEventType.STEP_START, "sync_batch[batch_2]")
    run = instance.get_run_by_id(run_id)
    assert run is not None
    instance.report_run_failed(run)
    assert ended_runs(instance, [run_id]) == ([], [run_id])


def test_what_dies_in_a_run_after_somebody_has_cancelled_it_is_no_crash(instance: dg.DagsterInstance) -> None:
    run_id = a_started_run(instance)
    a_step_event(instance, run_id, dg.DagsterEventType.STEP_START, "sync_batch[batch_1]")
    run = instance.get_run_by_id(run_id)
    assert run is not None
    instance.report_run_canceling(run)
    a_step_event(
        instance, run_id, dg.DagsterEventType.STEP_FAILURE, "sync_batch[batch_1]", error="ChildProcessCrashException"
    )
    instance.report_run_canceled(run)
    assert ended_runs(instance, [run_id]) == ([run_id], [])


def test_a_run_that_is_cancelled_after_the_process_of_a_step_died_has_crashed(instance: dg.DagsterInstance) -> None:
    run_id = a_started_run(instance)
    a_step_event(instance, run_id, dg.DagsterEventType.STEP_START, "sync_batch[batch_1]")
    a_step_event(
        instance, run_id, dg.DagsterEventType.STEP_FAILURE, "sync_batch[batch_1]", error="ChildProcessCrashException"
    )
    run = instance.get_run_by_id(run_id)
    assert run is not None
    instance.report_run_canceling(run)
    instance.report_run_canceled(run)
    assert ended_runs(instance, [run_id]) == ([], [run_id])
