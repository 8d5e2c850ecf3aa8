"""Rows that the CRM refuses: what they cost the run that imports, and those that send them one by one afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.report import Report
from benchmarks.setting import Scale, Stage
from benchmarks.targets import ONLY_WITH_A_MILLION

_IN_BULK = {"BREVO_BULK_THRESHOLD": "1000", "BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES": "60"}
_SHARES = (0.001, 0.01, 0.1)
_SLOW = 20
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
    """In turns, so that what else the machine does meets all shares."""
    _shares(there, report, scale.refused, _SHARES, import_seconds=0)
    if scale.slow_imports:
        _shares(there, report, scale.refused, _SHARES[1:2], import_seconds=_SLOW)
    else:
        report.missing(_row(_SHARES[1], _SLOW), ONLY_WITH_A_MILLION)


def _shares(there: Stage, report: Report, contacts: int, shares: Sequence[float], *, import_seconds: int) -> None:
    none = _import(there, contacts, 0, import_seconds)
    for share in shares:
        some = _import(there, contacts, share, import_seconds)
        assert some.left == round(contacts * share), some
        method = f"a run of {contacts:,} against the same without refused rows; an import takes {import_seconds} s"
        report.add(_row(share, import_seconds), [some.seconds / none.seconds], "times as long", method, 2)
    if not import_seconds:
        _one_by_one(there, report, some.left)


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
    assert not run["counts"]["importing"], run["counts"]
    return Import(seconds=run["ops_seconds"], left=contacts - run["counts"]["synced"])


def _one_by_one(there: Stage, report: Report, left: int) -> None:
    """A follow-up run: what was refused goes at the limit."""
    sent = min(left, _ALONE)
    run = there.run(sent, **_IN_BULK)
    assert run["counts"]["synced"] == sent, run["counts"]
    method = f"{sent} of them in the next run, from its first op to its last"
    report.add("Refused rows, one by one", [100 * sent / run["ops_seconds"] / _RATE], "% of the limit", method)
