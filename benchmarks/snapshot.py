"""Deliveries and claims beside a transaction that stays open, minute by minute. Takes seven minutes; --quick one.

What was delivered since it began leaves row versions that nobody may remove, and entries of indexes that every look at
the queue passes. The idea is that of hardbyte/postgresql-job-queue-benchmarking (`idle_in_tx_saturation`): a steady
load, the same beside an open transaction that has written something, the same after its end. `python -m
benchmarks.snapshot 10` keeps it open for ten minutes. Contacts are edited so fast that 2,000 are always due. Once a
second a claim of ten is made and taken back, to see what it costs.
"""

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import psycopg

from benchmarks.arrivals import Arrivals, always
from benchmarks.report import Report
from benchmarks.setting import ClaimCost, Stage, stage
from benchmarks.steady import Run, Steady

_CONTACTS = 5000
_DUE = 2000
_MOST_IN_A_RUN = 500
_SAMPLE = 10
_PART = 20.0
_ONE_BY_ONE = {"BREVO_RATE_LIMIT_PER_SECOND": "1000", "BREVO_BULK_THRESHOLD": "100000000"}
_DEAD = "SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables WHERE relname IN ('crm_syncs', 'crm_contacts')"


@dataclass(frozen=True, kw_only=True)
class Minute:
    """What was seen in a part of a phase.

    `queue`: milliseconds that a run has spent on the queue's statements, in the median; `dead`: dead rows at its end.
    """

    phase: str
    seconds: float
    deliveries: float
    claims: Sequence[ClaimCost]
    queue: float
    dead: int

    def percentile(self, percent: int) -> float:
        """Milliseconds of a claim."""
        ordered = sorted(one.milliseconds for one in self.claims)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]

    @property
    def pages(self) -> float:
        """That a claim touched, in the median."""
        return statistics.median(one.buffers for one in self.claims)


def main() -> None:
    quick = "--quick" in sys.argv
    minutes = next((float(one) for one in sys.argv[1:] if not one.startswith("-")), 0.3 if quick else 4.0)
    part = 10.0 if quick else 60.0
    with stage(ends_at=time.monotonic() + 60 * minutes + 600) as there:
        print("| transaction | s | deliveries/s | claims | p50, ms | p95 | p99 | pages | queue, ms a run | dead rows |")  # noqa: T201
        print("| --- " * 10 + "|", flush=True)  # noqa: T201
        for one in watch(there, ((2 * part, False), (60 * minutes, True), (part, False)), part):
            shares = " | ".join(f"{one.percentile(percent):,.1f}" for percent in (50, 95, 99))
            row = f"| {one.phase} | {one.seconds:.0f} | {one.deliveries:,.0f} | {len(one.claims)} | {shares} "
            print(f"{row}| {one.pages:,.0f} | {one.queue:,.0f} | {one.dead:,} |", flush=True)  # noqa: T201


def part(there: Stage, report: Report) -> None:
    """For `make bench`: some time without the transaction, two minutes beside it."""
    seen = list(watch(there, ((2 * _PART, False), (6 * _PART, True)), _PART))
    without, beside = ([one for one in seen[1:] if one.phase == phase] for phase in ("none", "open"))
    method = "a run of 500 after the other, 2,000 always due, no latency, rate limit off"
    plain = report.add("Run after run", [one.deliveries for one in without], "contacts/s", method, 0)
    share = [100 * one.deliveries / plain for one in beside]
    beside_it = f"the same beside a transaction open for two minutes, by {_PART:.0f} s, against the row above"
    report.add("Run after run, beside an open transaction", share, "% of that", beside_it, 0)
    for percent in (50, 95, 99):
        for name, minutes in (("", without[:1]), (", beside an open transaction", beside[-1:])):
            values = [one.percentile(percent) for one in minutes]
            method = f"{len(minutes[0].claims)} claims of {_SAMPLE} in {_PART:.0f} s, taken back"
            report.add(f"A claim, p{percent}{name}", values, "ms", method)
    report.add("Pages of a claim, beside an open transaction", [beside[-1].pages / without[0].pages], "times", method)


def watch(there: Stage, phases: Sequence[tuple[float, bool]], part: float) -> Iterator[Minute]:
    """Phases of so many seconds without or beside an open transaction, in parts of so many."""
    there.configure()
    there.queue(_CONTACTS)
    with Steady(there, limit=_MOST_IN_A_RUN, **_ONE_BY_ONE) as steady:
        delivered = _CONTACTS - _DUE  # those queued are ahead of the first edits

        def so_far() -> int:
            return sum(run.synced for run in steady.runs) - delivered

        with Arrivals(there, always(_DUE, so_far)):
            steady.wait_for_runs(3)
            for seconds, is_open in phases:
                with _open(there) if is_open else nullcontext():
                    yield from _parts(there, steady, "open" if is_open else "none", seconds, part)


def _parts(there: Stage, steady: Steady, phase: str, seconds: float, part: float) -> Iterator[Minute]:
    end = time.monotonic() + seconds
    while (began := time.monotonic()) < end - part / 2:
        there.time_left()
        first, lasted = len(steady.runs), steady.runs[-1].ended
        claims = list(_claims(there, began + part))
        steady.wait_for_runs(0 if len(steady.runs) > first else 1)
        yield _minute(there, phase, time.monotonic() - began, steady.runs[first:], lasted, claims)


def _claims(there: Stage, until: float) -> Iterator[ClaimCost]:
    while time.monotonic() < until:
        yield there.claim_cost(_SAMPLE)
        time.sleep(1)


def _minute(
    there: Stage, phase: str, seconds: float, runs: Sequence[Run], since: float, claims: Sequence[ClaimCost]
) -> Minute:
    """By whole runs: from the end of the last one before to the end of the last one in it."""
    return Minute(
        phase=phase,
        seconds=seconds,
        deliveries=sum(run.synced for run in runs) / (runs[-1].ended - since),
        claims=claims,
        queue=statistics.median(sum(run.queue.values()) for run in runs),
        dead=int(there.scalar(_DEAD)),
    )


@contextmanager
def _open(there: Stage) -> Iterator[None]:
    """A transaction that has written something and sees the tables as they were when it began."""
    with psycopg.connect(there.url.replace("+psycopg", ""), application_name="snapshot") as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT pg_current_xact_id(), (SELECT count(*) FROM crm_syncs)")
        yield


if __name__ == "__main__":
    main()
