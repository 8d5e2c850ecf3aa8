"""On an instance that others use, too: their runs are theirs, and what ours promise rests on none of its settings."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorStatus
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG
from dagster._core.test_utils import create_run_for_test

from crm_pipelines.alerts.memory import Memory
from crm_pipelines.orchestration.sync.following import follow_up_sensor
from crm_pipelines.orchestration.sync.schedules import sync_schedule
from crm_pipelines.orchestration.sync.tags import JOB_TAG, LEFT_TAG, runs_of, sync_slot
from crm_pipelines.orchestration.upkeep import pruning
from crm_pipelines.orchestration.upkeep.pruning import delete_loose_rows, old_runs
from crm_pipelines.orchestration.watching.health import health
from crm_pipelines.orchestration.watching.sensors import run_failure_alert_sensor
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline, schedule_context
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.orchestration.schedule_states import switch

Status = dg.DagsterRunStatus
OUR_TAGS = sync_slot("brevo", 1)


def origin(location: str, job: str) -> RemoteJobOrigin:
    place = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), "__repository__")
    return RemoteJobOrigin(place, job)


def label(location: str) -> str:
    return origin(location, "any").repository_origin.get_label()


def a_run(
    instance: dg.DagsterInstance,
    status: Status,
    *,
    location: str,
    job: str = "brevo_sync",
    tags: dict[str, str] | None = None,
) -> str:
    run = create_run_for_test(
        instance, job_name=job, status=status, tags=tags or {}, remote_job_origin=origin(location, job)
    )
    run_id: str = run.run_id
    return run_id


@pytest.fixture
def tick(instance: dg.DagsterInstance, brevo_environment: BrevoSandbox) -> Callable[[], Any]:
    def evaluate() -> Any:
        return sync_schedule(load_settings().destination("brevo"))(schedule_context(instance))

    return evaluate


def test_a_foreign_job_of_the_same_name_holds_nothing_up_and_is_not_followed(
    instance: dg.DagsterInstance, tick: Callable[[], Any], people: People
) -> None:
    people.add()
    a_run(instance, Status.STARTED, location="theirs")
    assert isinstance(tick(), dg.RunRequest)
    a_run(instance, Status.SUCCESS, location="theirs", tags={LEFT_TAG: "7"})
    looked = follow_up_sensor(load_settings().destination("brevo"))(dg.build_sensor_context(instance=instance))
    assert looked == dg.SkipReason("No run has taken all that is due yet.")
    ours = a_run(instance, Status.STARTED, location="ours", tags=OUR_TAGS)
    assert tick() == dg.SkipReason(f"Run {ours} is still active.")


@pytest.mark.parametrize("job", ["brevo_sync", "daily_report", "shop_sync_check_account", "shop_sync_sync"])
def test_of_a_failed_run_of_a_foreign_job_of_the_same_name_nobody_is_told(
    instance: dg.DagsterInstance, brevo_environment: BrevoSandbox, job: str
) -> None:
    def told() -> list[str]:
        sensor = run_failure_alert_sensor(load_settings(), [job])
        result: Any = sensor(dg.build_sensor_context(instance=instance))
        return list(Memory.read(result.cursor).told)

    a_run(instance, Status.FAILURE, location="theirs", job=job)
    assert told() == []
    slot = sync_slot(job.removesuffix("_sync"), 1)
    a_run(instance, Status.FAILURE, location="ours", job=job, tags=slot if job.endswith("_sync") else {JOB_TAG: job})
    assert told() == [f"{job}.run_failed"]
    a_run(instance, Status.SUCCESS, location="theirs", job=job)
    assert told() == [f"{job}.run_failed"], "it is not over because a foreign run succeeded"


def test_health_is_of_our_job_and_our_schedule(
    instance: dg.DagsterInstance, brevo_environment: BrevoSandbox, engine: sa.Engine
) -> None:
    def found() -> dict[str, str]:
        return {one.subject: one.detail for one in health(instance, engine, load_settings(), "brevo")}

    a_run(instance, Status.FAILURE, location="theirs")
    switch(instance, InstigatorStatus.STOPPED, location="theirs")
    assert found()["runs of brevo_sync"] == "No run has succeeded yet."
    a_run(instance, Status.SUCCESS, location="ours", tags=OUR_TAGS)
    assert found()["schedule brevo_sync_schedule"].startswith("Dagster does not know it")
    switch(instance, InstigatorStatus.RUNNING, location="ours")
    assert found()["schedule brevo_sync_schedule"] == "It is on and has not ticked yet."


@pytest.fixture
def aged(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The moment before which everything of now is old; of each job one run stays for being the newest."""
    monkeypatch.setattr(pruning, "NEWEST_KEPT", 1)
    return datetime.now(UTC) + timedelta(days=1)


def test_no_run_of_another_code_location_is_pruned(instance: dg.DagsterInstance, aged: datetime) -> None:
    ours = a_run(instance, Status.SUCCESS, location="ours", tags=OUR_TAGS)
    report = a_run(instance, Status.SUCCESS, location="ours", job="daily_report", tags={JOB_TAG: "daily_report"})
    by_hand = create_run_for_test(instance, job_name="brevo_sync", status=Status.SUCCESS, tags=OUR_TAGS).run_id
    a_run(instance, Status.SUCCESS, location="theirs", tags=OUR_TAGS)
    a_run(instance, Status.SUCCESS, location="theirs", job="daily_report")
    a_run(instance, Status.SUCCESS, location="theirs", job="dbt_build")
    a_run(instance, Status.SUCCESS, location="ours", job="their_job_in_our_location")
    for job, tags in (("brevo_sync", OUR_TAGS), ("daily_report", {JOB_TAG: "daily_report"})):
        a_run(instance, Status.SUCCESS, location="ours", job=job, tags=tags)
    scopes = [runs_of("brevo_sync"), runs_of("daily_report")]
    found = old_runs(instance, aged, scopes, label("ours"))
    assert set(found) == {ours, report, by_hand}


def test_in_a_code_location_of_ours_the_runs_of_assets_and_checks_go_too(
    instance: dg.DagsterInstance, aged: datetime
) -> None:
    from_a_page = a_run(instance, Status.SUCCESS, location="ours", job="__ASSET_JOB")
    a_run(instance, Status.SUCCESS, location="theirs", job="__ASSET_JOB")
    a_run(instance, Status.SUCCESS, location="ours", job="__ASSET_JOB")
    scope = dg.RunsFilter(tags={REPOSITORY_LABEL_TAG: label("ours")})
    assert old_runs(instance, aged, [scope], label("ours")) == [from_a_page]


def test_what_is_reported_of_foreign_assets_and_checks_stays(instance: dg.DagsterInstance, aged: datetime) -> None:
    ours, theirs = dg.AssetKey(["brevo", "queue"]), dg.AssetKey("customers")
    for key in (ours, theirs) * 2:
        instance.report_runless_asset_event(dg.AssetMaterialization(key))
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(asset_key=key, check_name="fresh", passed=True, metadata={})
        )
    assert delete_loose_rows(instance, aged, [ours]) > 0
    assert len(instance.fetch_materializations(theirs, limit=10).records) == 2
    assert len(instance.fetch_materializations(ours, limit=10).records) == 1


def test_without_our_limits_retries_and_monitoring_two_runs_at_once_send_each_contact_once(
    pipeline: Pipeline, people: People, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(12)
    assert pipeline.instance.get_settings("run_retries") == {}
    assert pipeline.instance.get_settings("run_monitoring") == {}
    first, second = pipeline.run(limit=6), pipeline.run()
    assert (first.counts["synced"], second.counts["synced"]) == (6, 6)
    assert people.states() == {"synced": 12}


@pytest.mark.parametrize("status", [Status.STARTING, Status.NOT_STARTED, Status.CANCELING])
def test_without_run_monitoring_a_run_that_never_begins_or_ends_holds_nobody_up_for_ever(
    instance: dg.DagsterInstance,
    tick: Callable[[], Any],
    people: People,
    monkeypatch: pytest.MonkeyPatch,
    status: Status,
) -> None:
    people.add()
    run_id = a_run(instance, status, location="ours", tags=OUR_TAGS)
    assert tick() == dg.SkipReason(f"Run {run_id} is still active.")
    monkeypatch.setattr("crm_pipelines.orchestration.sync.ended_runs._STUCK_SECONDS", -1)
    assert isinstance(tick(), dg.RunRequest)
    run = instance.get_run_by_id(run_id)
    assert run is not None
    # Who was cancelled is no failure, and nothing repeats it.
    assert run.status is (Status.CANCELED if status is Status.CANCELING else Status.FAILURE)


def test_a_run_that_waits_in_a_shared_queue_is_not_given_up(
    instance: dg.DagsterInstance, tick: Callable[[], Any], people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add()
    run_id = a_run(instance, Status.QUEUED, location="ours", tags=OUR_TAGS)
    monkeypatch.setattr("crm_pipelines.orchestration.sync.ended_runs._STUCK_SECONDS", -1)
    assert tick() == dg.SkipReason(f"Run {run_id} is still active.")
