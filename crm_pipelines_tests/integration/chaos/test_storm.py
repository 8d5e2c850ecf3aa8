"""A short storm from a fixed seed, and what it leaves behind. `make chaos` is the long one."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from crm_pipelines.contacts.embedded import EmbeddedPostgres
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.fixtures.traces import process_list, traces_in_files, traces_in_tables
from crm_pipelines_tests.storm import Storm

SEED = 20
SECRETS = ["@example.com", "Zebedee", "Quux", "1202555", "xkeysib"]


@pytest.fixture
def dagster_home(tmp_path: Path, empty_database_url: str) -> Path:
    """A Dagster instance whose records are in Postgres, as they are under `make up`."""
    home = tmp_path / "home"
    home.mkdir()
    url = empty_database_url.replace("+psycopg", "+psycopg2")
    # JSON is YAML.
    storage = {"postgres": {"postgres_url": url}}
    (home / "dagster.yaml").write_text(json.dumps({"storage": storage, "telemetry": {"enabled": False}}))
    return home


def test_a_storm_loses_nothing_and_tells_nothing_to_logs_tables_and_files(
    postgres_server: EmbeddedPostgres,
    database_url: str,
    empty_database_url: str,
    brevo_sandbox: BrevoSandbox,
    dagster_home: Path,
    tmp_path: Path,
) -> None:
    storm = Storm(
        database_url, brevo_sandbox, tmp_path, seed=SEED, contacts=120, dagster_home=dagster_home, look=process_list
    )
    findings = storm.run(seconds=8)
    assert findings.violations == [], f"seed {SEED}"
    password = sa.make_url(database_url).password
    words = [*SECRETS, *([password] if password else [])]
    assert not [word for word in words if word in storm.seen]
    (dagster_home / "dagster.yaml").unlink()  # the one file that must know the way to the database
    assert traces_in_files(tmp_path, words) == []
    engine = sa.create_engine(empty_database_url)
    try:
        assert traces_in_tables(engine, words) == []
    finally:
        engine.dispose()
