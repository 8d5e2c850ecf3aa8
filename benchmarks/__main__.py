"""Runs all benchmarks, prints their tables, and writes docs/benchmarks.md and its picture. Takes up to 20 minutes.

--million: with a million contacts in bulk as well; up to an hour.
--quick: a few small ones in some minutes, to see that they work; nothing is written. A part that fails, or for
which there is no time left, costs its own figures only: the page says which are missing.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial

from rich.console import Console

from benchmarks import (
    api,
    bulk,
    calibration,
    hubspot,
    recovery,
    refused,
    report,
    side_by_side,
    singles,
    snapshot,
    weights,
)
from benchmarks.report import Report
from benchmarks.setting import FULL, MILLION, QUICK, ROOT, WITH_A_MILLION, NoTimeLeft, Scale, Stage, stage
from benchmarks.targets import ONLY_WITH_A_MILLION

Part = Callable[[Stage, Report], None]


def parts(scale: Scale) -> Iterator[tuple[str, str, Part]]:
    """Section, name, and what measures it. The longest come last; before those in bulk, whose sandbox with 100,000
    contacts is slow to see who arrives when, those that look at it."""
    yield report.FIXED_COSTS, "Calibration", calibration.part
    # Before any run that leaves contacts: whatever is due then, the follow-up sensor is quicker than the schedule.
    yield report.FIXED_COSTS, "From tick to end", singles.from_tick_to_end
    yield report.ONE_BY_ONE, "At the limit", partial(singles.at_the_limit, scale=scale)
    yield report.ONE_BY_ONE, "One by one", partial(singles.without_a_limit, scale=scale)
    yield report.FIXED_COSTS, "Fixed costs", partial(singles.fixed_costs, scale=scale)
    for contacts, repeats in scale.bulk[:-1]:
        yield report.IN_BULK, _in_bulk(contacts), partial(bulk.deliver, contacts=contacts, repeats=repeats)
    yield report.IN_BULK, "Stages of a bulk delivery", partial(bulk.stages, contacts=scale.stages)
    yield report.REFUSED, "Refused rows", partial(refused.cost, scale=scale)
    yield report.CLAIMS, "Claims", partial(bulk.claims_with_a_future, scale=scale)
    if scale.api:
        yield report.API, "The HTTP API", api.load
    if scale.evidence:
        yield report.EVIDENCE, "Beside an open transaction", snapshot.part
        yield report.EVIDENCE, "Recovery after five faults", recovery.part
        yield report.EVIDENCE, "Weights", weights.part
        yield report.SIDE_BY_SIDE, "Side by side", partial(side_by_side.part, contacts=10_000)
        yield report.HUBSPOT, "HubSpot", hubspot.part
    contacts, repeats = scale.bulk[-1]
    yield report.IN_BULK, _in_bulk(contacts), partial(bulk.deliver, contacts=contacts, repeats=repeats)


def _in_bulk(contacts: int) -> str:
    return f"In bulk, {contacts:,} contacts"


def measure(there: Stage, told: Report, scale: Scale, console: Console) -> None:
    """Each part in turn; what there is no figure of stands in the report."""
    for section, name, part in parts(scale):
        console.print(f"Measuring: {name} ...", end=" ")
        started = time.monotonic()
        with told.within(section):
            try:
                there.time_left()
                part(there, told)
            except NoTimeLeft:
                told.missing(name, f"there was no time left: all together may take {scale.seconds / 60:.0f} minutes")
            except Exception as error:  # noqa: BLE001 - whatever it is, the other figures are worth having
                console.print_exception(max_frames=3)
                told.missing(name, f"the measurement failed: {type(error).__name__}")
        console.print(f"{time.monotonic() - started:.0f} s")
    if not told.with_a_million:
        with told.within(report.IN_BULK):
            told.missing(_in_bulk(MILLION), ONLY_WITH_A_MILLION)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing is written")
    parser.add_argument("--million", action="store_true", help="a million contacts in bulk as well")
    given = parser.parse_args()
    scale = QUICK if given.quick else WITH_A_MILLION if given.million else FULL
    console, told, started = Console(), Report(with_a_million=scale is WITH_A_MILLION), time.monotonic()
    with stage(ends_at=started + scale.seconds) as there:
        measure(there, told, scale, console)
    console.print(*told.show(), sep="\n")
    wrote = "Nothing written (--quick)"
    if not given.quick:
        told.write(ROOT / "docs")
        wrote = "Written: docs/benchmarks.md, docs/images/benchmarks.png"
    took = round(time.monotonic() - started)
    console.print(f"{wrote}. Took {took // 60} min {took % 60} s. {told.summary}.", soft_wrap=True)


if __name__ == "__main__":
    main()
