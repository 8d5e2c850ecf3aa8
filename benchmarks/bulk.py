"""Contacts in bulk by size, and what a claim costs by the size of the backlog."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.picture import Point
from benchmarks.report import CLAIMS, SIDE_BY_SIDE, Report, Spent
from benchmarks.setting import Scale, Stage

# Long enough for a million in one run: half of the sending time is for importing, at most five minutes.
_IN_BULK = {"BREVO_BULK_THRESHOLD": "1000", "BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES": "60"}
_REQUESTS_PER_SECOND = 10
# Of contacts, in the pages by which they are seen at the CRM.
_PAGE = 1000
# With fewer it is mostly Dagster that is compared; with more the limit matters little.
_LEAST_FOR_THE_FLOOR = 10_000


@dataclass(frozen=True, kw_only=True)
class _Delivery:
    """Of all contacts of a size, be it in several runs. `cpu`: seconds by program."""

    seconds: float
    ops_seconds: float
    peak_mb: float
    cpu: Mapping[str, float]


def deliver(there: Stage, report: Report, contacts: int, repeats: int) -> None:
    """With the sandbox's rate limits on and its import instantaneous; in turns with the floor, where there are many."""
    with_floor = contacts >= _LEAST_FOR_THE_FLOOR
    floors: list[_Delivery] = []
    ours: list[_Delivery] = []
    unlimited: list[_Delivery] = []
    for number in range(repeats):
        if with_floor:
            there.configure(import_seconds=0)
            there.queue(contacts)
            floors.append(_floor(there, contacts))
        _set(there, contacts)
        if number == 0:
            with report.within(CLAIMS):
                _claim(there, report, f"Claiming 1,000 of {contacts:,} that are due")
        ours.append(_ours(there, contacts))
        if contacts == _LEAST_FOR_THE_FLOOR and number == 0:
            there.configure(import_seconds=0)
            there.queue(contacts)
            unlimited.append(_ours(there, contacts, BREVO_RATE_LIMIT_PER_SECOND="1000"))
    what = f"In bulk, {contacts:,} contacts"
    rates = [contacts / one.ops_seconds for one in ours]
    peaks = [one.peak_mb for one in ours]
    report.add(what, rates, "contacts/s", "first op to last, each contact seen at the CRM; 10 requests/s allowed", 0)
    peak = report.add(f"{what}: peak memory", peaks, "MB", "of the run's process", 0)
    cpu = [1000 * one.cpu["the run"] / contacts for one in ours]
    report.add(f"{what}: CPU", cpu, "ms per contact", "of the run's process", 2)
    report.points.append(
        Point(
            contacts=contacts,
            per_second=statistics.median(rates),
            peak_mb=statistics.median(peaks),
            limit=_REQUESTS_PER_SECOND * _PAGE,
            floor=contacts / statistics.median(one.seconds for one in floors) if floors else None,
        )
    )
    report.spent.append(Spent(contacts=contacts, seconds=ours[-1].seconds, cpu=ours[-1].cpu))
    smaller = report.figures.get(f"In bulk, {contacts // 10:,} contacts: peak memory")
    if smaller is not None:
        ratio = f"Memory at {contacts:,} against {contacts // 10:,}"
        report.add(ratio, [peak / smaller], "times", "medians of the rows above", 2)
    if with_floor:
        with report.within(SIDE_BY_SIDE):
            _against_the_floor(report, contacts, floors, ours, unlimited)


def _floor(there: Stage, contacts: int) -> _Delivery:
    run = there.floor()
    assert run["contacts"] == contacts, run
    return _delivery([{**run, "ops_seconds": run["seconds"]}])


def _ours(there: Stage, contacts: int, **environment: str) -> _Delivery:
    runs: list[dict[str, Any]] = []
    while sum(run["counts"]["synced"] for run in runs) < contacts:
        runs.append(there.run(**_IN_BULK, **environment))
        assert runs[-1]["counts"]["synced"], runs[-1]["counts"]
    return _delivery(runs)


def _delivery(runs: list[dict[str, Any]]) -> _Delivery:
    cpu = {name: sum(run["cpu_of_others"][name] for run in runs) for name in runs[0]["cpu_of_others"]}
    return _Delivery(
        seconds=sum(run["seconds"] for run in runs),
        ops_seconds=sum(run["ops_seconds"] for run in runs),
        peak_mb=max(run["peak_mb"] for run in runs),
        cpu={**cpu, "the run": sum(run["cpu_seconds"] for run in runs)},
    )


def _against_the_floor(
    report: Report,
    contacts: int,
    floors: Sequence[_Delivery],
    ours: Sequence[_Delivery],
    unlimited: Sequence[_Delivery],
) -> None:
    """Ratios of medians; of the CPU time those of the program and of Postgres together."""
    size = f"{contacts:,} contacts"
    bare = "a bare program does the same work, in turns with ours: no claim, gate, consent or Dagster"
    seconds = report.add(f"Floor, {size}", [one.seconds for one in floors], "s", bare, 1)
    cpu = report.add(f"Floor, {size}: CPU", [_own_cpu(one) for one in floors], "s", "of it and of Postgres", 1)
    own = report.add(f"Floor, {size}: CPU without Postgres", [one.cpu["the run"] for one in floors], "s", "of it", 1)
    whole = "medians; ours with Dagster, from the first line of the run to its last"
    for limit, suffix, runs in (("10", "", ours), ("1,000", ", without a limit", unlimited)):
        if runs:
            wall = statistics.median(one.seconds for one in runs)
            said = f"{whole}; {limit} requests/s allowed"
            report.add(f"Wall time against the floor, {size}{suffix}", [wall / seconds], "times", said, 2)
    spent = statistics.median(map(_own_cpu, ours))
    report.add(f"CPU against the floor, {size}", [spent / cpu], "times", "of the program and of Postgres", 2)
    alone = statistics.median(one.cpu["the run"] for one in ours)
    report.add(f"CPU against the floor, {size}, without Postgres", [alone / own], "times", "of the program", 2)


def _own_cpu(one: _Delivery) -> float:
    return one.cpu["the run"] + one.cpu["Postgres"]


def _set(there: Stage, contacts: int) -> None:
    there.configure(
        contacts_per_second=_REQUESTS_PER_SECOND, contacts_per_hour=36_000, others_per_hour=100, import_seconds=0
    )
    there.queue(contacts)


def stages(there: Stage, report: Report, contacts: int) -> None:
    """What a run spends its time on."""
    _set(there, contacts)
    run = there.run(stages=True, **_IN_BULK)
    rest = run["cpu_seconds"] - sum(cpu for cpu, _ in run["stages"].values())
    report.stages = (contacts, {**run["stages"], "everything else, Dagster included": (rest, 0.0)})


def claims_with_a_future(there: Stage, report: Report, scale: Scale) -> None:
    """A claim beside many contacts that are due later."""
    there.queue(scale.due_later + 1000)
    there.execute(
        "UPDATE crm_syncs SET run_at = now() + interval '1 h' WHERE contact_id NOT IN "
        "(SELECT contact_id FROM crm_syncs LIMIT 1000)"
    )
    _claim(there, report, f"Claiming 1,000 beside {scale.due_later:,} that are due later")


def _claim(there: Stage, report: Report, what: str) -> None:
    cost = there.claim_cost(1000)
    method = "EXPLAIN (ANALYZE, BUFFERS) of the claim, rolled back"
    report.add(what, [cost.buffers], f"pages touched for {cost.rows} rows, {cost.milliseconds:.0f} ms", method, 0)
