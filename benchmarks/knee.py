"""Edits at rising rates while a run delivers in bulk: where the queue begins to lag. Takes eight minutes.

For docs/scaling.md. Everything shares this machine, the sandbox included, so that the shares of the CPU time are worth
more than the rates. `python -m benchmarks.knee 100 300 1000` tries these edits a second.
"""

import multiprocessing
import random
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from uuid import UUID

import psycopg

from benchmarks import crowd
from benchmarks.setting import Stage, stage

_RATES = (100, 300, 900)
# Longer than a run takes to begin, or no step would see one end.
_STEP_SECONDS = 60.0
_CONTACTS = 40_000
_EDITORS = 4
_IN_BULK = {
    "BREVO_BULK_THRESHOLD": "1000",
    "BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES": "60",
    "BREVO_RATE_LIMIT_PER_SECOND": "1000",
}
_COUNTS = (
    "SELECT count(*) FILTER (WHERE state <> 'synced') AS waiting, "
    "(SELECT count(*) FROM crm_attempts WHERE outcome = 'synced') AS delivered FROM crm_syncs WHERE crm = 'brevo'"
)


def main() -> None:
    rates = [int(rate) for rate in sys.argv[1:]] or _RATES
    with stage(ends_at=time.monotonic() + 900) as there:
        for share in (1, 10):
            crowd.fill(there, _CONTACTS)
            there.configure(import_seconds=0)
            ids = crowd.ids(there, share)
            with (
                ProcessPoolExecutor(_EDITORS, mp_context=multiprocessing.get_context("spawn")) as pool,
                _delivering(there) as cpu_of_runs,
            ):
                list(
                    pool.map(
                        edit_steadily, [there.url] * _EDITORS, [ids] * _EDITORS, [1.0] * _EDITORS, [1.0] * _EDITORS
                    )
                )
                for rate in rates:
                    print(_step(there, pool, cpu_of_runs, ids, share, rate), flush=True)  # noqa: T201


def edit_steadily(url: str, contacts: Sequence[UUID], per_second: float, seconds: float) -> list[float]:
    """Edits random ones of them, one every so often, without making up for what was late; seconds that each took."""
    took: list[float] = []
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        end = time.monotonic() + seconds
        due = time.monotonic() + random.random() / per_second  # noqa: S311
        while due < end:
            time.sleep(max(0.0, due - time.monotonic()))
            started = time.monotonic()
            if started > end:
                break
            crowd.edit_one(connection, random.choice(contacts))  # noqa: S311
            took.append(time.monotonic() - started)
            due += 1 / per_second
    return took


def _step(
    there: Stage, pool: ProcessPoolExecutor, runs: list[float], ids: Sequence[UUID], share: int, rate: float
) -> str:
    before, cpu, wal, spent = _counts(there), there.cpu_seconds(), there.wal_bytes(), sum(runs)
    started = time.monotonic()
    work = partial(edit_steadily, there.url, ids, rate / _EDITORS, _STEP_SECONDS)
    took = sorted(second for done in [pool.submit(work) for _ in range(_EDITORS)] for second in done.result())
    seconds = time.monotonic() - started
    after, used = _counts(there), there.cpu_seconds()
    postgres = (used["Postgres"] - cpu["Postgres"]) / seconds
    return (
        f"| {share} | {rate:,.0f} | {len(took) / seconds:,.0f} | {1000 * took[int(0.95 * len(took))]:.0f} ms "
        f"| {(after[1] - before[1]) / seconds:,.0f} | {before[0]:,} to {after[0]:,} | {100 * postgres:.0f} % "
        f"| {100 * (sum(runs) - spent) / seconds:.0f} % | {(there.wal_bytes() - wal) / seconds / 1e6:.2f} MB/s |"
    )


@contextmanager
def _delivering(there: Stage) -> Iterator[list[float]]:
    """One run after the other, as follow-ups would be; what is given are the CPU seconds of each."""
    over, cpu = threading.Event(), list[float]()

    def deliver() -> None:
        while not over.is_set():
            cpu.append(there.run(**_IN_BULK)["cpu_seconds"])

    thread = threading.Thread(target=deliver)
    thread.start()
    try:
        yield cpu
    finally:
        over.set()
        thread.join()


def _counts(there: Stage) -> tuple[int, int]:
    with psycopg.connect(there.url.replace("+psycopg", "")) as connection:
        row = connection.execute(_COUNTS).fetchone()
    assert row is not None
    return row[0], row[1]


if __name__ == "__main__":
    main()
