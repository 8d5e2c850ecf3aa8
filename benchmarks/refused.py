"""Rows that the CRM refuses: what they cost the run that imports, and those that send them one by one afterwards."""

from dataclasses import dataclass
from typing import Any

from benchmarks.report import Report
from benchmarks.setting import Scale, Stage

_IN_BULK = {"BREVO_BULK_THRESHOLD": "1000", "BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES": "60"}
_SHARES = (0.001, 0.01, 0.1)
_RATE = 10
# Of those that go one by one: sending all of a large share would take longer than all else.
# Enough that it is the rate that is measured, and not how long a run takes to begin.
_ALONE = 300


@dataclass(frozen=True, kw_only=True)
class Import:
    """A run that imports: seconds from its first op to its last, and how many of its contacts are left."""

    seconds: float
    left: int


def cost(there: Stage, report: Report, scale: Scale) -> None:
    """Shares in turns, so that what else the machine does meets all of them."""
    contacts = scale.refused
    for import_seconds in (0, 20):
        shares = _SHARES if import_seconds == 0 else _SHARES[1:2]
        ratios: dict[float, list[float]] = {share: [] for share in shares}
        for _ in range(scale.refused_repeats if import_seconds == 0 else 1):
            none = _import(there, contacts, 0, import_seconds)
            for share in shares:
                some = _import(there, contacts, share, import_seconds)
                assert some.left == round(contacts * share), some
                ratios[share].append(some.seconds / none.seconds)
                if import_seconds == 0 and share == shares[-1]:
                    _one_by_one(there, report, some.left)
        for share in shares:
            method = (
                f"a run of {contacts:,} against the same without refused rows, in turns; an import takes "
                f"{import_seconds} s"
            )
            report.add(_row(share, import_seconds), ratios[share], "times as long", method, 2)


def _row(share: float, import_seconds: int) -> str:
    slow = f", imports of {import_seconds} s" if import_seconds else ""
    return f"{100 * share:g} % of the rows refused{slow}"


def _import(there: Stage, contacts: int, share: float, import_seconds: int) -> Import:
    there.configure(
        contacts_per_second=_RATE,
        contacts_per_hour=36_000,
        others_per_hour=100,
        import_seconds=import_seconds,
        import_refuses=share,
    )
    there.queue(contacts)
    run: dict[str, Any] = there.run(**_IN_BULK)
    return Import(seconds=run["ops_seconds"], left=contacts - run["counts"]["synced"])


def _one_by_one(there: Stage, report: Report, left: int) -> None:
    """A follow-up run: what was refused goes at the limit."""
    sent = min(left, _ALONE)
    run = there.run(sent, **_IN_BULK)
    assert run["counts"]["synced"] == sent, run["counts"]
    method = f"{sent} of them in the next run, from its first op to its last"
    report.add("Refused rows, one by one", [100 * sent / run["ops_seconds"] / _RATE], "% of the limit", method)
