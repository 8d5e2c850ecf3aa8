"""Runs all benchmarks, prints their table, and writes it with a picture to docs/benchmarks.md. Takes up to 20 minutes.

--million: with a million contacts in bulk as well; up to an hour.
--quick: a few small ones in some minutes, to see that they work; nothing is written. A part that fails, or for
which there is no time left, costs its own figures only: the table says which are missing.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial

from rich.console import Console

from benchmarks import api, bulk, calibration, hubspot, recovery, refused, side_by_side, singles, snapshot, weights
from benchmarks.report import Report
from benchmarks.setting import FULL, QUICK, ROOT, WITH_A_MILLION, NoTimeLeft, Scale, Stage, stage

Part = Callable[[Stage, Report], None]


def parts(scale: Scale) -> Iterator[tuple[str, Part]]:
    """The longest come last. Before those in bulk: a sandbox with 100,000 contacts is slow to see who arrives when."""
    yield "Calibration", calibration.part
    yield "At the limit", partial(singles.at_the_limit, scale=scale)
    yield "One by one", partial(singles.without_a_limit, scale=scale)
    yield "Fixed costs", partial(singles.fixed_costs, scale=scale)
    for contacts, repeats in scale.bulk[:-1]:
        yield f"In bulk, {contacts:,} contacts", partial(bulk.deliver, contacts=contacts, repeats=repeats)
    yield "Stages of a bulk delivery", partial(bulk.stages, contacts=scale.stages)
    yield "Refused rows", partial(refused.cost, scale=scale)
    yield "From tick to end", singles.from_tick_to_end
    yield "Claims", partial(bulk.claims_with_a_future, scale=scale)
    if scale.api:
        yield "The HTTP API", api.load
    if scale.evidence:
        yield "Beside an open transaction", snapshot.part
        yield "Recovery after five faults", recovery.part
        yield "Weights", weights.part
        yield "Beside others: Brevo", partial(side_by_side.part, contacts=10_000)
        yield "Beside others: HubSpot", hubspot.part
    contacts, repeats = scale.bulk[-1]
    yield f"In bulk, {contacts:,} contacts", partial(bulk.deliver, contacts=contacts, repeats=repeats)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing is written")
    parser.add_argument("--million", action="store_true", help="a million contacts in bulk as well")
    given = parser.parse_args()
    quick = given.quick
    scale = QUICK if quick else WITH_A_MILLION if given.million else FULL
    console, report = Console(), Report()
    with stage(ends_at=time.monotonic() + scale.seconds) as there:
        for name, part in parts(scale):
            console.print(f"Measuring: {name} ...")
            try:
                there.time_left()
                part(there, report)
            except NoTimeLeft:
                report.missing(name, f"there was no time left: all together may take {scale.seconds / 60:.0f} minutes")
            except Exception as error:  # noqa: BLE001 - whatever it is, the other figures are worth having
                console.print_exception(max_frames=3)
                report.missing(name, f"the measurement failed: {type(error).__name__}")
    console.print(*report.show(), sep="\n")
    if not quick:
        report.write(ROOT / "docs")


if __name__ == "__main__":
    main()
