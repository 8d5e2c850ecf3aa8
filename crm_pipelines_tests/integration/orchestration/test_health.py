"""Whether deliveries go on, asked from outside."""

import time
from datetime import timedelta
from types import SimpleNamespace

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, TickData, TickStatus
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.error import SerializableErrorInfo

from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.orchestration.watching import health as health_module
from crm_pipelines.orchestration.watching.health import HealthCheck, health
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline, job_of
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.orchestration.schedule_states import SCHEDULE, switch

NOW = time.time()


def checks(instance: dg.DagsterInstance, engine: sa.Engine) -> dict[str, HealthCheck]:
    return {check.subject: check for check in health(instance, engine, load_settings(), "brevo")}


@pytest.fixture(autouse=True)
def _standing_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "time", SimpleNamespace(time=lambda: NOW))


def beat(instance: dg.DagsterInstance, *, ago: float = 0, only: str | None = None) -> None:
    for daemon in instance.get_required_daemon_types():
        if only in {None, daemon}:
            instance.add_daemon_heartbeat(DaemonHeartbeat(NOW - ago, daemon, "id", []))


def tick(
    instance: dg.DagsterInstance, state: InstigatorState, *, ago: float, status: TickStatus = TickStatus.SKIPPED
) -> None:
    instance.create_tick(
        TickData(
            state.instigator_origin_id,
            SCHEDULE,
            InstigatorType.SCHEDULE,
            status,
            NOW - ago,
            error=SerializableErrorInfo("broken", [], None) if status is TickStatus.FAILURE else None,
            selector_id=state.selector_id,
        )
    )


def test_all_is_well(instance: dg.DagsterInstance, engine: sa.Engine) -> None:
    beat(instance)
    tick(instance, switch(instance, InstigatorStatus.DECLARED_IN_CODE), ago=60)
    found = checks(instance, engine)
    assert [check for check in found.values() if not check.ok] == []
    assert found[f"schedule {SCHEDULE}"].detail == "Its last tick was 1 min ago."
    assert found["deliveries to brevo"].detail == "Nothing is due for Brevo."
    assert "daemon SENSOR" in found


def test_a_daemon_that_is_silent_or_was_never_there(instance: dg.DagsterInstance, engine: sa.Engine) -> None:
    assert checks(instance, engine)["daemon SENSOR"].detail == "It has never given a sign of life."
    beat(instance)
    beat(instance, ago=360, only="SCHEDULER")
    found = checks(instance, engine)
    assert not found["daemon SCHEDULER"].ok
    assert found["daemon SCHEDULER"].detail == "Its last sign of life is 6 min old: the daemon is down or stuck."
    assert found["daemon SENSOR"].ok


def test_a_schedule_that_is_unknown_off_late_or_failing(instance: dg.DagsterInstance, engine: sa.Engine) -> None:
    subject = f"schedule {SCHEDULE}"
    assert "has not loaded the code yet" in checks(instance, engine)[subject].detail
    state = switch(instance, InstigatorStatus.RUNNING)
    assert checks(instance, engine)[subject].ok, "it has just been started"
    tick(instance, state, ago=17 * 60)
    late = checks(instance, engine)[subject]
    assert (late.ok, late.detail) == (False, "Its last tick was 17 min ago; there should be one every 5 min.")
    tick(instance, state, ago=60, status=TickStatus.FAILURE)
    assert "failed: see the schedule" in checks(instance, engine)[subject].detail
    tick(instance, state, ago=0)
    assert checks(instance, engine)[subject].ok
    instance.update_instigator_state(state.with_status(InstigatorStatus.STOPPED))
    assert "switched it off" in checks(instance, engine)[subject].detail


def test_a_schedule_under_a_former_name_of_the_location_does_not_count(
    instance: dg.DagsterInstance, engine: sa.Engine
) -> None:
    tick(instance, switch(instance, InstigatorStatus.STOPPED, "former"), ago=3600)
    tick(instance, switch(instance, InstigatorStatus.RUNNING), ago=60)
    assert checks(instance, engine)[f"schedule {SCHEDULE}"].ok


def test_the_last_successful_run_and_a_failed_one(
    instance: dg.DagsterInstance, brevo_environment: BrevoSandbox, engine: sa.Engine
) -> None:
    assert checks(instance, engine)["runs of brevo_sync"].detail == "No run has succeeded yet."
    Pipeline(instance).run()
    assert (
        "The last successful run ended less than a minute ago." in checks(instance, engine)["runs of brevo_sync"].detail
    )
    instance.report_run_failed(instance.create_run_for_job(job_of(), tags=job_of().tags))
    assert not checks(instance, engine)["runs of brevo_sync"].ok


def test_sending_that_is_stopped_and_contacts_that_wait(
    instance: dg.DagsterInstance, people: People, engine: sa.Engine
) -> None:
    GateKeeper(engine, "brevo").pause("rate_limit", "429", timedelta(minutes=5))
    people.add(3)
    found = checks(instance, engine)
    assert found["deliveries to brevo"].ok, "a rate limit is waited out"
    GateKeeper(engine, "brevo").close("Key not found", "fingerprint", refused_kind="credentials")
    people.run("UPDATE crm_syncs SET run_at = now() - interval '65 minutes'")
    found = checks(instance, engine)
    told = found["deliveries to brevo"]
    assert told.detail == "Brevo refuses the key. Nothing is sent; contacts wait, and no try is used up."
    assert (told.ok, told.condition, told.colour) == (False, "refused", "bad")
    assert (told.action or "").startswith("Set a valid key")
    GateKeeper(engine, "brevo").open()
    people.run("UPDATE crm_gates SET counting_since = now() - interval '1 day'")
    told = checks(instance, engine)["deliveries to brevo"]
    assert told.detail.startswith("3 contacts are due for Brevo, the oldest for 65 minutes")
    assert (told.ok, told.condition) == (False, "behind")
