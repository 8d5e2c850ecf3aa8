"""Edits and selections for an hour, with five faults in turn, watched and judged: `python -m benchmarks.soak`.

`python -m benchmarks.soak 21600` takes six hours, --quick two minutes. A row a minute: what was delivered, how late,
how old the oldest due contact is, what a claim takes, dead rows, tables, memory; then the same by sixths of the time,
where one sees what grows. When the time is over nothing arrives any more; once nothing is due (a dead worker's leases
end after 90 s, in the worst case 25 minutes) the checker of the tests judges: nothing lost, nothing stuck, each contact
at the sandbox as in the database. What it finds is printed last; then the exit code is 1.

The worker is one process that runs again and again. It grows by what Dagster keeps of each run, until it is killed; in
operation each run has a process of its own.
"""

import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise
from threading import Thread

import psycopg
import sqlalchemy as sa

from benchmarks.arrivals import Arrivals, steadily
from benchmarks.faults import FAULTS
from benchmarks.setting import Stage, stage
from benchmarks.steady import Steady
from crm_pipelines.database import connecting
from crm_pipelines.queue.claims import Queue
from crm_pipelines_tests.checker import violations
from crm_pipelines_tests.ends import BrevoEnd
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox

_CONTACTS = 2000
_PER_SECOND = 2.0
_SELECTIONS = 0.2
_BETWEEN_FAULTS = 180.0
_LONGEST_FAULT = 20.0
_LONGEST_QUIET = 40 * 60.0
_ENVIRONMENT = {
    "BREVO_LIST_ID": "2",
    "BREVO_RATE_LIMIT_PER_SECOND": "100",
    "BREVO_SYNC_RETRY_DELAY_MINUTES": "1",
    "BREVO_SYNC_RETRY_EXPONENTIAL": "false",
    "BREVO_SYNC_MAX_RETRIES": "20",
}
_OPEN = "SELECT count(*) FROM crm_syncs WHERE state IN ('queued', 'claimed')"
# The ledger grows with every delivery, until it is pruned.
_LOOK = """
    SELECT (SELECT count(*) FROM crm_attempts WHERE outcome IN ('synced', 'unchanged')) AS delivered,
           (SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables)::bigint AS dead,
           sum(pg_table_size(oid)) / 1048576.0::float8 AS tables,
           sum(pg_indexes_size(oid)) / 1048576.0::float8 AS indexes
      FROM pg_class WHERE oid IN ('crm_syncs'::regclass, 'crm_contacts'::regclass, 'crm_gates'::regclass)"""
_DELAYS = """
    SELECT coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY seconds), 0) AS p50,
           coalesce(percentile_disc(0.99) WITHIN GROUP (ORDER BY seconds), 0) AS p99
      FROM (SELECT extract(epoch FROM finished_at - wanted_since)::float8 AS seconds FROM crm_attempts
             WHERE outcome IN ('synced', 'unchanged') AND wanted_since IS NOT NULL
               AND finished_at > now() - make_interval(secs => :window)) AS latest"""
_MINUTES = (
    "min",
    "fault",
    "delivered",
    "delay p50, s",
    "p99",
    "oldest due, s",
    "claim, ms",
    "dead rows",
    "tables, MB",
    "indexes",
    "worker",
    "sandbox",
)
_PARTS = ("min", "faults", "runs", "failed", *_MINUTES[2:])
_SIXTHS = 6
_BY_SIXTHS = "\nBy sixths: the highest of each figure, the median of the delay p50, and how many runs and deliveries.\n"
_LOST_BEGINNING = "the ledger knows"


@dataclass(frozen=True, kw_only=True)
class Minute:
    """`at`: minutes since the beginning. `runs`, `failed`, `delivered`: so far.

    `p50`, `p99`: seconds from an edit or a selection to the CRM, of what was delivered in it; `oldest`: seconds;
    `claim`: milliseconds; `tables`, `indexes`, `worker`, `sandbox`: MB.
    """

    at: float
    faults: Sequence[str]
    runs: int
    failed: int
    delivered: int
    p50: float
    p99: float
    oldest: float
    claim: float
    dead: int
    tables: float
    indexes: float
    worker: float
    sandbox: float

    @property
    def cells(self) -> tuple[str, ...]:
        """For _MINUTES."""
        return (f"{self.at:.1f}", ", ".join(self.faults), f"{self.delivered:,}", *self.sizes)

    @property
    def sizes(self) -> tuple[str, ...]:
        """What should not grow; no delay where nothing was delivered."""
        delays = (f"{self.p50:.1f}", f"{self.p99:.1f}") if self.p99 else ("–", "–")
        megabytes = (f"{self.tables:.1f}", f"{self.indexes:.1f}", f"{self.worker:.0f}", f"{self.sandbox:.0f}")
        return (*delays, f"{self.oldest:.0f}", f"{self.claim:.1f}", f"{self.dead:,}", *megabytes)


def main() -> None:
    quick = "--quick" in sys.argv
    seconds = next((float(one) for one in sys.argv[1:] if not one.startswith("-")), 90.0 if quick else 3600.0)
    with stage(ends_at=time.monotonic() + seconds + _LONGEST_QUIET + 600) as there:
        found = soak(there, seconds, 15.0 if quick else 60.0)
    for sentence in (*found, f"{len(found)} findings."):
        print(sentence)  # noqa: T201
    sys.exit(1 if found else 0)


def soak(there: Stage, seconds: float, between_rows: float) -> list[str]:
    """What is wrong in the end, in sentences."""
    there.configure()
    end = BrevoEnd(BrevoSandbox(there.sandbox))
    end.set_up("one")
    there.queue(_CONTACTS)
    engine = connecting.create_engine(there.url, application_name="soak")
    try:
        with Steady(there, limit=10_000, pause=2.0, **_ENVIRONMENT) as steady:
            steady.wait_for_runs(1)
            with Arrivals(there, steadily(_PER_SECOND, selections=_SELECTIONS)):
                minutes = list(_watched(there, steady, engine, seconds, between_rows))
            print(_BY_SIXTHS)  # noqa: T201
            _print_row(_PARTS)
            _print_row(["---"] * len(_PARTS))
            for cells in parts(minutes):
                _print_row(cells)
            found = [] if _until_quiet(there, steady, engine, between_rows) else ["Contacts are still due or claimed."]
        log_is_whole = end.sandbox.requests()[0]["seq"] == 1
        with engine.connect() as connection:
            ids = connection.execute(sa.text("SELECT id FROM crm_contacts")).scalars().all()
        judged = violations(engine, end, culprits=set(ids))
        return found + [one for one in judged if log_is_whole or not one.startswith(_LOST_BEGINNING)] + growth(minutes)
    finally:
        engine.dispose()


def growth(minutes: Sequence[Minute]) -> list[str]:
    """What is half as large again in the last third as it was in the one before. Nothing of a short soak."""
    third = len(minutes) // 3
    if third < 5:
        return []
    found = []
    for name, margin in (("dead", 10_000), ("tables", 5), ("indexes", 5), ("worker", 50)):
        before, after = (
            max(getattr(one, name) for one in part) for part in (minutes[third : 2 * third], minutes[2 * third :])
        )
        if after > 1.5 * before + margin:
            found.append(f"It grows: {name} from {before:,.0f} to {after:,.0f} in the last third.")
    return found


def parts(minutes: Sequence[Minute]) -> list[tuple[str, ...]]:
    """Rows for _PARTS, of which each is a sixth of the time; what is still growing in the last is seen."""
    edges = sorted({round(number * len(minutes) / _SIXTHS) for number in range(_SIXTHS + 1)})
    rows = []
    for first, end in pairwise(edges):
        part, before = minutes[first:end], minutes[first - 1] if first else None
        worst = {
            name: max(getattr(one, name) for one in part)
            for name in ("p99", "oldest", "claim", "dead", "tables", "indexes", "worker", "sandbox")
        }
        whole = replace(part[-1], p50=statistics.median(one.p50 for one in part), **worst)
        faults = sum(len(one.faults) for one in part)
        runs, failed, delivered = (
            getattr(part[-1], name) - (getattr(before, name) if before else 0)
            for name in ("runs", "failed", "delivered")
        )
        since = before.at if before else 0.0
        rows.append(
            (f"{since:.3g}–{whole.at:.3g}", f"{faults}", f"{runs}", f"{failed}", f"{delivered:,}", *whole.sizes)
        )
    return rows


def _watched(there: Stage, steady: Steady, engine: sa.Engine, seconds: float, between_rows: float) -> Iterator[Minute]:
    began, faults = time.monotonic(), _faults()
    between = min(_BETWEEN_FAULTS, seconds / (len(FAULTS) + 1))
    next_fault, thread = began + between / 2, None
    _print_row(_MINUTES)
    _print_row(["---"] * len(_MINUTES))
    for number in count(1):
        until, told = began + number * between_rows, list[str]()
        while (now := time.monotonic()) < min(until, began + seconds):
            if now >= next_fault and (thread is None or not thread.is_alive()):
                told.append(name := next(faults))
                thread = Thread(target=FAULTS[name], args=(there, steady, min(_LONGEST_FAULT, between / 3)))
                thread.start()
                next_fault = now + between
            time.sleep(0.5)
        minute = _minute(there, steady, engine, (until - began) / 60, told, between_rows)
        _print_row(minute.cells)
        yield minute
        if time.monotonic() >= began + seconds:
            break
    if thread is not None:
        thread.join()


def _faults() -> Iterator[str]:
    """All five, then all five again in another order."""
    while True:
        yield from random.sample(list(FAULTS), len(FAULTS))


def _until_quiet(there: Stage, steady: Steady, engine: sa.Engine, between_rows: float) -> bool:
    began, printed = time.monotonic(), time.monotonic()
    while there.scalar(_OPEN):
        if time.monotonic() > began + _LONGEST_QUIET:
            return False
        if time.monotonic() > printed + between_rows:
            printed = time.monotonic()
            told = ["nothing arrives any more"]
            _print_row(_minute(there, steady, engine, (printed - began) / 60, told, between_rows).cells)
        time.sleep(1)
    print(f"\nNothing was due {time.monotonic() - began:.0f} s after the last arrival.", flush=True)  # noqa: T201
    return True


def _minute(there: Stage, steady: Steady, engine: sa.Engine, at: float, faults: Sequence[str], window: float) -> Minute:
    """Once the database answers."""
    while True:
        try:
            with engine.connect() as connection:
                look = connection.execute(sa.text(_LOOK)).one()
                delays = connection.execute(sa.text(_DELAYS), {"window": window}).one()
            oldest = Queue(engine, "brevo").backlog().oldest_due_seconds
            claim = max(there.claim_cost(10).milliseconds for _ in range(3))
        except (sa.exc.OperationalError, psycopg.OperationalError):
            time.sleep(0.5)
        else:
            return Minute(
                at=at,
                faults=faults,
                runs=len(steady.runs),
                failed=sum(not run.success for run in steady.runs),
                oldest=oldest,
                claim=claim,
                worker=steady.megabytes(),
                sandbox=there.sandbox_megabytes(),
                **look._mapping,
                **delays._mapping,
            )


def _print_row(cells: Sequence[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
