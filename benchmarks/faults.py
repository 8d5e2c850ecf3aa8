"""Five faults, each for some seconds, over a stage on which a `Steady` delivers."""

import time
from collections.abc import Callable, Mapping

import psutil
import psycopg
import requests

from benchmarks.setting import Stage
from benchmarks.steady import Steady

HOUR = 3600.0
_LONGEST_RESTART = 60.0
_CUT = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'crm-pipelines%'"

Fault = Callable[[Stage, Steady, float], None]


def worker_killed(_: Stage, steady: Steady, seconds: float) -> None:
    """SIGKILL, once. Another process takes its place as soon as it has started."""
    steady.kill()
    time.sleep(seconds)


def connections_cut(there: Stage, _: Steady, seconds: float) -> None:
    """All connections of ours to the contacts database, twice a second."""
    end = time.monotonic() + seconds
    with psycopg.connect(there.url.replace("+psycopg", ""), autocommit=True, application_name="cutter") as connection:
        while time.monotonic() < end:
            connection.execute(_CUT)
            time.sleep(0.5)


def postgres_restarted(there: Stage, _: Steady, seconds: float) -> None:
    """SIGKILL of the server, with both databases; it is started anew at once and recovers by its log."""
    started = time.monotonic()
    with psycopg.connect(there.url.replace("+psycopg", "")) as connection:
        server = psutil.Process(connection.info.backend_pid).parent()
    assert server is not None
    server.kill()
    while True:
        try:
            psycopg.connect(there.url.replace("+psycopg", ""), connect_timeout=5).close()
        except psycopg.OperationalError:
            if time.monotonic() > started + _LONGEST_RESTART:
                raise
            time.sleep(0.1)
        else:
            break
    time.sleep(max(0.0, seconds - (time.monotonic() - started)))


def crm_down(there: Stage, _: Steady, seconds: float) -> None:
    """It breaks every connection off before it does anything."""
    rules = [{"action": "reset_before", "path": "/v3"}]
    requests.post(f"{there.sandbox}/_sandbox/faults", json=rules, timeout=60).raise_for_status()
    try:
        time.sleep(seconds)
    finally:
        requests.delete(f"{there.sandbox}/_sandbox/faults", timeout=60).raise_for_status()


def clock_off(_: Stage, steady: Steady, seconds: float) -> None:
    """The worker's clock jumps an hour ahead, then two back, then is right again."""
    for ahead in (HOUR, -HOUR):
        steady.set_clock(ahead)
        time.sleep(seconds / 2)
    steady.set_clock(0.0)


FAULTS: Mapping[str, Fault] = {
    "worker killed": worker_killed,
    "connections cut": connections_cut,
    "Postgres restarted": postgres_restarted,
    "CRM down": crm_down,
    "clock off by an hour": clock_off,
}
