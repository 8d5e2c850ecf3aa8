"""Where it is asked for, a run starts soon after something is due; and nothing keeps runs going without need."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorStatus
from dagster._core.test_utils import create_run_for_test

from crm_pipelines.delivery.planning import CLAIM_LEASE
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.orchestration.build import build_definitions
from crm_pipelines.orchestration.sync import ops
from crm_pipelines.orchestration.sync.batches import FetchConfig
from crm_pipelines.orchestration.sync.prompting import prompt_sensor, reason_to_rest
from crm_pipelines.orchestration.sync.stops import STOPPED_TAG
from crm_pipelines.orchestration.sync.tags import LEFT_TAG, NOWHERE_TAG, SYNC_SLOT_TAG, sync_slot
from crm_pipelines.queue.claims import Queue
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import job_of
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.orchestration.schedule_states import switch

SECONDS = 600
"""Longer than any test takes, so that only `later` brings a run into the past."""
A_DAY = 86_400
NOW = datetime(2026, 11, 30, 15, 0, tzinfo=UTC)

Status = dg.DagsterRunStatus
# Which Dagster wants of queued runs.
ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("crm_pipelines"), "__repository__"), "brevo_sync"
)
Look = Callable[..., dg.RunRequest | dg.SkipReason]


@pytest.fixture
def look(instance: dg.DagsterInstance, brevo_environment: BrevoSandbox, monkeypatch: pytest.MonkeyPatch) -> Look:
    """Evaluates the sensor as it is for the environment of this test, `later` seconds from now."""
    monkeypatch.setenv("BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES", "1440")

    def evaluate(*, later: float = 0) -> dg.RunRequest | dg.SkipReason:
        destination = load_settings().destination("brevo")
        sensor = prompt_sensor(destination, SECONDS, clock=lambda: datetime.now(UTC).timestamp() + later)
        answer = sensor(dg.build_sensor_context(instance=instance))
        assert isinstance(answer, dg.RunRequest | dg.SkipReason)
        return answer

    return evaluate


@pytest.fixture
def run(instance: dg.DagsterInstance, brevo_environment: BrevoSandbox) -> Callable[..., dg.ExecuteInProcessResult]:
    """Runs the job, as a request of the sensor says."""

    def execute(request: dg.RunRequest | None = None, **config: object) -> dg.ExecuteInProcessResult:
        return job_of().execute_in_process(
            run_config=dg.RunConfig(ops={"fetch_queued_contacts": FetchConfig(**config)}),  # type: ignore[arg-type]
            instance=instance,
            tags=dict(request.tags) if request else None,
            raise_on_error=False,
        )

    return execute


Execute = Callable[..., dg.ExecuteInProcessResult]


def reason(answer: dg.RunRequest | dg.SkipReason) -> str:
    assert isinstance(answer, dg.SkipReason), "a run was requested"
    return answer.skip_message or ""


def requested(answer: dg.RunRequest | dg.SkipReason) -> dg.RunRequest:
    assert isinstance(answer, dg.RunRequest), answer
    return answer


@contextmanager
def held(engine: sa.Engine, contact_id: UUID) -> Iterator[None]:
    """Somebody's transaction holds the contact's delivery, so no claim takes it."""
    with engine.connect() as connection:
        connection.execute(
            sa.text("SELECT 1 FROM crm_syncs WHERE contact_id = :id FOR UPDATE"), {"id": contact_id}
        ).one()
        yield
        connection.rollback()


def test_what_is_selected_edited_or_due_again_starts_a_run_and_nothing_else_does(
    look: Look, people: People, run: Execute
) -> None:
    [contact_id] = people.add(select=False)
    assert reason(look()) == "Nothing is due."
    people.run("SELECT crm_select('brevo', ARRAY[CAST(:id AS uuid)])", id=contact_id)
    run(requested(look()))
    assert people.states() == {"synced": 1}
    assert reason(look(later=A_DAY)) == "Nothing is due."
    people.run("UPDATE crm_contacts SET name = 'Another Name' WHERE id = :id", id=contact_id)
    assert requested(look(later=A_DAY)).tags[SYNC_SLOT_TAG] == "brevo-1"
    people.run("UPDATE crm_syncs SET run_at = now() + interval '5 min'")
    assert reason(look(later=A_DAY)) == "Nothing is due."
    people.make_due()
    requested(look(later=A_DAY))


def test_five_edits_in_a_row_are_one_run_and_what_is_sent_is_the_last(
    look: Look, people: People, run: Execute, brevo_sandbox: BrevoSandbox
) -> None:
    [contact_id] = people.add()
    for number in range(5):
        people.run("UPDATE crm_contacts SET name = :name WHERE id = :id", name=f"Name{number}", id=contact_id)
    run(requested(look()))
    assert reason(look(later=A_DAY)) == "Nothing is due."
    assert [one["attributes"]["FIRSTNAME"] for one in brevo_sandbox.contacts()] == ["Name4"]


def test_there_is_at_most_one_run_in_so_many_seconds(look: Look, people: People, run: Execute) -> None:
    people.add()
    first = run(requested(look()))
    people.add()
    assert reason(look()) == f"Run {first.run_id} was started less than {SECONDS} seconds ago."
    requested(look(later=SECONDS))


def test_two_looks_at_the_same_runs_ask_for_one_and_the_same(look: Look, people: People, run: Execute) -> None:
    people.add(2)
    assert requested(look()).run_key == requested(look()).run_key == "prompt-after-none"
    first = run()
    people.add()
    assert requested(look(later=SECONDS)).run_key == f"prompt-after-{first.run_id}"


@pytest.mark.parametrize(
    "status", [Status.NOT_STARTED, Status.QUEUED, Status.STARTING, Status.STARTED, Status.CANCELING]
)
def test_while_a_run_is_active_none_is_started(
    look: Look, people: People, instance: dg.DagsterInstance, status: Status
) -> None:
    people.add()
    active = create_run_for_test(
        instance, job_name="brevo_sync", status=status, tags=sync_slot("brevo", 1), remote_job_origin=ORIGIN
    )
    assert reason(look(later=A_DAY)) == f"Run {active.run_id} is still active."


def test_a_run_for_chosen_contacts_keeps_nobody_from_being_delivered(
    look: Look, people: People, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add()
    create_run_for_test(
        instance,
        run_config={"ops": {"fetch_queued_contacts": {"config": {"limit": 1}}}},
        job_name="brevo_sync",
        status=Status.STARTED,
        tags=sync_slot("brevo", 1),
    )
    assert requested(look()).tags[SYNC_SLOT_TAG] == "brevo-1", "there is no other place"
    monkeypatch.setenv("BREVO_SYNC_SCHEDULER_MAX_INSTANCES", "2")
    assert requested(look()).tags[SYNC_SLOT_TAG] == "brevo-2"


def test_whoever_switches_the_schedule_off_has_switched_this_off_too(
    look: Look, people: People, instance: dg.DagsterInstance
) -> None:
    people.add()
    state = switch(instance, InstigatorStatus.STOPPED)
    assert reason(look()) == "brevo_sync_schedule is switched off."
    instance.update_instigator_state(state.with_status(InstigatorStatus.RUNNING))
    requested(look())


def test_without_a_key_nothing_is_opened(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BREVO_API_KEY")
    monkeypatch.setenv("CRM_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    assert reason(look()) == "BREVO_API_KEY is not set: nothing is sent."


def test_without_its_database_a_look_says_so_in_a_sentence_and_starts_nothing(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:1/nothing")
    said = reason(look())
    assert "127.0.0.1" in said
    assert "secret" not in said


def test_while_sending_is_paused_or_stopped_nothing_is_started_and_nobody_is_asked(
    look: Look, people: People, engine: sa.Engine, brevo_sandbox: BrevoSandbox
) -> None:
    people.add()
    gate = GateKeeper(engine, "brevo")
    people.run("UPDATE crm_gates SET accepted_account = NULL")
    gate.wait_for_attributes("Brevo has no attribute for 1 field.", "a mapping")
    assert "has no attribute" in reason(look())
    gate.open_by_hand()
    gate.pause("outage", "HTTP 503 from Brevo.", timedelta(minutes=5))
    assert "HTTP 503 from Brevo." in reason(look())
    gate.open()
    gate.close("Key not found", "the fingerprint of a key")
    assert reason(look()) == "Sending is paused until the key is accepted: Key not found"
    gate.open()
    requested(look())
    people.run("UPDATE crm_gates SET home = 'where the dump was made'")
    assert "restored or copied" in reason(look())
    assert brevo_sandbox.requests() == []


def test_what_a_run_left_is_the_follow_up_sensors(
    look: Look, people: People, run: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ops, "claim_limit", lambda *_, **__: 2)
    people.add(5)
    first = run(requested(look()))
    assert reason(look(later=A_DAY)) == f"brevo_follow_up_sensor goes on with what run {first.run_id} left."


def test_what_only_a_run_finds_out_is_the_schedules(look: Look, people: People, queue: Queue) -> None:
    people.add(2)
    queue.claim("a run that has died", limit=1, lease=CLAIM_LEASE)
    people.expire_leases()
    requested(look())
    people.run("UPDATE crm_syncs SET state = 'synced', synced_revision = revision WHERE state = 'queued'")
    people.run("UPDATE crm_syncs SET contact_revision = 0 WHERE state = 'synced'")
    people.run("INSERT INTO crm_bulk_imports (crm, tended_by, mapping_version) VALUES ('brevo', 'x', 'y')")
    assert reason(look()) == "Nothing is due."


def test_runs_that_take_nobody_although_somebody_is_due_come_further_and_further_apart(
    look: Look, people: People, run: Execute, engine: sa.Engine
) -> None:
    [contact_id] = people.add()
    with held(engine, contact_id):
        for rest in (2 * SECONDS, 4 * SECONDS, 8 * SECONDS):
            last = run()
            assert last.success
            assert reason(look(later=rest - 60)).startswith(f"Run {last.run_id} got nowhere with what is due: for ")
            requested(look(later=rest))
    last = run()
    assert last.success
    people.add()
    requested(look(later=SECONDS))


def test_runs_that_only_postpone_again_whom_they_take_come_further_and_further_apart(
    look: Look, people: People, run: Execute
) -> None:
    [first] = people.add(email="one@example.com")
    run()
    people.run("UPDATE crm_contacts SET email = 'two@example.com' WHERE id = :id", id=first)
    people.run("UPDATE crm_syncs SET run_at = now() + interval '1 hour'")
    [second] = people.add(email="one@example.com")
    for rest in (2 * SECONDS, 4 * SECONDS):
        last = run()
        assert people.sync(second)["due_in"] > 0, "its address is yet to be left at the CRM"
        people.run("UPDATE crm_syncs SET run_at = now() WHERE contact_id = :id", id=second)
        assert f"Run {last.run_id} got nowhere" in reason(look(later=rest - 60))
        requested(look(later=rest))


def test_while_it_is_not_known_whose_account_it_is_runs_come_further_and_further_apart(
    look: Look, people: People, run: Execute, engine: sa.Engine, brevo_sandbox: BrevoSandbox
) -> None:
    people.add()
    people.run("UPDATE crm_gates SET account_fingerprints = '{}'")
    brevo_sandbox.fault("status", path="/account$", status=404, body={"code": "document_not_found"})
    first = run()
    assert people.states() == {"queued": 1}
    assert f"Run {first.run_id} " in reason(look(later=SECONDS))
    requested(look(later=2 * SECONDS))


def test_after_failures_runs_come_further_and_further_apart(
    look: Look, people: People, run: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    people.add()
    with monkeypatch.context() as patch:
        patch.setattr(ops, "claim", fail)
        for rest in (2 * SECONDS, 4 * SECONDS):
            last = run()
            assert not last.success
            assert reason(look(later=rest - 60)).startswith(f"Run {last.run_id} has failed: for ")
            requested(look(later=rest))
    run()
    people.add()
    requested(look(later=SECONDS))


def record(
    status: dg.DagsterRunStatus = Status.SUCCESS, *, age: float, tags: dict[str, str] | None = None
) -> dg.RunRecord:
    """A run that was created and ended so many seconds before NOW."""
    at = NOW - timedelta(seconds=age)
    run = dg.DagsterRun(job_name="brevo_sync", status=status, tags=tags)
    return dg.RunRecord(
        storage_id=1,
        dagster_run=run,
        create_timestamp=at,
        update_timestamp=at,
        start_time=at.timestamp(),
        end_time=at.timestamp(),
    )


def rests(*latest: dg.RunRecord, later: float = 0) -> bool:
    """Whether nothing is started at NOW, with ten seconds between runs and five minutes between ticks."""
    given = {"spacing": timedelta(seconds=10), "interval": timedelta(minutes=5)}
    return reason_to_rest(latest, now=NOW.timestamp() + later, **given) is not None


@pytest.mark.parametrize("tags", [{NOWHERE_TAG: "1"}, {}], ids=["nowhere", "failed"])
def test_the_rest_doubles_with_each_run_that_gets_nowhere_and_is_never_longer_than_the_interval(
    tags: dict[str, str],
) -> None:
    status = Status.SUCCESS if tags else Status.FAILURE

    def nowhere(age: float) -> dg.RunRecord:
        return record(status, age=age, tags=tags)

    well = record(age=A_DAY)
    for count, rest in enumerate((20, 40, 80, 160, 300, 300), start=1):
        before = [nowhere(A_DAY)] * (count - 1)
        assert rests(nowhere(rest - 5), *before, well)
        assert not rests(nowhere(rest + 5), *before, well)
    assert not rests(record(age=15), *[nowhere(A_DAY)] * 5), "one that got on ends it"


@pytest.mark.parametrize("stopped", [record(Status.CANCELED, age=295), record(age=295, tags={STOPPED_TAG: "yes"})])
def test_whoever_stops_a_run_is_left_in_peace_until_the_schedule_goes_on(stopped: dg.RunRecord) -> None:
    assert rests(stopped)
    assert not rests(stopped, later=10)


def test_a_run_that_left_some_and_got_on_is_no_reason_to_rest() -> None:
    assert not rests(record(age=15, tags={LEFT_TAG: "3"}))
    assert not rests()


def test_the_sensor_is_there_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def sensors() -> set[str]:
        return {one.name for one in build_definitions(load_settings()).get_repository_def().sensor_defs}

    assert "brevo_prompt_sensor" not in sensors()
    monkeypatch.setenv("BREVO_SYNC_PROMPT_SECONDS", "10")
    assert "brevo_prompt_sensor" in sensors()
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo,brevo_eu:brevo")
    assert "brevo_eu_prompt_sensor" not in sensors()
    monkeypatch.setenv("BREVO_EU_SYNC_PROMPT_SECONDS", "30")
    assert {"brevo_prompt_sensor", "brevo_eu_prompt_sensor"} <= sensors()
