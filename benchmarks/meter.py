"""What a piece of work costs Postgres, by the unit: CPU time, WAL, transactions, dead rows, pages."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import sqlalchemy as sa

from benchmarks.setting import Stage

# A backend reports what it did when it ends, a moment after its client has gone.
_LONGEST_GOODBYE = 30.0
_TOTALS = sa.text("""
    SELECT pg_current_wal_insert_lsn() - '0/0' AS wal, (SELECT wal_fpi FROM pg_stat_wal) AS images,
           d.xact_commit AS commits, d.blks_hit + d.blks_read AS pages, d.tup_updated + d.tup_deleted AS dead
      FROM pg_stat_database d WHERE d.datname = current_database()""")
_OTHERS = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of so many units, or of one.

    `cpu` and `seconds` in seconds, `wal` in bytes, `pages` of 8 KB that were touched. `images`: pages that were written
    whole into the WAL, as each is once after a checkpoint. `dead`: row versions that await vacuum or pruning.
    """

    cpu: float
    wal: float
    images: float
    commits: float
    pages: float
    dead: float
    seconds: float

    def of_one(self, units: int) -> Self:
        return type(self)(**{name: value / units for name, value in vars(self).items()})


def measured(there: Stage, work: Callable[[], object]) -> Cost:
    """What Postgres spends on it, its background processes included. Other clients must be gone."""
    before, cpu, started = _totals(there), there.cpu_seconds()["Postgres"], time.monotonic()
    work()
    seconds = time.monotonic() - started
    after = _totals(there)
    wal, images, commits, pages, dead = (late - early for early, late in zip(before, after, strict=True))
    return Cost(
        cpu=there.cpu_seconds()["Postgres"] - cpu,
        wal=wal,
        images=images,
        commits=commits,
        pages=pages,
        dead=dead,
        seconds=seconds,
    )


def _totals(there: Stage) -> tuple[float, ...]:
    give_up = time.monotonic() + _LONGEST_GOODBYE
    engine = sa.create_engine(there.url)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while connection.scalar(_OTHERS):
                if time.monotonic() > give_up:
                    raise TimeoutError("Another client of this Postgres goes on.")
                time.sleep(0.05)
            return tuple(float(value) for value in connection.execute(_TOTALS).one())
    finally:
        engine.dispose()
