"""What each statement of a delivery in bulk costs Postgres, beside the floor's: `python -m benchmarks.statements`.

CPU time of one backend that executes them in turn as a run does, for portions and pages of 1,000 contacts, on a
database that holds nothing else. The medians of three rounds; each delivery begins after a checkpoint.
"""

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TypeVar

import psutil
import sqlalchemy as sa

from benchmarks import floor
from benchmarks.setting import Stage, stage
from crm_pipelines.database import connecting
from crm_pipelines.destinations.blocklist import Blocklist
from crm_pipelines.queue.bulk_imports import BulkImports, ToldRow
from crm_pipelines.queue.claims import Queue

T = TypeVar("T")

_CONTACTS = 20_000
_PORTION = 1000
_FLOORS_PORTION = 10_000
_ROUNDS = 3
_HOUR = timedelta(hours=1)
_NAMES = ("FIRSTNAME", "LASTNAME", "SMS", "DOMAIN_ID", "PAGE_ID")
_DIGEST = sha256().digest()

_TAKING = "taking from the queue, under a number and for a time"
_READING = "reading the data, and what is known of the CRM"
_INTENT = "noting in the state what may be at the CRM from now on"
_COPY = "noting for the import what each is going to be told (COPY)"
_SENDING = "the import's own state, and who must not be in it any more"
_LOOKING_UP = "looking up what was told"
_PROOF = "state and entry of who was seen, and the note of the import away"
_FLOOR = {"select": "reading", "states": "states", "ledger": "entries"}


class Meter:
    """CPU seconds of a backend, by what it does."""

    def __init__(self, engine: sa.Engine) -> None:
        """`engine` has one connection."""
        with engine.connect() as connection:
            self._backend = psutil.Process(connection.scalar(sa.text("SELECT pg_backend_pid()")))
        self.seconds: Counter[str] = Counter()

    def __call__(self, name: str, call: Callable[[], T]) -> T:
        before = self._used()
        done = call()
        self.seconds[name] += self._used() - before
        return done

    def _used(self) -> float:
        times = self._backend.cpu_times()
        return float(times.user + times.system)


def main() -> None:
    ours: defaultdict[str, list[float]] = defaultdict(list)
    floors: defaultdict[str, list[float]] = defaultdict(list)
    with stage(ends_at=time.monotonic() + 600) as there:
        for _ in range(_ROUNDS):
            for rounds, measure in ((ours, _ours), (floors, _floor)):
                with _one_connection(there) as engine:
                    meter = Meter(engine)
                    measure(engine, meter)
                for name, seconds in meter.seconds.items():
                    rounds[name].append(1e6 * seconds / _CONTACTS)
    for title, rounds in (("ours", ours), ("the floor", floors)):
        print(f"| {title} | ms per 1,000 contacts |\n| --- | --- |")  # noqa: T201
        for name, costs in rounds.items():
            print(f"| {name} | {statistics.median(costs):.1f} |")  # noqa: T201
        print(f"| all | {sum(map(statistics.median, rounds.values())):.0f} |\n")  # noqa: T201


@contextmanager
def _one_connection(there: Stage) -> Iterator[sa.Engine]:
    there.configure()
    there.queue(_CONTACTS)
    there.execute("CHECKPOINT")
    engine = connecting.create_engine(there.url, pool_size=1)
    try:
        yield engine
    finally:
        engine.dispose()


def _ours(engine: sa.Engine, meter: Meter) -> None:
    queue, imports, blocklist = Queue(engine, "brevo"), BulkImports(engine, "brevo", "run"), Blocklist(engine, "brevo")
    scan = blocklist.complete(blocklist.begin(longest_life=_HOUR))
    one = imports.begin("mapping", scan_id=scan.id)
    told: list[list[ToldRow]] = []
    for _ in range(0, _CONTACTS, _PORTION):
        taken = meter(_TAKING, lambda: imports.claim(one, limit=_PORTION, lease=_HOUR))
        claims = [row.claim for row in taken]
        addresses = {row.claim: row.record["email"] for row in meter(_READING, lambda: queue.load(claims))}  # noqa: B023
        rows = [
            ToldRow(
                claim=row.claim,
                revision=row.revision,
                key=addresses[row.claim].lower(),
                payload_hash=_DIGEST,
                proof=_DIGEST[:16],
                names=_NAMES,
                warnings=(),
                lists=frozenset({"2"}),
            )
            for row in taken
        ]
        meter(_INTENT, lambda: queue.intend(rows))  # noqa: B023
        meter(_COPY, lambda: imports.note(one, rows))  # noqa: B023
        told.append(rows)
    since = datetime.now(UTC)
    meter(
        _SENDING,
        lambda: imports.begin_submitting(one, modified_since=since, time_limit=_HOUR, scan_trust=_HOUR),
    )
    meter(_SENDING, lambda: imports.accepted(one, "process"))
    for rows in told:
        meter(_LOOKING_UP, lambda: imports.expected(one, [row.key for row in rows]))  # noqa: B023
        seen = {row.key: (f"1{number}", None) for number, row in enumerate(rows)}
        assert meter(_PROOF, lambda: imports.record_proved(one, seen)).synced == _PORTION  # noqa: B023


def _floor(engine: sa.Engine, meter: Meter) -> None:
    with engine.begin() as connection:
        rows = meter(_FLOOR["select"], lambda: connection.exec_driver_sql(floor.QUEUED).all())
    for start in range(0, _CONTACTS, _FLOORS_PORTION):
        portion = rows[start : start + _FLOORS_PORTION]
        columns = (
            [row.id for row in portion],
            [row.revision for row in portion],
            [row.email.lower() for row in portion],
            [str(number) for number in range(start, start + len(portion))],
            [_DIGEST] * len(portion),
            [" ".join(_NAMES)] * len(portion),
        )
        with engine.begin() as connection:
            for name, statement in (("states", floor.STATES), ("ledger", floor.LEDGER)):
                meter(_FLOOR[name], lambda: connection.exec_driver_sql(statement, columns))  # noqa: B023


if __name__ == "__main__":
    main()
