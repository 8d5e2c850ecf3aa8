"""Edits and selections for an hour, with five faults in turn, watched and judged: `python -m benchmarks.soak`.

`python -m benchmarks.soak 21600` takes six hours, --quick two minutes. A row a minute: what was delivered, how old the
oldest due contact is, what a claim takes, dead rows, tables, memory. When the time is over nothing arrives any more;
once nothing is due (a dead worker's leases end after 90 s, in the worst case 25 minutes) the checker of the tests
judges: nothing lost, nothing stuck, each contact at the sandbox as in the database. Exit code 1 if it finds anything.
"""

import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
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
    SELECT (SELECT count(*) FROM crm_attempts WHERE outcome IN ('synced', 'unchanged')),
           (SELECT sum(n_dead_tup) FROM pg_stat_user_tables), sum(pg_table_size(oid)) / 1048576.0,
           sum(pg_indexes_size(oid)) / 1048576.0
      FROM pg_class WHERE oid IN ('crm_syncs'::regclass, 'crm_contacts'::regclass, 'crm_gates'::regclass)"""
_HEAD = "| min | fault | delivered | oldest due, s | claim, ms | dead rows | tables, MB | indexes | worker | sandbox |"
_LOST_BEGINNING = "the ledger knows"


@dataclass(frozen=True, kw_only=True)
class Minute:
    """`oldest`: seconds; `claim`: milliseconds; `tables`, `indexes`, `worker`, `sandbox`: MB."""

    delivered: int
    oldest: float
    claim: float
    dead: int
    tables: float
    indexes: float
    worker: float
    sandbox: float


def main() -> None:
    quick = "--quick" in sys.argv
    seconds = next((float(one) for one in sys.argv[1:] if not one.startswith("-")), 90.0 if quick else 3600.0)
    with stage(ends_at=time.monotonic() + seconds + _LONGEST_QUIET + 600) as there:
        found = soak(there, seconds, 15.0 if quick else 60.0)
    for sentence in found:
        print(sentence, file=sys.stderr)  # noqa: T201
    print(f"{len(found)} findings.")  # noqa: T201
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


def _watched(there: Stage, steady: Steady, engine: sa.Engine, seconds: float, between_rows: float) -> Iterator[Minute]:
    began, faults = time.monotonic(), _faults()
    between = min(_BETWEEN_FAULTS, seconds / (len(FAULTS) + 1))
    next_fault, thread, told = began + between / 2, None, ""
    print(_HEAD)  # noqa: T201
    print("| --- " * 10 + "|", flush=True)  # noqa: T201
    for number in count(1):
        until = began + number * between_rows
        while (now := time.monotonic()) < min(until, began + seconds):
            if now >= next_fault and (thread is None or not thread.is_alive()):
                name = next(faults)
                thread = Thread(target=FAULTS[name], args=(there, steady, min(_LONGEST_FAULT, between / 3)))
                thread.start()
                told, next_fault = f"{told}, {name}" if told else name, now + between
            time.sleep(0.5)
        yield (minute := _minute(there, steady, engine))
        _print((until - began) / 60, told, minute)
        told = ""
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
            _print((printed - began) / 60, "nothing arrives any more", _minute(there, steady, engine))
        time.sleep(1)
    print(f"Nothing was due {time.monotonic() - began:.0f} s after the last arrival.", flush=True)  # noqa: T201
    return True


def _minute(there: Stage, steady: Steady, engine: sa.Engine) -> Minute:
    """Once the database answers."""
    while True:
        try:
            with engine.connect() as connection:
                delivered, dead, tables, indexes = connection.execute(sa.text(_LOOK)).one()
            oldest = Queue(engine, "brevo").backlog().oldest_due_seconds
            claim = max(there.claim_cost(10).milliseconds for _ in range(3))
        except (sa.exc.OperationalError, psycopg.OperationalError):
            time.sleep(0.5)
        else:
            return Minute(
                delivered=delivered,
                oldest=oldest,
                claim=claim,
                dead=int(dead or 0),
                tables=float(tables),
                indexes=float(indexes),
                worker=steady.megabytes(),
                sandbox=there.sandbox_megabytes(),
            )


def _print(at: float, fault: str, one: Minute) -> None:
    megabytes = f"{one.tables:.1f} | {one.indexes:.1f} | {one.worker:.0f} | {one.sandbox:.0f}"
    seen = f"{one.delivered:,} | {one.oldest:.0f} | {one.claim:.1f} | {one.dead:,} | {megabytes}"
    print(f"| {at:.1f} | {fault} | {seen} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
