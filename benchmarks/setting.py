"""The stage: a Postgres with its default durability, a sandbox, and processes that are measured on it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import requests
import sqlalchemy as sa

from crm_pipelines.database import connecting
from crm_pipelines.database.sql import load_statements
from crm_pipelines.local.embedded import embedded_postgres
from crm_pipelines.local.environment import prepare_databases
from crm_pipelines.local.processes import free_port

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is measured: `bulk` are sizes and how often each; `seconds` is what all may take together.

    `stages`: the size of which the stages are measured, in a run more. `refused`: of an import with refused rows,
    `slow_imports`: also where an import takes its time.
    `evidence`: an old snapshot, faults, weights.
    """

    seconds: float
    repeats: int
    bulk: tuple[tuple[int, int], ...]
    stages: int
    refused: int
    slow_imports: bool
    limit_seconds: int
    due_later: int
    api: bool
    evidence: bool


FULL = Scale(
    seconds=1200,
    repeats=2,
    bulk=((1_000, 1), (10_000, 1), (100_000, 1)),
    stages=10_000,
    refused=20_000,
    slow_imports=False,
    limit_seconds=60,
    due_later=100_000,
    api=True,
    evidence=True,
)
MILLION = 1_000_000
WITH_A_MILLION = replace(
    FULL, seconds=3600, bulk=((1_000, 1), (10_000, 2), (100_000, 2), (MILLION, 1)), stages=50_000, slow_imports=True
)
QUICK = Scale(
    seconds=600,
    repeats=1,
    bulk=((1_000, 1), (10_000, 1)),
    stages=5_000,
    refused=5_000,
    slow_imports=False,
    limit_seconds=10,
    due_later=5_000,
    api=False,
    evidence=False,
)


_LONGEST_FIRST_RUN = 180.0
_NO_LIMITS = {
    "brevo": {"contacts_per_second": 0, "contacts_per_hour": 0, "others_per_hour": 0},
    "hubspot": {"per_ten_seconds": 0, "per_day": 0, "searches_per_second": 0},
}
_UNDER_WAY = {"queued", "in_process"}
_API = {"brevo": "/v3", "hubspot": ""}


class NoTimeLeft(Exception):
    """The benchmarks have taken what they may take."""


@dataclass(frozen=True, kw_only=True)
class ClaimCost:
    """Rows that were claimed, pages of 8 KB that were touched for it, and the time."""

    rows: int
    buffers: int
    milliseconds: float


class Stage:
    """A contacts database, Dagster's database and the sandbox of a CRM; `ends_at` is a monotonic time."""

    def __init__(
        self,
        url: str,
        dagster_url: str,
        sandbox: str,
        sandbox_process: psutil.Process,
        folder: Path,
        ends_at: float,
        crm: str = "brevo",
    ) -> None:
        self.url = url
        self.dagster_url = dagster_url
        self.sandbox = sandbox
        self._sandbox_process = sandbox_process
        self.folder = folder
        self.ends_at = ends_at
        self.crm = crm

    @contextmanager
    def beside(self, crm: str) -> Iterator["Stage"]:
        """The same databases with the sandbox of another CRM."""
        with _sandbox(crm) as (url, process):
            yield Stage(self.url, self.dagster_url, url, process, self.folder, self.ends_at, crm)

    def time_left(self) -> float:
        """Seconds. Raises NoTimeLeft."""
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise NoTimeLeft
        return left

    def configure(self, **settings: Any) -> None:
        """A new sandbox account with these settings; no rate limits unless given."""
        requests.post(f"{self.sandbox}/_sandbox/reset", json={}, timeout=60).raise_for_status()
        given = {**_NO_LIMITS[self.crm], **settings}
        requests.post(f"{self.sandbox}/_sandbox/config", json=given, timeout=60).raise_for_status()

    def queue(self, contacts: int) -> None:
        """Exactly so many contacts, all queued for the CRM; nothing known of the account."""
        engine = connecting.create_engine(self.url)
        try:
            with engine.begin() as connection:
                connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
                connection.execute(sa.text("TRUNCATE crm_contacts CASCADE"))
                connection.execute(
                    sa.text(
                        "UPDATE crm_gates SET limit_observed = NULL, paused_until = NULL, pause_kind = NULL, "
                        "slow_until = NULL, next_poll_at = now(), aside_full_at = now(), next_slot_at = now(), "
                        "consecutive_failures = 0, probing = false"
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
                        "INSERT INTO crm_syncs (contact_id, crm, contact_revision) SELECT id, :crm, 1 FROM crm_contacts"
                    ),
                    {"crm": self.crm},
                )
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(sa.text("VACUUM ANALYZE crm_contacts, crm_syncs, crm_attempts"))
        finally:
            engine.dispose()

    def run(self, limit: int = 0, *, stages: bool = False, **environment: str) -> dict[str, Any]:
        """Figures of a run of the CRM's job in a process of its own, of at most `limit` contacts. Raises NoTimeLeft."""
        arguments = [self.crm, str(limit), *(["stages"] if stages else [])]
        return self.figures([sys.executable, "-m", "benchmarks.worker", *arguments], self.environment(environment))

    def floor(self) -> dict[str, Any]:
        """Figures of the bare program that delivers whatever is queued. Raises NoTimeLeft."""
        return self.figures([sys.executable, "-m", "benchmarks.floor"], self.environment({}))

    def figures(
        self, command: Sequence[str | Path], environment: Mapping[str, str], *, folder: Path = ROOT
    ) -> dict[str, Any]:
        """What a program prints at its end, and what Postgres and the sandbox spent meanwhile. Raises NoTimeLeft."""
        before = self.cpu_seconds()
        try:
            done = subprocess.run(
                command,
                env=environment,
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
                timeout=self.time_left(),
            )
        except subprocess.TimeoutExpired:
            raise NoTimeLeft from None
        if done.returncode:
            raise RuntimeError(f"A measured run failed with exit code {done.returncode}: {done.stderr[-2000:]}")
        figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        spent = {name: seconds - before[name] for name, seconds in self.cpu_seconds().items()}
        return figures | {"cpu_of_others": spent}

    def run_together(self, limits: Sequence[int], **environment: str) -> None:
        """Runs at the same time, each in a process of its own, of so many contacts."""
        with ThreadPoolExecutor(len(limits)) as pool:
            for done in [pool.submit(partial(self.run, limit, **environment)) for limit in limits]:
                done.result()

    def environment(self, more: dict[str, str]) -> dict[str, str]:
        """What a program on this stage is started with."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("BREVO_", "CRM_", "HUBSPOT_"))}
        return env | {
            "CRM_DATABASE_URL": self.url,
            "DAGSTER_POSTGRES_URL": self.dagster_url,
            "DAGSTER_HOME": str(ROOT),
            "CRM_PIPELINES_DATA_DIR": str(self.folder / "data"),
            f"{self.crm.upper()}_API_KEY": "benchmark",
            f"{self.crm.upper()}_API_BASE_URL": f"{self.sandbox}{_API[self.crm]}",
            **more,
        }

    @contextmanager
    def under_the_daemon(self, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """`crm-pipelines up` on this stage, with a tick every minute unless `environment` says otherwise."""
        env = self.environment({"BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES": "1", **environment})
        ports = ("--port", str(free_port()), "--api-port", str(free_port()))
        command = [sys.executable, "-m", "crm_pipelines", "up", *ports]
        with subprocess.Popen(command, env=env, cwd=ROOT, stderr=subprocess.DEVNULL) as up:
            try:
                yield up
            finally:
                up.send_signal(signal.SIGINT)

    def first_scheduled_run(self) -> tuple[float, float]:
        """Seconds from the tick to the run's start and to its end. Raises NoTimeLeft or TimeoutError."""
        give_up = time.monotonic() + min(_LONGEST_FIRST_RUN, self.time_left())
        done = dg.RunsFilter(
            job_name="brevo_sync",
            tags={"dagster/schedule_name": "brevo_sync_schedule"},
            statuses=[dg.DagsterRunStatus.SUCCESS],
        )
        with dg.DagsterInstance.get() as instance:
            while not (records := instance.get_run_records(done, limit=1)):
                if time.monotonic() > give_up:
                    raise TimeoutError
                time.sleep(0.5)
        [record] = records
        assert record.start_time is not None
        assert record.end_time is not None
        created = record.create_timestamp.timestamp()
        tick = created - created % 60  # one every minute
        return record.start_time - tick, record.end_time - tick

    def cpu_seconds(self) -> dict[str, float]:
        """What Postgres and the sandbox have used so far."""
        engine = sa.create_engine(self.url)
        try:
            with engine.connect() as connection:
                backend = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
                server = psutil.Process(backend).parent()
                assert server is not None
                ended = server.cpu_times()
                own = sum(_cpu_seconds(process) for process in (server, *server.children()))
        finally:
            engine.dispose()
        return {
            "Postgres": own + ended.children_user + ended.children_system,
            "the sandbox": _cpu_seconds(self._sandbox_process),
        }

    def sandbox_megabytes(self) -> float:
        """Resident memory of the sandbox."""
        return float(self._sandbox_process.memory_info().rss / 2**20)

    def wal_bytes(self) -> float:
        """What Postgres has written to its log so far."""
        return float(self.scalar("SELECT pg_current_wal_insert_lsn() - '0/0'"))

    def scalar(self, query: str) -> Any:
        """The one value that a query of the contacts database gives."""
        engine = connecting.create_engine(self.url)
        try:
            with engine.connect() as connection:
                return connection.scalar(sa.text(query))
        finally:
            engine.dispose()

    def execute(self, statement: str) -> None:
        engine = connecting.create_engine(self.url)
        try:
            with engine.begin() as connection:
                connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
                connection.execute(sa.text(statement))
        finally:
            engine.dispose()

    def claim_cost(self, limit: int) -> ClaimCost:
        """What a claim of so many contacts would cost now."""
        claim = sa.text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {load_statements('queue/claims')['claim'].text}")
        given = {"crm": "brevo", "run_id": "benchmark", "limit": limit, "lease": "1 h"}
        engine = connecting.create_engine(self.url)
        try:
            with engine.connect() as connection:
                [plan] = connection.execute(claim, given).scalar_one()
                connection.rollback()
        finally:
            engine.dispose()
        top = plan["Plan"]
        return ClaimCost(
            rows=round(top["Actual Rows"]),
            buffers=top["Shared Hit Blocks"] + top["Shared Read Blocks"],
            milliseconds=plan["Execution Time"],
        )

    def event_bytes(self, run_id: str) -> int:
        """Bytes of a run's events in Dagster's storage."""
        engine = sa.create_engine(self.dagster_url)
        try:
            with engine.connect() as connection:
                query = sa.text("SELECT sum(pg_column_size(e.*)) FROM event_logs e WHERE run_id = :run_id")
                return int(connection.execute(query, {"run_id": run_id}).scalar_one() or 0)
        finally:
            engine.dispose()

    def import_seconds(self, module: str) -> float:
        """How long a new interpreter takes to import a module."""
        started = time.monotonic()
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True, cwd=ROOT)
        return time.monotonic() - started

    def requests(self) -> list[dict[str, Any]]:
        """The sandbox's log of requests."""
        log: list[dict[str, Any]] = requests.get(f"{self.sandbox}/_sandbox/requests", timeout=60).json()
        return log

    def held(self) -> list[dict[str, Any]]:
        """The contacts that the sandbox holds once it has done its imports, in the CRM's form. Raises NoTimeLeft."""
        while True:
            state = requests.get(f"{self.sandbox}/_sandbox/state", timeout=60).json()
            if all(process["status"] not in _UNDER_WAY for process in state.get("processes", ())):
                return list(state["contacts"])
            self.time_left()
            time.sleep(0.1)


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


@contextmanager
def stage(ends_at: float) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="crm-pipelines-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with embedded_postgres(folder / "postgres") as server:
            server.create_database("contacts")
            server.create_database("dagster")
            dagster_url = server.url("dagster").replace("+psycopg:", "+psycopg2:")
            prepare_databases(server.url("contacts"), dagster_url, ROOT)
            with _sandbox("brevo") as (url, process):
                yield Stage(server.url("contacts"), dagster_url, url, process, folder, ends_at)


@contextmanager
def _sandbox(crm: str) -> Iterator[tuple[str, psutil.Process]]:
    """A sandbox of the CRM in a process of its own, by its URL."""
    port = free_port()
    command = [sys.executable, "-m", f"crm_pipelines.sandbox.{crm}", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sandbox:
        try:
            assert sandbox.stdout
            sandbox.stdout.readline()
            yield f"http://127.0.0.1:{port}", psutil.Process(sandbox.pid)
        finally:
            sandbox.terminate()
