"""What a delivery weighs in Postgres: WAL, commits, dead rows per contact, one by one and in bulk. Takes a minute.

The run's own share of Dagster's storage is in it: that is on the same server.
"""

import sys
import time
from functools import partial

from benchmarks.meter import measured
from benchmarks.report import Report
from benchmarks.setting import Stage, stage

_ONE_BY_ONE = {"BREVO_RATE_LIMIT_PER_SECOND": "1000", "BREVO_BULK_THRESHOLD": "100000000"}
_IN_BULK = {"BREVO_BULK_THRESHOLD": "1000", "BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES": "60"}


def main() -> None:
    report = Report()
    with stage(ends_at=time.monotonic() + 300) as there:
        part(there, report, 500 if "--quick" in sys.argv else 2000, 2000 if "--quick" in sys.argv else 20_000)
    for row in report.rows:
        print(f"| {row.what} | {row.figure} | {row.method} |")  # noqa: T201


def part(there: Stage, report: Report, one_by_one: int = 2000, in_bulk: int = 20_000) -> None:
    for how, contacts, settings in (("one by one", one_by_one, _ONE_BY_ONE), ("in bulk", in_bulk, _IN_BULK)):
        there.configure(import_seconds=0)
        there.queue(contacts)
        there.execute("CHECKPOINT")
        cost = measured(there, partial(there.run, **settings)).of_one(contacts)
        method = f"one run of {contacts:,} contacts, after a checkpoint"
        report.add(f"WAL of a delivery {how}", [cost.wal / 1000], "KB per contact", method)
        report.add(f"Commits of a delivery {how}", [cost.commits], "per contact", method, 3)
        report.add(f"Dead rows of a delivery {how}", [cost.dead], "per contact", method)


if __name__ == "__main__":
    main()
