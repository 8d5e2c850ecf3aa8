"""Measures what an edit, a delivery, a reservation, a ledger entry and an idle destination cost. Takes four minutes.

For docs/scaling.md, which says what follows. Prints Markdown; a figure is the median of its rounds, with the lowest and
the highest. Others who use the machine change how many a second there are more than CPU time, and bytes not at all.
"""

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from benchmarks import crowd
from benchmarks.idle import idle
from benchmarks.meter import Cost, measured
from benchmarks.setting import Stage, stage

_SECONDS = 1200
_CONTACTS = 20_000
_ROUNDS = 5
_EDITS = 500
_ONE_BY_ONE = {"BREVO_RATE_LIMIT_PER_SECOND": "1000", "BREVO_BULK_THRESHOLD": "100000000"}
_IN_BULK = {"BREVO_BULK_THRESHOLD": "1000", "BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES": "60"}
_RESERVING = 2.0
_IDLE_SECONDS = 45

Row = tuple[str, ...]


def main() -> None:
    parts: dict[str, Callable[[Stage], None]] = {
        "contacts": contacts,
        "deliveries": deliveries,
        "gate": gate,
        "ledger": ledger,
        "dagster": dagster,
    }
    with stage(ends_at=time.monotonic() + _SECONDS) as there:
        for name in sys.argv[1:] or parts:
            parts[name](there)


def contacts(there: Stage) -> None:
    """Edits by the number of destinations, in turns, so that whatever else the machine does hits all of them."""
    crowd.fill(there, _CONTACTS)
    ids = {share: crowd.ids(there, share) for share in crowd.SHARES}
    costs: dict[int, list[Cost]] = {share: [] for share in crowd.SHARES}
    for number in range(_ROUNDS + 1):
        for share in crowd.SHARES:
            some = ids[share][number * _EDITS : (number + 1) * _EDITS]
            cost = measured(there, partial(crowd.edit, there, some)).of_one(_EDITS)
            if number:  # the first round writes pages whole, and plans
                costs[share].append(cost)
    rows = [_costs(f"an edit, selected at {share}", costs[share]) for share in crowd.SHARES]
    fresh, selections = ids[0], []
    for number in range(_ROUNDS):
        some = fresh[number * 1000 : (number + 1) * 1000]
        selections.append(measured(there, partial(crowd.select, there, "brevo", some)).of_one(1000))
    rows.append(_costs("a selection, 1,000 in a call", selections))
    _print(_COLUMNS, rows)
    _print(("table or index", "bytes per row"), _sizes(there))


def deliveries(there: Stage) -> None:
    rows: list[Row] = []
    ledger_rows: list[Row] = []
    for what, count, settings in (("one by one", 1500, _ONE_BY_ONE), ("in bulk", 15_000, _IN_BULK)):
        costs, cpu, events = [], [], []
        for _ in range(3):
            there.configure(import_seconds=0)
            there.queue(count)
            database = there.scalar("SELECT pg_total_relation_size('crm_attempts')")
            figures: dict[str, float] = {}
            work = partial(_deliver, there, figures, settings)
            costs.append(measured(there, work).of_one(count))
            cpu.append(1000 * figures["cpu_seconds"] / count)
            events.append(figures["events"])
            size = there.scalar("SELECT pg_total_relation_size('crm_attempts')") - database
        rows.append((*_costs(f"a delivery {what}", costs), f"{statistics.median(cpu):.2f}"))
        ledger_rows.append((what, f"{size / count:.0f}", f"{statistics.median(events):.0f}"))
    _print((*_COLUMNS, "CPU of the run, ms"), rows)
    _print(("delivered", "ledger, bytes per attempt with indexes", "events of the run"), ledger_rows)


def _deliver(there: Stage, figures: dict[str, float], settings: dict[str, str]) -> None:
    figures.update(there.run(**settings))


def gate(there: Stage) -> None:
    """One row, and processes that do nothing but reserve slots there."""
    rows: list[Row] = []
    with ProcessPoolExecutor(8, mp_context=multiprocessing.get_context("spawn")) as pool:
        _reserve(there, pool, 8)
        for processes in (1, 2, 4, 8):
            rates, costs = [], []
            for _ in range(3):
                counts: list[int] = []
                cost = measured(there, lambda: counts.extend(_reserve(there, pool, processes)))  # noqa: B023
                rates.append(sum(counts) / _RESERVING)
                costs.append(cost.of_one(sum(counts)))
            rows.append((str(processes), _spread(rates, 0), _spread([1000 * one.cpu for one in costs], 2)))
    _print(("processes", "reservations/s", "CPU of Postgres, ms each"), rows)


def _reserve(there: Stage, pool: ProcessPoolExecutor, processes: int) -> list[int]:
    until = time.time() + _RESERVING
    urls, crms, ends = [there.url] * processes, ["hubspot"] * processes, [until] * processes
    return list(pool.map(crowd.reserve, urls, crms, ends))


def ledger(there: Stage) -> None:
    crowd.fill(there, 8000)
    rates, costs = [], []
    for _ in range(3):
        crowd.attempt_often(there, "brevo", 20)
        gone: list[int] = []
        cost = measured(there, lambda: gone.append(crowd.prune(there, "brevo")))  # noqa: B023
        rates.append(gone[0] / cost.seconds)
        costs.append(cost.of_one(gone[0]))
    _print((*_COLUMNS, "rows/s"), [(*_costs("an attempt pruned", costs), _spread(rates, 0))])


def dagster(there: Stage) -> None:
    """Nothing is due."""
    rows = []
    for destinations in (1, 10):
        one = idle(there, destinations, _IDLE_SECONDS)
        processors = (f"{100 * share:.1f} %" for share in (one.code, one.daemon, one.postgres))
        rows.append(
            (
                str(destinations),
                f"{one.load:.1f} s",
                *processors,
                f"{one.megabytes:.0f} MB",
                f"{one.ticks:.0f}",
                f"{one.wal / 1000:.1f} KB/s",
            )
        )
    head = ("destinations", "code server answers after", "its CPU", "the daemon's", "Postgres'", "memory of both")
    _print((*head, "sensors' ticks a minute", "WAL"), rows)


_COLUMNS = ("what", "CPU of Postgres, ms", "WAL, KB", "pages written whole", "commits", "dead rows", "pages touched")


_SIZES = """
    SELECT jsonb_object_agg(c.relname, pg_relation_size(c.oid) / t.reltuples)
      FROM pg_class t, pg_class c
     WHERE t.oid IN ('crm_contacts'::regclass, 'crm_syncs'::regclass)
       AND (c.oid = t.oid OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = t.oid))"""


def _costs(what: str, costs: Sequence[Cost]) -> Row:
    def column(name: str, factor: float, digits: int) -> str:
        return _spread([factor * getattr(cost, name) for cost in costs], digits)

    return (
        what,
        column("cpu", 1000, 3),
        column("wal", 1 / 1000, 1),
        column("images", 1, 2),
        column("commits", 1, 2),
        column("dead", 1, 1),
        column("pages", 1, 0),
    )


def _spread(values: Sequence[float], digits: int) -> str:
    median, low, high = (f"{value:,.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return median if low == high else f"{median} ({low}–{high})"


def _sizes(there: Stage) -> list[Row]:
    """Of what has any."""
    sizes: dict[str, float] = there.scalar(_SIZES)
    ordered = sorted(sizes.items(), key=lambda one: -one[1])
    return [(name, f"{size:.0f}") for name, size in ordered if size >= 1]


def _print(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for row in (head, ["---"] * len(head), *rows):
        print(f"| {' | '.join(row)} |")  # noqa: T201 - this is what it is for
    print(flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
