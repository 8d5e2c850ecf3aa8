"""What is left of the rate after each of five faults, and how soon it is back. Takes four minutes; --quick half of it.

The idea is that of hardbyte/postgresql-job-queue-benchmarking (its scenarios `chaos_*`): a steady arrival well below
what can be delivered, a fault, the same arrival again. The recovery ratio is the rate of deliveries once it is back (or
the fault over), against that before all faults; above 100 %, what was held up is made up for. Deliveries are counted at
the sandbox. The clock that is off is `time.time` of the worker's process, replaced in Python; the machine's stays.
"""

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.arrivals import Arrivals, steadily
from benchmarks.faults import FAULTS
from benchmarks.report import Report
from benchmarks.setting import Stage, stage
from benchmarks.steady import Steady

_ONE_BY_ONE = {"BREVO_RATE_LIMIT_PER_SECOND": "1000", "BREVO_BULK_THRESHOLD": "100000000"}
_UNFINISHED = "SELECT count(*) FROM crm_syncs WHERE state <> 'synced'"
# So many that those whom a dead worker's leases hold are few of them: it is the rate of all others that is measured.
_CONTACTS = 2000
_PER_SECOND = 10.0
_WINDOW = 6.0
_RUNS = 3
_BACK = 0.9
_LONGEST = {"CRM down": 60.0}
_LONGEST_ELSE = 20.0


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """`before`, `after`: deliveries/s. `back_after`: seconds from the fault's end to that of the first good window.

    `unfinished`: contacts that are not delivered at its end, since a dead worker's leases or a back-off hold them.
    """

    fault: str
    before: float
    after: float
    back_after: float | None
    unfinished: int

    @property
    def ratio(self) -> float:
        return 100 * self.after / self.before if self.before else float("nan")


def main() -> None:
    quick = "--quick" in sys.argv
    with stage(ends_at=time.monotonic() + 900) as there:
        print("| fault | before, /s | after, /s | recovery | back after | not delivered yet |")  # noqa: T201
        print("| --- | --- | --- | --- | --- | --- |", flush=True)  # noqa: T201
        for one in recoveries(there, calm=6.0 if quick else 12.0, lasts=4.0 if quick else 8.0):
            back = "not within the time" if one.back_after is None else f"{one.back_after:.0f} s"
            row = f"| {one.fault} | {one.before:.1f} | {one.after:.1f} | {one.ratio:.0f} % | {back} "
            print(f"{row}| {one.unfinished} |", flush=True)  # noqa: T201


def part(there: Stage, report: Report) -> None:
    seen = list(recoveries(there, calm=8.0, lasts=8.0))
    for one in seen:
        method = (
            f"{_PER_SECOND:.0f} edits/s; deliveries/s from when it was back, against {one.before:.1f} before all faults"
        )
        report.add(f"Recovery, {one.fault}", [one.ratio], "% of the rate before", method, 0)
        if one.back_after is not None:
            method = f"from its end to that of the first {_WINDOW:.0f} s with {100 * _BACK:.0f} % of the rate before"
            report.add(f"Recovery, {one.fault}: back after", [one.back_after], "s", method, 0)
    report.add("Recovery, the worst of five faults", [min(one.ratio for one in seen)], "%", "of the rows above", 0)


def recoveries(there: Stage, *, calm: float, lasts: float) -> Iterator[Recovery]:
    """After each fault in turn; `calm` is how long it is measured before and after, `lasts` how long a fault does."""
    there.configure()
    there.queue(_CONTACTS)
    with Steady(there, limit=10_000, **_ONE_BY_ONE) as steady, Arrivals(there, steadily(_PER_SECOND)):
        steady.wait_for_runs(4)
        # A run takes seconds from its start to its end, so that deliveries come in bursts.
        window = max(_WINDOW, _RUNS * statistics.median(run.seconds for run in steady.runs[-_RUNS:]))
        time.sleep(max(calm, 2 * window))
        before = _rate(_arrivals(there), time.time() - 2 * window, time.time())
        for name, fault in FAULTS.items():
            there.time_left()
            fault(there, steady, lasts)
            ended = time.time()
            back = _back(there, _BACK * before, ended, window, _LONGEST.get(name, _LONGEST_ELSE) + 2 * window)
            time.sleep(max(calm, window))
            since = ended if back is None else back - window
            yield Recovery(
                fault=name,
                before=before,
                after=_rate(_arrivals(there), since, time.time()),
                back_after=None if back is None else back - ended,
                unfinished=int(there.scalar(_UNFINISHED)),
            )


def _back(there: Stage, aim: float, ended: float, window: float, longest: float) -> float | None:
    """The end of the first window since the fault's end in which the rate is back; None if there was none."""
    end = ended + window
    while end < ended + window + longest:
        time.sleep(max(0.0, end - time.time()))
        if _rate(_arrivals(there), end - window, end) >= aim:
            return end
        end += 1.0
    return None


def _arrivals(there: Stage) -> list[float]:
    """When the sandbox was told of contacts with success, by the machine's clock."""
    return [one["arrived"] for one in there.requests() if one["applied"] and one["method"] in {"POST", "PUT"}]


def _rate(arrivals: Sequence[float], since: float, until: float) -> float:
    return sum(since <= one < until for one in arrivals) / (until - since)


if __name__ == "__main__":
    main()
