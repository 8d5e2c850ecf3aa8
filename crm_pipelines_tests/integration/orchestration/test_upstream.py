"""What others materialize is delivered: once, not beside a run or while sending is paused, and never forgotten."""

from collections.abc import Callable
from datetime import timedelta

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.scheduler.instigation import InstigatorStatus
from dagster._core.test_utils import create_run_for_test

from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.orchestration.sync.tags import SYNC_SLOT_TAG, sync_slot
from crm_pipelines.orchestration.sync.upstream import upstream_sensor
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import job_of
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.orchestration.schedule_states import switch

KEYS = [dg.AssetKey(["shop", "customers"]), dg.AssetKey("signups")]
Look = Callable[..., dg.SensorResult | dg.SkipReason]


@pytest.fixture
def look(instance: dg.DagsterInstance, brevo_environment: BrevoSandbox) -> Look:
    """A tick, with the cursor of the one before."""
    kept: list[str | None] = [None]

    def evaluate(cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
        context = dg.build_sensor_context(instance=instance, cursor=cursor or kept[-1])
        answer = upstream_sensor(load_settings().destination("brevo"), KEYS)(context)
        assert isinstance(answer, dg.SensorResult | dg.SkipReason)
        if isinstance(answer, dg.SensorResult) and cursor is None:
            kept.append(answer.cursor)
        return answer

    return evaluate


def materialize(instance: dg.DagsterInstance, key: dg.AssetKey = KEYS[0]) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(key))


def requests(answer: dg.SensorResult | dg.SkipReason) -> list[dg.RunRequest]:
    return [] if isinstance(answer, dg.SkipReason) else list(answer.run_requests or [])


def reason(answer: dg.SensorResult | dg.SkipReason) -> str:
    assert requests(answer) == []
    told = answer.skip_message if isinstance(answer, dg.SkipReason) else answer.skip_reason
    return str(getattr(told, "skip_message", told))


def test_a_materialization_starts_one_run_and_several_between_two_ticks_start_one(
    look: Look, people: People, instance: dg.DagsterInstance
) -> None:
    people.add()
    assert requests(look()) == []
    materialize(instance)
    [request] = requests(look())
    assert request.tags[SYNC_SLOT_TAG] == "brevo-1"
    assert requests(look()) == []
    for key in (KEYS[0], KEYS[0], KEYS[1]):
        materialize(instance, key)
    [another] = requests(look())
    assert another.run_key != request.run_key
    assert requests(look()) == []


def test_a_key_that_was_never_materialized_is_named_since_it_may_be_misspelt(
    look: Look, people: People, instance: dg.DagsterInstance
) -> None:
    nothing = "Nothing new of shop/customers, signups."
    assert reason(look()) == f"{nothing} Never materialized so far: shop/customers, signups."
    people.add()
    materialize(instance)
    assert len(requests(look())) == 1, "one of two is enough"
    assert reason(look()) == f"{nothing} Never materialized so far: signups."
    materialize(instance, KEYS[1])
    assert len(requests(look())) == 1
    assert reason(look()) == nothing


def test_the_same_tick_again_asks_for_the_same_run_so_dagster_starts_no_second(
    look: Look, people: People, instance: dg.DagsterInstance
) -> None:
    people.add()
    materialize(instance)
    [first], [again] = requests(look(cursor="{}")), requests(look(cursor="{}"))
    assert first.run_key == again.run_key is not None


@pytest.mark.parametrize("cursor", ["nonsense", "[]", "7", '{"shop/customers": "x"}'])
def test_a_cursor_that_somebody_has_spoilt_begins_anew(
    look: Look, people: People, instance: dg.DagsterInstance, cursor: str
) -> None:
    people.add()
    materialize(instance)
    assert len(requests(look(cursor=cursor))) == 1


def test_beside_an_active_run_and_while_sending_is_paused_it_waits_and_forgets_nothing(
    look: Look, people: People, instance: dg.DagsterInstance, engine: sa.Engine
) -> None:
    people.add()
    materialize(instance)
    run = create_run_for_test(
        instance, job_name="brevo_sync", status=dg.DagsterRunStatus.STARTED, tags=sync_slot("brevo", 1)
    )
    assert reason(look()) == f"Run {run.run_id} is still active."
    instance.report_run_canceled(run)
    gate = GateKeeper(engine, "brevo")
    gate.pause("rate_limit", "slow down", timedelta(minutes=5))
    assert "Sending is paused" in reason(look())
    gate.open()
    switched = switch(instance, InstigatorStatus.STOPPED)
    assert reason(look()) == "brevo_sync_schedule is switched off."
    instance.update_instigator_state(switched.with_status(InstigatorStatus.RUNNING))
    assert len(requests(look())) == 1


def test_what_brought_nothing_that_is_due_starts_no_run(
    look: Look, people: People, instance: dg.DagsterInstance
) -> None:
    materialize(instance)
    assert reason(look()) == "Nothing is due. New was shop/customers."
    people.add()
    assert reason(look()).startswith("Nothing new of shop/customers, signups."), "the schedule takes it"


def test_without_a_key_nothing_starts_and_nothing_is_forgotten(
    look: Look, people: People, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add()
    materialize(instance)
    key = load_settings().destination("brevo").secrets[0]
    monkeypatch.delenv("BREVO_API_KEY")
    assert reason(look()) == "BREVO_API_KEY is not set: nothing is sent."
    monkeypatch.setenv("BREVO_API_KEY", key)
    assert len(requests(look())) == 1


def test_the_run_that_it_asks_for_delivers(look: Look, people: People, instance: dg.DagsterInstance) -> None:
    people.add(2)
    materialize(instance)
    [request] = requests(look())
    assert job_of().execute_in_process(instance=instance, tags=dict(request.tags)).success
    assert people.states() == {"synced": 2}
