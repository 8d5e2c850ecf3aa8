"""The stage: a Postgres with its default durability, a sandbox, and processes that are measured on it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import requests
import sqlalchemy as sa

from crm_pipelines.contacts import database
from crm_pipelines.contacts.embedded import embedded_postgres
from crm_pipelines.local.environment import prepare_databases
from crm_pipelines.local.processes import free_port

ROOT = Path(__file__).resolve().parents[1]


class Stage:
    """A contacts database, Dagster's database and a sandbox."""

    def __init__(self, url: str, dagster_url: str, sandbox: str) -> None:
        self.url = url
        self.dagster_url = dagster_url
        self.sandbox = sandbox

    def configure(self, **settings: Any) -> None:
        """A new sandbox account with these settings; no rate limits unless given."""
        requests.post(f"{self.sandbox}/_sandbox/reset", json={}, timeout=60).raise_for_status()
        off = {"contacts_per_second": 0, "contacts_per_hour": 0, "others_per_hour": 0}
        requests.post(f"{self.sandbox}/_sandbox/config", json={**off, **settings}, timeout=60).raise_for_status()

    def queue(self, contacts: int) -> None:
        """Exactly so many contacts, all queued for Brevo; nothing known of the account."""
        engine = database.create_engine(self.url)
        try:
            with engine.begin() as connection:
                connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
                connection.execute(sa.text("TRUNCATE crm_contacts, crm_syncs, crm_attempts"))
                connection.execute(
                    sa.text(
                        "UPDATE crm_gates SET limit_observed = NULL, paused_until = NULL, pause_kind = NULL, "
                        "slow_until = NULL, next_slot_at = now(), consecutive_failures = 0, probing = false"
                    )
                )
                connection.execute(
                    sa.text(
                        "INSERT INTO crm_contacts (email, name, phone_number, custom_fields) "
                        "SELECT 'person' || n || '@example.com', 'Person Number' || n, '+1202' || (5550000 + n), "
                        "'{}' FROM generate_series(1, :n) n"
                    ),
                    {"n": contacts},
                )
                connection.execute(
                    sa.text(
                        "INSERT INTO crm_syncs (contact_id, crm, contact_revision) "
                        "SELECT id, 'brevo', 1 FROM crm_contacts"
                    )
                )
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(sa.text("VACUUM ANALYZE crm_contacts, crm_syncs, crm_attempts"))
        finally:
            engine.dispose()

    def run(self, **environment: str) -> dict[str, Any]:
        """One run of brevo_sync in a process of its own: its figures."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("BREVO_", "CRM_"))}
        env |= {
            "CRM_DATABASE_URL": self.url,
            "DAGSTER_POSTGRES_URL": self.dagster_url,
            "DAGSTER_HOME": str(ROOT),
            "BREVO_API_KEY": "benchmark",
            "BREVO_API_BASE_URL": f"{self.sandbox}/v3",
            **environment,
        }
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.worker"], env=env, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"A measured run failed: {done.stderr[-2000:]}")
        figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return figures

    def requests(self) -> list[dict[str, Any]]:
        """The sandbox's log of requests."""
        log: list[dict[str, Any]] = requests.get(f"{self.sandbox}/_sandbox/requests", timeout=60).json()
        return log


@contextmanager
def stage() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="crm-pipelines-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with embedded_postgres(folder / "postgres") as server:
            server.create_database("contacts")
            server.create_database("dagster")
            dagster_url = server.url("dagster").replace("+psycopg:", "+psycopg2:")
            prepare_databases(server.url("contacts"), dagster_url, ROOT)
            port = free_port()
            command = [sys.executable, "-m", "crm_pipelines.sandbox.brevo", "--port", str(port)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sandbox:
                try:
                    assert sandbox.stdout
                    sandbox.stdout.readline()
                    yield Stage(server.url("contacts"), dagster_url, f"http://127.0.0.1:{port}")
                finally:
                    sandbox.terminate()


def noop_run_seconds() -> float:
    """What Dagster itself takes for a run of the same shape that does nothing."""

    @dg.op(out=dg.DynamicOut())
    def fetch() -> Iterator[dg.DynamicOutput[int]]:
        yield dg.DynamicOutput(1, mapping_key="batch_1")

    @dg.op
    def send(batch: int) -> int:
        return batch

    @dg.op
    def write(batch: int) -> int:
        return batch

    @dg.op
    def report(batches: list[int]) -> int:
        return len(batches)

    @dg.job
    def nothing() -> None:
        report(fetch().map(send).map(write).collect())

    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.get() as instance:
        result = nothing.execute_in_process(instance=instance, run_config=quiet)
        stats = instance.get_run_stats(result.run_id)
        assert stats.start_time is not None
        assert stats.end_time is not None
        return stats.end_time - stats.start_time
