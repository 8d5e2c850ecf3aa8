"""The nightly job that deletes what is old, and nothing else. On Postgres, as Dagster keeps its records in earnest."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from crm_pipelines.destinations.registered import register
from crm_pipelines.local.embedded import EmbeddedPostgres
from crm_pipelines.orchestration.assets import queue_materialization
from crm_pipelines.orchestration.checks import standing_checks, standing_evaluations
from crm_pipelines.orchestration.sync.tags import sync_slot
from crm_pipelines.orchestration.upkeep import pruning
from crm_pipelines.orchestration.upkeep.pruning import prune_history_job
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.integration.orchestration.standings import a_standing

LONG_AGO = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=60)


@dg.op
def nothing() -> None:
    pass


@dg.job(name="brevo_sync", tags=sync_slot("brevo", 1))
def some_job() -> None:
    nothing()


class Records:
    """Dagster's storage as a test ages and counts it."""

    def __init__(self, instance: dg.DagsterInstance, url: str) -> None:
        self.instance = instance
        self.engine = sa.create_engine(url)

    def run(self, statement: str, **parameters: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement), parameters)

    def count(self, table: str) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one())

    def add_runs(self, count: int, status: dg.DagsterRunStatus = dg.DagsterRunStatus.SUCCESS) -> list[str]:
        """Old ones."""
        ids = [
            self.instance.create_run_for_job(some_job, tags=some_job.tags, status=status).run_id for _ in range(count)
        ]
        self.run("UPDATE runs SET update_timestamp = :then, create_timestamp = :then", then=LONG_AGO)
        return ids


@pytest.fixture(scope="module")
def _records(postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Records]:
    postgres_server.create_database("pruned")
    url = postgres_server.url("pruned")
    given = sa.make_url(url).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
    storage = {"postgres": {"postgres_url": given}}
    folder = str(tmp_path_factory.mktemp("dagster"))
    with dg.instance_for_test(overrides={"storage": storage}, temp_dir=folder) as instance:
        records = Records(instance, url)
        yield records
        records.engine.dispose()


@pytest.fixture
def records(_records: Records, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Records:
    """Dagster's storage without a run or an event."""
    monkeypatch.setenv("CRM_DATABASE_URL", database_url)
    _records.run("TRUNCATE runs, event_logs, asset_keys, asset_check_executions CASCADE")
    return _records


def prune(records: Records, **config: Any) -> dict[str, Any]:
    result = prune_history_job(["brevo_sync"]).execute_in_process(
        instance=records.instance, run_config={"ops": {"delete_old": {"config": config}}}
    )
    [output] = [event for event in result.all_events if event.is_successful_output]
    return {name: value.value for name, value in output.step_output_data.metadata.items()}


def test_old_runs_and_their_events_go_but_for_active_ones_and_the_newest_of_each_job(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "NEWEST_KEPT", 2)
    monkeypatch.setattr(pruning, "_RUNS_AT_A_TIME", 3)
    with_events = some_job.execute_in_process(instance=records.instance).run_id
    active = records.add_runs(1, dg.DagsterRunStatus.STARTED)
    old = records.add_runs(6)
    young = records.instance.create_run_for_job(some_job, tags=some_job.tags, status=dg.DagsterRunStatus.SUCCESS).run_id
    assert prune(records, dry_run=True)["runs"] == 6
    assert len(records.instance.all_logs(with_events)) > 0
    files = Path(records.instance.storage_directory())
    for run_id in (*old, *active):
        (files / run_id).mkdir(parents=True)
        (files / run_id / "result").write_text("")
    assert prune(records)["runs"] == 6
    left = {run.run_id for run in records.instance.get_runs() if run.job_name == "brevo_sync"}
    assert left == {*active, old[-1], young}
    assert len(records.instance.all_logs(with_events)) == 0
    kept = {run_id for run_id in (*old, *active) if (files / run_id).exists()}
    assert kept == {*active, old[-1]}, "their files have gone as well"
    assert prune(records)["runs"] == 0, "it may be repeated"


def test_old_reports_and_evaluations_go_but_for_the_latest_of_each(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_ROWS_AT_A_TIME", 4)
    for _ in range(3):
        records.instance.report_runless_asset_event(queue_materialization(a_standing()))
        for evaluation in standing_evaluations(a_standing()):
            records.instance.report_runless_asset_event(evaluation)
    records.run("UPDATE event_logs SET timestamp = :then", then=LONG_AGO)
    records.run("UPDATE asset_check_executions SET evaluation_event_timestamp = :then", then=LONG_AGO)
    standing = standing_checks("brevo")
    checks = records.count("asset_check_executions")
    assert prune(records)["reports_and_evaluations"] > 0
    assert records.count("asset_check_executions") == len(standing) < checks
    storage = records.instance.event_log_storage
    assert storage.get_latest_asset_check_execution_by_key(standing).keys() == set(standing)
    assert records.instance.get_latest_materialization_event(dg.AssetKey(["brevo", "queue"])) is not None
    assert prune(records)["reports_and_evaluations"] == 0


def test_the_audit_log_keeps_as_many_days_as_configured_and_so_do_answers_kept_for_a_day(
    records: Records, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm_pipelines.access.api_writes._AT_A_TIME", 2)
    people.run("INSERT INTO crm_tokens (id, name, digest, scopes) VALUES ('t', 'web', '', '{write}')")
    for days in (1, 364, 366, 400, 800):
        people.run(
            "INSERT INTO crm_api_writes (token_id, action, contacts, request_id, at) "
            "VALUES ('t', 'select', 1, 'r', now() - make_interval(days => :days))",
            days=days,
        )
        people.run(
            "INSERT INTO crm_idempotency_keys (token_id, key, fingerprint, created_at) "
            "VALUES ('t', :days, '', now() - make_interval(days => :days))",
            days=days,
        )
    assert prune(records, dry_run=True)["audit_lines"] == 3
    assert prune(records)["audit_lines"] == 3
    assert len(people.all("SELECT 1 FROM crm_api_writes")) == 2
    assert people.all("SELECT 1 FROM crm_idempotency_keys") == [], "nobody writes by the API to have them deleted"
    monkeypatch.setenv("KEEP_AUDIT_DAYS", "31")
    assert prune(records)["audit_lines"] == 1


def test_the_ledger_keeps_as_many_days_as_configured_and_what_nobody_carried_over_yet(
    records: Records, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm_pipelines.queue.ledger._AT_A_TIME", 2)
    people.add(1)
    for days, applied in ((1, True), (89, True), (91, True), (200, True), (300, True), (300, False)):
        people.run(
            "INSERT INTO crm_attempts (contact_id, crm, claim_no, run_id, revision, outcome, started_at, finished_at, "
            "applied_at) SELECT contact_id, crm, (SELECT count(*) FROM crm_attempts), 'r', 1, 'synced', now(), "
            "now() - make_interval(days => :days), CASE WHEN :applied THEN now() END FROM crm_syncs",
            days=days,
            applied=applied,
        )
    assert prune(records, dry_run=True)["attempts"] == 3
    assert prune(records)["attempts"] == 3
    assert len(people.all("SELECT 1 FROM crm_attempts")) == 3
    monkeypatch.setenv("KEEP_ATTEMPTS_DAYS", "31")
    assert prune(records)["attempts"] == 1


def test_the_ledger_of_every_destination_is_pruned(records: Records, people: People) -> None:
    register(people.engine, "brevo_eu", "brevo")
    [contact] = people.add(1)
    for crm in ("brevo", "brevo_eu", "hubspot"):
        people.run(
            "INSERT INTO crm_attempts (contact_id, crm, claim_no, run_id, revision, outcome, started_at, finished_at, "
            "applied_at) VALUES (:id, :crm, 1, 'r', 1, 'synced', now(), now() - interval '91 days', now())",
            id=contact,
            crm=crm,
        )
    assert prune(records, dry_run=True)["attempts"] == 3
    assert prune(records)["attempts"] == 3
    assert people.all("SELECT 1 FROM crm_attempts") == []
