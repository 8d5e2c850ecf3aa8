"""Dagster's instance from the real dagster.yaml, on Postgres."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from crm_pipelines.database import connecting
from crm_pipelines.orchestration.sync.tags import SYNC_SLOT_TAG
from crm_pipelines.settings import load_settings, project_folder


@dg.op
def says_something(context: dg.OpExecutionContext) -> None:
    context.log.info("a word to be kept")


@dg.job
def small_job() -> None:
    says_something()


@pytest.fixture
def instance(empty_database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    url = sa.make_url(empty_database_url).set(drivername="postgresql+psycopg2")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", url.render_as_string(hide_password=False))
    load_settings()
    shutil.copy(project_folder() / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def test_dagster_yaml_boots_on_postgres_stores_events_and_guards_runs(
    instance: dg.DagsterInstance, empty_database_url: str
) -> None:
    result = small_job.execute_in_process(instance=instance)
    kept = [record.message for record in instance.all_logs(result.run_id)]
    assert "a word to be kept" in kept

    engine = sa.create_engine(empty_database_url)
    with engine.connect() as connection:
        stored = connection.scalar(
            sa.text("SELECT count(*) FROM event_logs WHERE run_id = :run_id"), {"run_id": result.run_id}
        )
    engine.dispose()
    assert stored == len(instance.all_logs(result.run_id))

    assert instance.run_retries_enabled
    assert not instance.run_retries_retry_on_asset_or_op_failure
    assert instance.run_monitoring_enabled
    [limit] = instance.get_concurrency_config().run_queue_config.tag_concurrency_limits  # type: ignore[union-attr]
    assert limit == {"key": SYNC_SLOT_TAG, "value": {"applyLimitPerUniqueValue": True}, "limit": 1}


def test_dagster_and_the_contacts_use_the_drivers_that_each_works_with(
    instance: dg.DagsterInstance, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storages = (instance.event_log_storage, instance.run_storage, instance.schedule_storage)
    assert {storage._engine.driver for storage in storages} == {"psycopg2"}  # type: ignore[union-attr]
    monkeypatch.setenv("CRM_DATABASE_URL", empty_database_url.replace("postgresql+psycopg", "postgres"))
    engine = connecting.create_engine(load_settings().storage.crm_database_url or "")
    assert engine.driver == "psycopg"
    engine.dispose()
