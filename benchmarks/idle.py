"""What Dagster takes while nothing is due: the code server and the daemon, by the number of destinations."""

import json
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil
import sqlalchemy as sa

from benchmarks.setting import ROOT, Stage
from crm_pipelines.local.environment import listens
from crm_pipelines.local.processes import Processes, free_port
from crm_pipelines.local.up import LOCATION

# Sensors tick for the first time, definitions are loaded, connections opened.
_SETTLING_SECONDS = 20


@dataclass(frozen=True, kw_only=True)
class Idle:
    """`load`: seconds until the code server answers. `code`, `daemon`, `postgres`: processors used, 1 is one of them.

    `megabytes`: of the code server and the daemon together. `ticks`: per minute, of sensors; `wal`: bytes a second.
    """

    load: float
    code: float
    daemon: float
    postgres: float
    megabytes: float
    ticks: float
    wal: float


def names(destinations: int) -> list[str]:
    return [f"brevo_{number}" for number in range(1, destinations + 1)]


def idle(there: Stage, destinations: int, seconds: float, *, prompt: int | None = None) -> Idle:
    """So many destinations with nothing due, watched for so long; `prompt`: their `…_SYNC_PROMPT_SECONDS`."""
    own = {"CRM_DESTINATIONS": ",".join(f"{name}:brevo" for name in names(destinations))}
    for name in names(destinations):
        own |= {f"{name.upper()}_API_KEY": name, f"{name.upper()}_API_BASE_URL": f"{there.sandbox}/v3"}
        own |= {f"{name.upper()}_SYNC_PROMPT_SECONDS": str(prompt)} if prompt else {}
    environment = there.environment(own)
    port = free_port()
    workspace = there.folder / "workspace.yaml"
    server = {"host": "127.0.0.1", "port": port, "location_name": LOCATION}
    workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}), encoding="utf-8")
    code = [sys.executable, "-m", "dagster", "api", "grpc", "-h", "127.0.0.1", "-p", str(port)]
    code += ["-m", "crm_pipelines.definitions", "--location-name", LOCATION, "--use-python-environment-entry-point"]
    daemon = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(workspace)]
    with Processes(there.folder / "idle.log") as processes:
        started = time.monotonic()
        processes.start("code", code, env=environment, cwd=ROOT, ready=lambda: listens(port), timeout=120)
        load = time.monotonic() - started
        processes.start("daemon", daemon, env=environment, cwd=ROOT)
        time.sleep(_SETTLING_SECONDS)
        since, began = datetime.now(UTC), time.monotonic()
        before = _spent(there)
        time.sleep(seconds)
        took, after = time.monotonic() - began, _spent(there)
        used = {name: (after[name] - before[name]) / took for name in after}
        return Idle(
            load=load,
            code=used["code"],
            daemon=used["daemon"],
            postgres=used["postgres"],
            megabytes=sum(one.memory_info().rss for one in _programs().values()) / 2**20,
            ticks=_ticks(there, since) * 60 / took,
            wal=used["wal"],
        )


def _spent(there: Stage) -> dict[str, float]:
    programs = {name: sum(program.cpu_times()[:4]) for name, program in _programs().items()}
    return {**programs, "postgres": there.cpu_seconds()["Postgres"], "wal": there.wal_bytes()}


def _programs() -> dict[str, psutil.Process]:
    """The code server and the daemon below us; what watches over them has their arguments, too."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        arguments = process.cmdline()
        if "crm_pipelines.local.guard" in arguments:
            continue
        if "grpc" in arguments and "code" not in found:
            found["code"] = process
        elif "dagster._daemon" in arguments and "daemon" not in found:
            found["daemon"] = process
    return found


def _ticks(there: Stage, since: datetime) -> int:
    engine = sa.create_engine(there.dagster_url)
    try:
        with engine.connect() as connection:
            query = sa.text("SELECT count(*) FROM job_ticks WHERE type = 'SENSOR' AND timestamp > :since")
            return int(connection.scalar(query, {"since": since.replace(tzinfo=None)}) or 0)
    finally:
        engine.dispose()
