"""A backlog is worked on continuously, and nothing keeps runs going without need."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.scheduler.instigation import InstigatorStatus
from dagster._core.test_utils import create_run_for_test

from crm_pipelines.delivery.planning import CLAIM_LEASE, DELIVERY_LEASE, time_to_empty
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.orchestration.sync import ended_runs, ops
from crm_pipelines.orchestration.sync.batches import FetchConfig
from crm_pipelines.orchestration.sync.following import follow_up_sensor, reason_not_to_follow
from crm_pipelines.orchestration.sync.tags import FOLLOWS_TAG, FOUND_TAG, LEFT_TAG, SYNC_SLOT_TAG, sync_slot
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Pace
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import job_of
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.orchestration.schedule_states import switch
from crm_pipelines_tests.patience import LONGEST_TEST

Look = Callable[[], dg.RunRequest | dg.SkipReason]


@pytest.fixture
def look(instance: dg.DagsterInstance, brevo_environment: BrevoSandbox, monkeypatch: pytest.MonkeyPatch) -> Look:
    """Evaluates the sensor as it is for the environment of this test."""
    # By half of the interval a run is a long one; after all of it, it is long over.
    monkeypatch.setenv("BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES", "1440")

    cursor: str | None = None

    def evaluate() -> dg.RunRequest | dg.SkipReason:
        nonlocal cursor
        sensor = follow_up_sensor(load_settings().destination("brevo"))
        context = dg.build_sensor_context(instance=instance, cursor=cursor)
        answer = sensor(context)
        cursor = context.cursor
        assert isinstance(answer, dg.RunRequest | dg.SkipReason)
        return answer

    return evaluate


@pytest.fixture
def run(
    instance: dg.DagsterInstance, brevo_environment: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dg.ExecuteInProcessResult]:
    """Runs the job with time for five contacts."""
    monkeypatch.setattr(ops, "claim_limit", lambda *_, **__: 5)

    def execute(tags: dict[str, str] | None = None, **config: object) -> dg.ExecuteInProcessResult:
        return job_of().execute_in_process(
            run_config=dg.RunConfig(ops={"fetch_queued_contacts": FetchConfig(**config)}),  # type: ignore[arg-type]
            instance=instance,
            tags=tags,
        )

    return execute


def reason(answer: dg.RunRequest | dg.SkipReason) -> str:
    assert isinstance(answer, dg.SkipReason), "a run was requested"
    return answer.skip_message or ""


Run = Callable[..., dg.ExecuteInProcessResult]


def test_a_run_that_leaves_contacts_behind_is_followed_at_once_until_none_are_left(
    people: People, look: Look, run: Run, instance: dg.DagsterInstance
) -> None:
    assert "No run has taken" in reason(look())
    people.add(12)
    first = run()
    request = look()
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == f"after-{first.run_id}"
    assert (request.tags[FOLLOWS_TAG], request.tags[FOUND_TAG]) == (first.run_id, "7")
    assert request.tags[SYNC_SLOT_TAG] == "brevo-1"
    second = run(tags=request.tags)
    request = look()
    assert isinstance(request, dg.RunRequest)
    assert request.tags[FOUND_TAG] == "2"
    last = run(tags=request.tags)
    assert f"Run {last.run_id} left nothing due" in reason(look())
    assert people.states() == {"synced": 12}
    told: set[str] = set()
    for event in second.all_events:
        if event.is_successful_output and event.step_key == "report_run":
            told |= event.step_output_data.metadata.keys()
    assert {"left", "minutes_until_empty"} <= told


def test_never_two_at_once_and_not_while_the_gate_is_paused(
    people: People, look: Look, run: Run, instance: dg.DagsterInstance, engine: sa.Engine
) -> None:
    earlier = create_run_for_test(
        instance, job_name="brevo_sync", status=dg.DagsterRunStatus.STARTED, tags=sync_slot("brevo", 1)
    )
    people.add(12)
    run()
    assert reason(look()) == "A run is active."
    instance.report_run_canceled(earlier)
    gate = GateKeeper(engine, "brevo")
    gate.pause("rate_limit", "slow down", timedelta(minutes=5))
    assert "Sending is paused: slow down" in reason(look())
    gate.open()
    assert isinstance(look(), dg.RunRequest)
    create_run_for_test(instance, job_name="brevo_sync", status=dg.DagsterRunStatus.STARTED, tags=sync_slot("brevo", 1))
    assert "is active" in reason(look())


def test_a_backlog_that_does_not_shrink_is_left_to_the_schedule(people: People, look: Look, run: Run) -> None:
    people.add(12)
    run(tags={FOLLOWS_TAG: "earlier", FOUND_TAG: "7"})
    assert "does not shrink (7 before, 7 after" in reason(look())


def test_a_run_that_brought_nobody_on_and_one_that_was_asked_for_some_are_not_followed(
    people: People, look: Look, run: Run, brevo_sandbox: BrevoSandbox, instance: dg.DagsterInstance
) -> None:
    people.add(12)
    run(limit=5)
    assert "No run has taken all that is due yet" in reason(look())
    brevo_sandbox.fault("status", path="/contacts$", status=429, headers={"x-sib-ratelimit-reset": "60"})
    stuck = run()
    assert f"Run {stuck.run_id} left nothing due, or delivered nothing." in reason(look())
    assert LEFT_TAG not in (instance.get_run_by_id(stuck.run_id) or stuck.dagster_run).tags


def test_a_run_of_chosen_contacts_and_a_dry_run_do_not_end_the_work_on_a_backlog(
    people: People, look: Look, run: Run
) -> None:
    people.add(12)
    first = run()
    run(limit=1)
    run(dry_run=True)
    request = look()
    assert isinstance(request, dg.RunRequest)
    assert request.tags[FOLLOWS_TAG] == first.run_id


def test_whoever_switches_the_schedule_off_has_stopped_the_work_on_a_backlog_too(
    people: People, look: Look, run: Run, instance: dg.DagsterInstance
) -> None:
    people.add(12)
    run()
    state = switch(instance, InstigatorStatus.STOPPED)
    assert reason(look()) == "brevo_sync_schedule is switched off."
    instance.update_instigator_state(state.with_status(InstigatorStatus.RUNNING))
    assert isinstance(look(), dg.RunRequest)


def begun(instance: dg.DagsterInstance, number: int) -> str:
    """A run in this slot, as its process reports it."""
    run = create_run_for_test(
        instance, job_name="brevo_sync", status=dg.DagsterRunStatus.STARTING, tags=sync_slot("brevo", number)
    )
    event = dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_START.value, job_name="brevo_sync")
    instance.report_dagster_event(event, run_id=run.run_id)
    return str(run.run_id)


def is_failed(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status is dg.DagsterRunStatus.FAILURE


def give_sign_of_life(engine: sa.Engine, people: People, run_id: str) -> None:
    people.add()
    queue = Queue(engine, "brevo")
    queue.renew(queue.claim(run_id, limit=1, lease=CLAIM_LEASE), lease=DELIVERY_LEASE)


def test_runs_whose_workers_have_vanished_are_ended_between_ticks_also_while_the_schedule_is_off(
    people: People, look: Look, instance: dg.DagsterInstance, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_runs, "_SILENT_SECONDS", 0)
    switch(instance, InstigatorStatus.STOPPED)
    first, alive, second = (begun(instance, number) for number in (1, 2, 3))
    give_sign_of_life(engine, people, alive)
    look()
    assert not any(is_failed(instance, one) for one in (first, alive, second)), "one look is not enough"
    said = reason(look())
    assert said.startswith("Without a sign of life, and reported as failed: ")
    assert first in said
    assert second in said
    assert [is_failed(instance, one) for one in (first, alive, second)] == [True, False, True]


def test_a_run_that_shows_that_it_lives_before_the_second_look_is_left_alone(
    people: People, look: Look, instance: dg.DagsterInstance, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_runs, "_SILENT_SECONDS", 0)
    late = begun(instance, 1)
    look()
    give_sign_of_life(engine, people, late)
    look()
    people.expire_leases()
    look()
    assert not is_failed(instance, late), "the first look counts no more"
    look()
    assert is_failed(instance, late)


def test_no_database_is_opened_for_a_run_that_began_less_than_two_minutes_ago(
    look: Look, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_runs, "_SILENT_SECONDS", LONGEST_TEST)
    monkeypatch.setenv("CRM_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    begun(instance, 1)
    assert "is active" in reason(look())


@pytest.mark.parametrize(
    ("minutes", "left", "followed"), [(1, 6, True), (1, 7, False), (1, 70, False), (4, 7, True), (4, 70, True)]
)
def test_a_short_run_must_leave_less_than_it_found_and_a_busy_one_need_not(
    minutes: int, left: int, followed: bool
) -> None:
    now = datetime.now(UTC)
    record = dg.RunRecord(
        storage_id=1,
        dagster_run=dg.DagsterRun(
            job_name="brevo_sync",
            status=dg.DagsterRunStatus.SUCCESS,
            tags={FOLLOWS_TAG: "earlier", FOUND_TAG: "7", LEFT_TAG: str(left)},
        ),
        create_timestamp=now,
        update_timestamp=now,
        start_time=now.timestamp() - 60 * minutes,
        end_time=now.timestamp(),
    )
    assert (reason_not_to_follow(record, timedelta(minutes=5)) is None) is followed


def test_the_estimate_is_by_the_pace_of_late_or_by_the_accounts_rate() -> None:
    assert time_to_empty(0, Pace(contacts=0, seconds=0), 10) == timedelta()
    assert time_to_empty(6000, Pace(contacts=0, seconds=0), 10) == timedelta(minutes=10)
    assert time_to_empty(6000, Pace(contacts=1000, seconds=10), 10) == timedelta(minutes=1)
    assert time_to_empty(6000, Pace(contacts=3, seconds=500), 10) == timedelta(minutes=10), "it was at rest"
    assert time_to_empty(6000, Pace(contacts=100, seconds=0.1), 10) == timedelta(minutes=10), "too short a time"


def test_the_estimate_reckons_with_as_many_contacts_as_go_in_one_request() -> None:
    def minutes(pace: Pace) -> float:
        return time_to_empty(60_000, pace, 10, together=100).total_seconds() / 60

    assert minutes(Pace(contacts=0, seconds=0)) == 1
    assert minutes(Pace(contacts=500, seconds=500)) == 1, "it was at rest"
    assert minutes(Pace(contacts=100_000, seconds=300)) == pytest.approx(3), "three requests for a hundred"
