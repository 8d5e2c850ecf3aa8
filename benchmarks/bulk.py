"""Contacts in bulk by size, and what a claim costs by the size of the backlog."""

import statistics

from benchmarks.report import Point, Report, Spent
from benchmarks.setting import Scale, Stage

# Long enough for a million in one run: half of the sending time is for importing, at most five minutes.
_IN_BULK = {"BREVO_BULK_THRESHOLD": "1000", "BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES": "60"}


def deliver(there: Stage, report: Report, contacts: int, repeats: int) -> None:
    """With the sandbox's rate limits on and its import instantaneous."""
    rates: list[float] = []
    peaks: list[float] = []
    cpu: list[float] = []
    for number in range(repeats):
        there.configure(contacts_per_second=10, contacts_per_hour=36_000, others_per_hour=100, import_seconds=0)
        there.queue(contacts)
        if number == 0:
            _claim(there, report, f"Claiming 1,000 of {contacts:,} that are due")
        before = there.cpu_seconds()
        runs = [there.run(**_IN_BULK)]
        while sum(run["counts"]["synced"] for run in runs) < contacts:
            assert runs[-1]["counts"]["synced"], runs[-1]["counts"]
            runs.append(there.run(**_IN_BULK))
        rates.append(contacts / sum(run["ops_seconds"] for run in runs))
        peaks.append(max(run["peak_mb"] for run in runs))
        cpu.append(1000 * sum(run["cpu_seconds"] for run in runs) / contacts)
        spent = {program: seconds - before[program] for program, seconds in there.cpu_seconds().items()}
        spent["the run"] = sum(run["cpu_seconds"] for run in runs)
        seconds = sum(run["seconds"] for run in runs)
        last = Spent(contacts=contacts, seconds=seconds, cpu=spent, stages=runs[0]["stages"])
    what = f"In bulk, {contacts:,} contacts"
    report.add(what, rates, "contacts/s", "first op to last, each contact seen at the CRM; 10 requests/s allowed", 0)
    peak = report.add(f"{what}: peak memory", peaks, "MB", "of the run's process", 0)
    report.add(f"{what}: CPU", cpu, "ms per contact", "of the run's process", 2)
    report.points.append(
        Point(contacts=contacts, per_second=statistics.median(rates), peak_mb=statistics.median(peaks))
    )
    report.spent.append(last)
    smaller = report.figures.get(f"In bulk, {contacts // 10:,} contacts: peak memory")
    if smaller is not None:
        ratio = f"Memory at {contacts:,} against {contacts // 10:,}"
        report.add(ratio, [peak / smaller], "times", "medians of the rows above", 2)


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
