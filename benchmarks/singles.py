"""Contacts one by one: how fast without a limit, against a naive loop, and how close to a limit."""

import statistics
from collections.abc import Callable, Iterator

import dagster as dg

from benchmarks import baseline
from benchmarks.report import SIDE_BY_SIDE, Report
from benchmarks.setting import Scale, Stage

_NO_BULK = {"BREVO_BULK_THRESHOLD": "100000000"}
_RATE_OFF = {"BREVO_RATE_LIMIT_PER_SECOND": "1000", **_NO_BULK}
_LIMIT = 10


def repeat(scale: Scale, measure: Callable[[], float]) -> list[float]:
    return [measure() for _ in range(scale.repeats)]


def without_a_limit(there: Stage, report: Report, scale: Scale) -> None:
    cpu: list[float] = []
    base_cpu: list[float] = []

    def ours(contacts: int, latency: float) -> float:
        there.configure(latency_seconds=latency)
        there.queue(contacts)
        figures = there.run(**_RATE_OFF)
        assert figures["counts"]["synced"] == contacts
        cpu.append(1000 * figures["cpu_seconds"] / contacts)
        return float(contacts / figures["ops_seconds"])

    def theirs(contacts: int, latency: float) -> float:
        there.configure(latency_seconds=latency)
        there.queue(contacts)
        sent, seconds, used = baseline.run(there.url, f"{there.sandbox}/v3")
        base_cpu.append(1000 * used / sent)
        return sent / seconds

    method = "{n} contacts, rate limit off, sandbox answers after {ms} ms; from the first op to the last"
    slow = report.add(
        "One by one, 100 ms latency",
        repeat(scale, lambda: ours(2000, 0.1)),
        "contacts/s",
        method.format(n=2000, ms=100),
    )
    fast = report.add(
        "One by one, no latency", repeat(scale, lambda: ours(2000, 0)), "contacts/s", method.format(n=2000, ms=0)
    )
    naive = "one after the other, a connection each, committed each"
    with report.within(SIDE_BY_SIDE):
        base_slow = report.add(
            "Baseline, 100 ms latency", repeat(scale, lambda: theirs(50, 0.1)), "contacts/s", f"50 contacts, {naive}"
        )
        base_fast = report.add(
            "Baseline, no latency", repeat(scale, lambda: theirs(300, 0)), "contacts/s", f"300 contacts, {naive}"
        )
        medians = "one by one, medians; the baseline is a simple loop"
        report.add("Ratio at 100 ms", [slow / base_slow], "times the baseline", medians)
        report.add("Ratio without latency", [fast / base_fast], "times the baseline", medians)
        report.add("CPU of the baseline", base_cpu, "ms per contact", "user and system time of all of it", 2)
    whole = "user and system time of the runs above, everything included"
    report.add("CPU of the run's process", cpu, "ms per contact", whole, 2)


def at_the_limit(there: Stage, report: Report, scale: Scale) -> None:
    """One run for a minute, and two processes that share the limit."""
    seconds = scale.limit_seconds
    there.configure(contacts_per_second=_LIMIT)
    there.queue((seconds + 3) * _LIMIT)
    there.run(**_NO_BULK)
    arrivals, refused, connections = _deliveries(there)
    first = arrivals[0]
    within = sum(arrived < first + seconds for arrived in arrivals)
    report.add(
        f"Rate at a limit of {_LIMIT} requests/s",
        [100 * within / (seconds * _LIMIT)],
        "% of the limit",
        f"deliveries in the first {seconds} s, slow start and seams between batches included, by the sandbox's log",
    )
    report.add("Most requests in any second", [_most_in_a_second(arrivals)], "requests", "the same, sliding", 0)
    report.add("Refused for rate (429) meanwhile", [refused], "requests", "the same", 0)
    report.add("Connections opened meanwhile", [connections], "connections", "the same", 0)

    there.configure(contacts_per_second=_LIMIT)
    there.queue(2 * 10 * _LIMIT)
    there.run_together([10 * _LIMIT, 10 * _LIMIT], **_NO_BULK)
    arrivals, refused, _ = _deliveries(there)
    share = 100 * (len(arrivals) - 1) / (arrivals[-1] - arrivals[0]) / _LIMIT
    method = f"{10 * _LIMIT} contacts each, from the first delivery to the last"
    report.add("Rate of two processes together", [share], "% of the limit", method)
    report.add("Refused for rate (429), two processes", [refused], "requests", "the same", 0)


def _deliveries(there: Stage) -> tuple[list[float], int, int]:
    """Arrivals of the deliveries, how many were refused for rate, and over how many connections they came."""
    log = [entry for entry in there.requests() if entry["method"] == "POST"]
    refused = sum(entry["status"] == 429 for entry in log)
    return [entry["arrived"] for entry in log], refused, len({entry["client_port"] for entry in log})


def _most_in_a_second(arrivals: list[float]) -> int:
    return max(sum(start <= arrived < start + 1 for arrived in arrivals) for start in arrivals)


def from_tick_to_end(there: Stage, report: Report) -> None:
    """Under Dagster's daemon, as in operation: the schedule's tick starts a process for the run."""
    there.configure()
    there.queue(10)
    with there.under_the_daemon(**_RATE_OFF):
        started, ended = there.first_scheduled_run()
    method = "a schedule's tick under the daemon, 10 contacts, one run; everything that `make up` starts runs beside it"
    report.add("From a tick to the start of its run", [started], "s", method)
    report.add("From a tick to the end of its run", [ended], "s", "the same")


def fixed_costs(there: Stage, report: Report, scale: Scale) -> None:
    events: list[float] = []
    sizes: list[float] = []

    def small_run() -> float:
        there.configure()
        there.queue(10)
        figures = there.run(**_RATE_OFF)
        events.append(figures["events"])
        sizes.append(there.event_bytes(figures["run_id"]) / 1024)
        return float(figures["run_seconds"])

    ours = report.add(
        "A run with 10 contacts", repeat(scale, small_run), "s", "from its start to its end in Dagster", 2
    )
    _noop_run_seconds()
    dagster = report.add(
        "A run of the same shape that does nothing", repeat(scale, _noop_run_seconds), "s", "the same", 2
    )
    report.add("Fixed cost beyond Dagster's own", [ours - dagster], "s", "difference of the medians", 2)
    report.add("Events of a run with 10 contacts", events, "rows in Dagster's storage", "event log of the run", 0)
    report.add("Bytes of these events", sizes, "KB", "their rows in Postgres, without indexes", 1)
    year = statistics.median(sizes) / 1024 * 288 * 365 / 1024
    report.add("A year of a run every 5 minutes", [year], "GB", "the row above, 105,120 times, if nothing is pruned", 2)
    report.add(
        "Importing what Dagster loads",
        repeat(scale, lambda: there.import_seconds("crm_pipelines.definitions")),
        "s",
        "a new interpreter, `import crm_pipelines.definitions`",
        2,
    )
    alone = repeat(scale, lambda: there.import_seconds("dagster"))
    report.add("Importing Dagster alone", alone, "s", "a new interpreter, `import dagster`", 2)


def _noop_run_seconds() -> float:
    """What Dagster itself takes for a run of the same shape that does nothing."""

    @dg.op(out=dg.DynamicOut())
    def fetch() -> Iterator[dg.DynamicOutput[int]]:
        yield dg.DynamicOutput(1, mapping_key="batch_1")

    @dg.op
    def send(batch: int) -> int:
        return batch

    @dg.op
    def write(batch: int) -> int:
        return batch

    @dg.op
    def report(batches: list[int]) -> int:
        return len(batches)

    @dg.job
    def nothing() -> None:
        report(fetch().map(send).map(write).collect())

    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.get() as instance:
        result = nothing.execute_in_process(instance=instance, run_config=quiet)
        stats = instance.get_run_stats(result.run_id)
        assert stats.start_time is not None
        assert stats.end_time is not None
        return stats.end_time - stats.start_time
