"""Runs all benchmarks, prints their table and writes it to docs/benchmarks.md. Takes about four minutes."""

import datetime
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from benchmarks import api, baseline
from benchmarks.setting import ROOT, Stage, noop_run_seconds, stage

REPEATS = 3
_RATE_OFF = {"BREVO_RATE_LIMIT_PER_SECOND": "1000"}

_HEAD = """# Benchmarks

Written by `make bench` on {date}: {machine}. Each figure is the median of {repeats} runs, lowest to highest in
brackets. Postgres with its default durability, real HTTP to the sandbox on the same machine, so client, server and CRM
share its processors: compare the rows with each other, not with another machine's.

| what | figure | how it was measured |
| --- | --- | --- |
"""


class Report:
    """Rows of the table."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str]] = []

    def add(self, what: str, values: list[float], unit: str, method: str, digits: int = 1) -> float:
        median = statistics.median(values)
        spread = f" ({min(values):.{digits}f}–{max(values):.{digits}f})" if len(values) > 1 else ""
        self.rows.append((what, f"{median:,.{digits}f} {unit}{spread}".replace(" %", " %"), method))
        return median


def repeat(measure: Callable[[], float]) -> list[float]:
    return [measure() for _ in range(REPEATS)]


def throughput(there: Stage, report: Report) -> None:
    cpu: list[float] = []

    def ours(contacts: int, latency: float) -> float:
        there.configure(latency_seconds=latency)
        there.queue(contacts)
        figures = there.run(**_RATE_OFF)
        assert figures["counts"]["synced"] == contacts
        cpu.append(1000 * figures["cpu_seconds"] / contacts)
        return float(contacts / figures["ops_seconds"])

    base_cpu: list[float] = []

    def theirs(contacts: int, latency: float) -> float:
        there.configure(latency_seconds=latency)
        there.queue(contacts)
        sent, seconds, used = baseline.run(there.url, f"{there.sandbox}/v3")
        base_cpu.append(1000 * used / sent)
        return sent / seconds

    method = "{n} contacts, rate limit off, sandbox answers after {ms} ms; from the first op to the last"
    slow = report.add(
        "One by one, 100 ms latency", repeat(lambda: ours(2000, 0.1)), "contacts/s", method.format(n=2000, ms=100)
    )
    fast = report.add(
        "One by one, no latency", repeat(lambda: ours(3000, 0)), "contacts/s", method.format(n=3000, ms=0)
    )
    naive = "one after the other, a connection each, committed each"
    base_slow = report.add(
        "Baseline, 100 ms latency", repeat(lambda: theirs(50, 0.1)), "contacts/s", f"50 contacts, {naive}"
    )
    base_fast = report.add(
        "Baseline, no latency", repeat(lambda: theirs(300, 0)), "contacts/s", f"300 contacts, {naive}"
    )
    report.add("Ratio at 100 ms", [slow / base_slow], "times the baseline", "medians of the rows above")
    report.add("Ratio without latency", [fast / base_fast], "times the baseline", "medians of the rows above")
    report.add(
        "CPU of the run's process",
        cpu,
        "ms per contact",
        "user and system time of the runs above, everything included",
        2,
    )
    report.add("CPU of the baseline", base_cpu, "ms per contact", "the same", 2)


def at_the_limit(there: Stage, report: Report) -> None:
    refused: list[int] = []
    connections: list[int] = []

    def share() -> float:
        there.configure(contacts_per_second=10)
        there.queue(300)
        there.run()
        log = [entry for entry in there.requests() if entry["method"] == "POST"]
        refused.append(sum(entry["status"] == 429 for entry in log))
        connections.append(len({entry["client_port"] for entry in log}))
        return float(100 * (len(log) - 1) / (log[-1]["arrived"] - log[0]["arrived"]) / 10)

    report.add(
        "Rate at a limit of 10 requests/s",
        repeat(share),
        "% of the limit",
        "300 contacts, by the arrivals in the sandbox's log",
    )
    report.add("Refused for rate (429) meanwhile", [float(n) for n in refused], "requests", "the same", 0)
    report.add("Connections opened meanwhile", [float(n) for n in connections], "connections", "the same", 0)


def fixed_costs(there: Stage, report: Report) -> None:
    events: list[float] = []

    def small_run() -> float:
        there.configure()
        there.queue(10)
        figures = there.run(**_RATE_OFF)
        events.append(figures["events"])
        return float(figures["run_seconds"])

    ours = report.add("A run with 10 contacts", repeat(small_run), "s", "from the run's start to its end in Dagster", 2)
    noop_run_seconds()
    dagster = report.add("A run of the same shape that does nothing", repeat(noop_run_seconds), "s", "the same", 2)
    report.add("Fixed cost beyond Dagster's own", [ours - dagster], "s", "difference of the medians", 2)
    report.add("Events of a run with 10 contacts", events, "rows in Dagster's storage", "event log of the run", 0)

    def import_seconds() -> float:
        started = time.monotonic()
        subprocess.run([sys.executable, "-c", "import crm_pipelines.definitions"], check=True, cwd=ROOT)
        return time.monotonic() - started

    def dagster_seconds() -> float:
        started = time.monotonic()
        subprocess.run([sys.executable, "-c", "import dagster"], check=True, cwd=ROOT)
        return time.monotonic() - started

    report.add(
        "Importing what Dagster loads",
        repeat(import_seconds),
        "s",
        "a new interpreter, `import crm_pipelines.definitions`",
        2,
    )
    report.add("Importing Dagster alone", repeat(dagster_seconds), "s", "a new interpreter, `import dagster`", 2)


def main() -> None:
    console, report = Console(), Report()
    with stage() as there:
        for part in (throughput, at_the_limit, fixed_costs, api.load):
            console.print(f"Measuring {part.__name__.replace('_', ' ')} ...")
            part(there, report)
    table = Table("what", "figure", "how it was measured")
    for row in report.rows:
        table.add_row(*row)
    console.print(table)
    head = _HEAD.format(
        date=datetime.datetime.now(datetime.UTC).date(),
        machine=f"{os.cpu_count()} processors, {platform.machine()}, Python {platform.python_version()}",
        repeats=REPEATS,
    )
    rows = "\n".join(f"| {' | '.join(row)} |" for row in report.rows)
    (ROOT / "docs" / "benchmarks.md").write_text(f"{head}{rows}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
