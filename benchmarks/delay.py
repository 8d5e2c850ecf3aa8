"""From an edit to the CRM: contacts are edited at random moments under `crm-pipelines up`, and each edit is followed.

`python -m benchmarks.delay --minutes 60 --out delay.jsonl` takes some 66 minutes. Measured per edit, by the database's
clock: from the transaction that edits to the entry in the ledger that the CRM has taken it (crm_attempts.finished_at).
Figures are printed every minute, and appended to a file as JSON lines; Ctrl-C or SIGTERM ends it with what there is by
then. Others who use the machine make everything later: the load is printed beside.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import sqlalchemy as sa

from benchmarks.idle import Idle, idle
from benchmarks.setting import Stage, stage
from crm_pipelines.database import connecting

_CONTACTS = 1000
_REPORT_SECONDS = 60.0
_LONGEST_START = 300.0
_NO_BULK = "100000000"

_EDIT = sa.text("UPDATE contacts SET name = :name WHERE id = :id")
_EDITED = sa.text(
    "SELECT revision, extract(epoch FROM now())::float8 AS at FROM crm_syncs WHERE contact_id = :id AND crm = 'brevo'"
)
_ARRIVED = sa.text("""
    SELECT extract(epoch FROM min(a.finished_at))::float8 AS at
      FROM unnest(CAST(:contacts AS uuid[]), CAST(:revisions AS bigint[])) WITH ORDINALITY AS e(contact_id, revision, n)
      LEFT JOIN crm_attempts a ON a.contact_id = e.contact_id AND a.crm = 'brevo' AND a.revision >= e.revision
                              AND a.outcome = 'synced'
     GROUP BY e.n ORDER BY e.n""")
_RUNS = sa.text("""
    SELECT r.run_id, r.status, extract(epoch FROM r.create_timestamp AT TIME ZONE 'UTC')::float8 AS created,
           r.start_time AS started, r.end_time AS ended, coalesce(t.value, 'by hand') AS started_by,
           (SELECT min(extract(epoch FROM e.timestamp AT TIME ZONE 'UTC'))::float8 FROM event_logs e
             WHERE e.run_id = r.run_id AND e.dagster_event_type = 'PIPELINE_STARTING') AS dequeued
      FROM runs r LEFT JOIN run_tags t
           ON t.run_id = r.run_id AND t.key IN ('dagster/sensor_name', 'dagster/schedule_name')
     WHERE r.pipeline_name = 'brevo_sync' ORDER BY r.id""")
_BYTES = sa.text(
    "SELECT coalesce(sum(pg_column_size(e.*)), 0) FROM event_logs e WHERE e.run_id = ANY (CAST(:runs AS text[]))"
)


@dataclass(frozen=True)
class Edit:
    """At a moment of the database's clock, in seconds since the epoch."""

    contact: UUID
    revision: int
    at: float


@dataclass
class Observed:
    """What there is to tell so far. `spent` and `size`: processor seconds, and bytes of Dagster's database, before."""

    spent: dict[str, float]
    size: int
    runs_before: int
    began: float = field(default_factory=time.time)
    edits: list[Edit] = field(default_factory=list)
    not_edited: int = 0
    loads: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delay")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--per-minute", type=float, default=10, help="edits, on average")
    parser.add_argument("--prompt", type=int, default=10, help="BREVO_SYNC_PROMPT_SECONDS; 0: off")
    parser.add_argument("--interval", type=int, default=5, help="BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES")
    parser.add_argument("--idle-seconds", type=float, default=60, help="of idleness, with and without it; 0: none")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="append the figures of each minute to this file, as JSON lines")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started ends with it
    longest = 60 * (asked.minutes + 2 * asked.interval) + 4 * asked.idle_seconds + 900
    with stage(ends_at=time.monotonic() + longest) as there:
        if asked.idle_seconds:
            for prompt in (None, asked.prompt or None):
                _print(_idle_in_words(idle(there, 1, asked.idle_seconds, prompt=prompt), prompt))
        environment = {
            "BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES": str(asked.interval),
            "BREVO_BULK_THRESHOLD": _NO_BULK,
            **({"BREVO_SYNC_PROMPT_SECONDS": str(asked.prompt)} if asked.prompt else {}),
        }
        there.configure()
        there.queue(_CONTACTS)
        there.run(BREVO_RATE_LIMIT_PER_SECOND="1000", BREVO_BULK_THRESHOLD=_NO_BULK)
        with there.under_the_daemon(**environment) as up:
            _observe(there, up, asked)


def _observe(there: Stage, up: subprocess.Popen[bytes], asked: argparse.Namespace) -> None:
    _wait_for_dagster(there, up)
    observed = Observed(spent=_spent(there, up), size=_size(there), runs_before=len(_runs(there)))
    with suppress(KeyboardInterrupt):
        _edit_at_random(there, up, asked, observed)
        _wait_for_the_last(there, up, observed, seconds=120 * asked.interval + 60)
    figures = _figures(there, up, observed)
    _tell(figures, asked.out)
    _print(json.dumps(figures, indent=2))


def _edit_at_random(there: Stage, up: subprocess.Popen[bytes], asked: argparse.Namespace, observed: Observed) -> None:
    chance = random.Random(asked.seed)  # noqa: S311
    contacts = there.scalar("SELECT array_agg(id ORDER BY email) FROM crm_contacts")
    end = time.monotonic() + 60 * asked.minutes
    due = time.monotonic() + chance.expovariate(asked.per_minute / 60)
    report = time.monotonic() + _REPORT_SECONDS
    while min(due, end) < end:
        time.sleep(max(0.0, min(due, report) - time.monotonic()))
        if time.monotonic() >= report:
            _alive(up)
            observed.loads.append(os.getloadavg()[0])
            with suppress(sa.exc.DBAPIError):  # the next minute tells the same
                _tell(_figures(there, up, observed), asked.out)
            report += _REPORT_SECONDS
        if time.monotonic() >= due:
            try:
                observed.edits.append(_edit(there, chance.choice(contacts), len(observed.edits)))
            except sa.exc.DBAPIError:
                observed.not_edited += 1
            due += chance.expovariate(asked.per_minute / 60)


def _edit(there: Stage, contact: UUID, number: int) -> Edit:
    engine = connecting.create_engine(there.url)
    try:
        with engine.begin() as connection:
            connection.execute(_EDIT, {"id": contact, "name": f"Person Edited{number}"})
            row = connection.execute(_EDITED, {"id": contact}).one()
            return Edit(contact, row.revision, row.at)
    finally:
        engine.dispose()


def _wait_for_the_last(there: Stage, up: subprocess.Popen[bytes], observed: Observed, seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while None in _arrivals(there, observed.edits) and time.monotonic() < give_up:
        _alive(up)
        time.sleep(2)


def _figures(there: Stage, up: subprocess.Popen[bytes], observed: Observed) -> dict[str, Any]:
    """Delays and parts of runs in seconds, processors used (1 is one of them), bytes."""
    took = time.time() - observed.began
    arrivals = _arrivals(there, observed.edits)
    delays = [at - edit.at for at, edit in zip(arrivals, observed.edits, strict=True) if at is not None]
    runs = _runs(there)[observed.runs_before :]
    ended = [one for one in runs if one.ended and one.started and one.dequeued]
    spent = _spent(there, up)
    size = sum(_query(there.dagster_url, _BYTES, runs=[one.run_id for one in ended])[0])
    return {
        "minutes": round(took / 60, 1),
        "edits": len(delays),
        "not_arrived_yet": len(arrivals) - len(delays),
        "not_edited": observed.not_edited,
        "delay": _percentiles(delays),
        "runs": len(runs),
        "runs_per_hour": round(len(runs) * 3600 / took),
        "runs_by": Counter(one.started_by for one in runs),
        "not_succeeded": Counter(one.status for one in runs if one.status != "SUCCESS"),
        "created_to_dequeued": _percentiles([one.dequeued - one.created for one in ended]),
        "dequeued_to_started": _percentiles([one.started - one.dequeued for one in ended]),
        "started_to_ended": _percentiles([one.ended - one.started for one in ended]),
        "processors": {name: round((spent[name] - observed.spent[name]) / took, 3) for name in spent},
        "event_bytes_per_run": round(size / len(ended)) if ended else None,
        "dagster_bytes_per_run": round((_size(there) - observed.size) / len(runs)) if runs else None,
        "load": [round(statistics.mean(observed.loads), 1), round(max(observed.loads), 1)] if observed.loads else None,
    }


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    ranked = sorted(values)
    return {f"p{share}": round(ranked[-(-len(ranked) * share // 100) - 1], 1) for share in (50, 95, 99, 100)}


def _arrivals(there: Stage, edits: Sequence[Edit]) -> list[float | None]:
    given = {"contacts": [one.contact for one in edits], "revisions": [one.revision for one in edits]}
    return [row.at for row in _query(there.url, _ARRIVED, **given)]


def _runs(there: Stage) -> Sequence[sa.Row[Any]]:
    return _query(there.dagster_url, _RUNS)


def _size(there: Stage) -> int:
    return int(_query(there.dagster_url, sa.text("SELECT pg_database_size(current_database())"))[0][0])


def _query(url: str, query: sa.TextClause, **given: Any) -> Sequence[sa.Row[Any]]:
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            return connection.execute(query, given).all()
    finally:
        engine.dispose()


def _spent(there: Stage, up: subprocess.Popen[bytes]) -> dict[str, float]:
    """Processor seconds so far: of Postgres, and of everything that `up` has started, runs included."""
    return {"up_with_its_runs": _seconds_below(up.pid), "postgres": there.cpu_seconds()["Postgres"]}


def _seconds_below(pid: int) -> float:
    root = psutil.Process(pid)
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])  # with those of children that have ended
    return total


def _wait_for_dagster(there: Stage, up: subprocess.Popen[bytes]) -> None:
    """Until its sensors tick."""
    give_up = time.monotonic() + _LONGEST_START
    ticks = sa.text("SELECT count(*) FROM job_ticks WHERE type = 'SENSOR' AND timestamp > :since")
    since = time.time()
    while True:
        _alive(up)
        with suppress(sa.exc.DBAPIError):
            moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(since))
            if _query(there.dagster_url, ticks, since=moment)[0][0] >= 3:
                return
        if time.monotonic() > give_up:
            raise TimeoutError("Dagster's sensors do not tick.")
        time.sleep(1)


def _alive(up: subprocess.Popen[bytes]) -> None:
    if up.poll() is not None:
        raise RuntimeError(f"crm-pipelines up has ended by itself with exit code {up.returncode}.")


def _idle_in_words(seen: Idle, prompt: int | None) -> str:
    """Shares of one processor."""
    which = f"with {prompt} s" if prompt else "without it"
    shares = f"code server {seen.code:.2%}, daemon {seen.daemon:.2%}, Postgres {seen.postgres:.2%} of a processor"
    rest = f"{seen.ticks:.0f} ticks a minute, {seen.wal:.0f} bytes of WAL a second, {seen.megabytes:.0f} MB"
    return f"Idle {which}: {shares}; {rest}; load {os.getloadavg()[0]:.1f}."


def _tell(figures: dict[str, Any], file: Path | None) -> None:
    edits, waiting, runs = figures["edits"], figures["not_arrived_yet"], figures["runs"]
    delay = ", ".join(f"{name} {value} s" for name, value in figures["delay"].items()) or "none arrived yet"
    _print(
        f"{figures['minutes']} min: {edits} edits arrived, {waiting} under way: {delay}; "
        f"{runs} runs ({figures['runs_per_hour']}/h); load {os.getloadavg()[0]:.1f}"
    )
    if file is not None:
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(figures) + "\n")


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
