"""The same contacts to the same stand-in for Brevo: by drt, by a simple loop, by the floor, and by us.

`python -m benchmarks.side_by_side [CONTACTS]`, 10,000 unless told otherwise, 1,000 with --quick. drt
(benchmarks/drt) reads them from the same Postgres with its Postgres source and sends them with its REST API
destination. Each program starts with an account that is empty. What it says is one thing; what the stand-in then holds
is looked up contact by contact, with its attributes.
"""

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks import baseline
from benchmarks.comparison import (
    DRT_CONSENT,
    DRT_KILLED,
    DRT_LEDGER,
    DRT_RETRIES,
    HEAD,
    PROMISES_HEAD,
    REFUSALS_HEAD,
    Comparison,
    Passed,
    Row,
    as_they_should_be,
    missing,
    passed,
    row,
    show,
    wanted,
)
from benchmarks.drt import running
from benchmarks.drt.installing import VERSION, NotInstallable
from benchmarks.report import SIDE_BY_SIDE, SIDE_BY_SIDE_REFUSED, Report
from benchmarks.setting import Stage, stage

_IN_BULK = {"BREVO_BULK_THRESHOLD": "1000", "BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES": "60"}
_LIMITS = {"contacts_per_second": 10, "contacts_per_hour": 36_000, "others_per_hour": 100}
_LOOP_SAMPLE = 500
_MOST_PER_IMPORT = 10_000
# Of a small import: 1 % of its rows.
_WITH_REFUSALS = 1000
_REFUSED = 0.01
_SECONDS = 300

_DRT_SMALL = f"drt {VERSION}, 100 contacts a request"
_DRT_LARGE = f"drt {VERSION}, {_MOST_PER_IMPORT:,} contacts a request"
_LOOP = "a simple loop, a contact a request"
_FLOOR = "the floor: a bare program, nothing guarded"
_ACCEPTED = "ours, until Brevo has accepted the last import"
_PROVED = "ours, each contact seen at Brevo"

_SENT = {"FIRSTNAME": "first_name", "LASTNAME": "last_name", "SMS": "sms", "EXT_ID": "id"}
_SENT_BY_LOOP = {"FIRSTNAME": "name"}
_PROMISES: tuple[Row, ...] = (
    (
        "drt",
        DRT_RETRIES,
        DRT_KILLED,
        DRT_CONSENT,
        "none: an import that was accepted counts as delivered",
        DRT_LEDGER,
    ),
    (
        "a simple loop",
        "none: the first refusal ends it",
        "up to ten contacts stay marked as taken, whether they were sent or not",
        "none",
        "the answer to each request",
        "a state per contact",
    ),
    (
        "the floor",
        "none: the first refusal ends it",
        "it has lost count: everybody again",
        "none",
        "each contact read back and compared; it waits for ever for one that was refused",
        "a row per contact",
    ),
    (
        "ours",
        "by contact, with growing delays; what an import refuses goes one by one; a refusal for rate uses up no try",
        "what was sent is looked up before anything is sent again; nobody stays taken",
        "suppressed people are never sent; nobody is taken off a block-list, or put again on a list that they left",
        "each contact read back and compared",
        "a row per attempt, and why",
    ),
)
_ABOUT = (
    "One program after the other with the same {contacts:,} contacts in the same Postgres, each with an empty "
    "account at the same stand-in, whose import begins at once. 10 requests/s are allowed, but to the loop and the "
    "floor, which keep to no limit and would be refused. Time and CPU from a program's first line of work to its "
    "last; loading the programs does not count. The loop sends {loop:,} contacts, and their whole name as first "
    "name. drt takes an import that was accepted as delivered, so compare it with ours until then. drt reads and "
    "sends, and writes nothing back. What is promised: of drt by its documents and its source, with what it has "
    "built in."
)
_ABOUT_REFUSALS = "An import of which Brevo refuses 1 % of the rows, which it tells in reports of the import only:"


def accepted_after(log: Sequence[Mapping[str, Any]], began_at: float) -> tuple[float, int]:
    """Seconds until the last import was accepted, and requests until then, by the stand-in's log."""
    accepted = [
        entry["finished"] for entry in log if entry["path"].endswith("/contacts/import") and entry["status"] == 202
    ]
    last = max(accepted)
    return last - began_at, sum(entry["arrived"] <= last for entry in log)


def part(there: Stage, report: Report, contacts: int) -> None:
    """All of them, and the comparison in the report."""
    done: list[Passed] = []
    absent: list[Row] = []
    refusals: list[Row] = []
    try:
        done += _drt(there, contacts)
        refusals.append(_drt_refused(there))
    except NotInstallable as error:
        report.missing(f"Side by side: drt {VERSION}", str(error))
        absent.append(missing(f"drt {VERSION}"))
    done += [_loop(there), _floor(there, contacts), *_ours(there, contacts)]
    refusals.append(_ours_refused(there))
    for one in done:
        method = f"{one.contacts:,} contacts, from the first line to the last; see the comparison"
        report.add(f"Side by side: {one.program}", [one.rate], "contacts/s", method, 0)
    about = _ABOUT.format(contacts=contacts, loop=_LOOP_SAMPLE)
    figures = (HEAD, [*absent, *map(row, done)])
    told = (REFUSALS_HEAD, refusals)
    report.comparisons[SIDE_BY_SIDE] = Comparison(about=about, tables=(figures, (PROMISES_HEAD, _PROMISES)))
    report.comparisons[SIDE_BY_SIDE_REFUSED] = Comparison(about=_ABOUT_REFUSALS, tables=(told,))


def _drt(there: Stage, contacts: int) -> Iterator[Passed]:
    for program, rows in ((_DRT_SMALL, 100), (_DRT_LARGE, _MOST_PER_IMPORT)):
        _set(there, contacts, **_LIMITS)
        run = running.brevo_import(there, rows)
        yield _passed(there, program, contacts, run, run["said"])


def _loop(there: Stage) -> Passed:
    _set(there, _LOOP_SAMPLE)
    before = there.cpu_seconds()["Postgres"]
    sent, seconds, cpu = baseline.run(there.url, f"{there.sandbox}/v3")
    spent = {"Postgres": there.cpu_seconds()["Postgres"] - before}
    run = {"seconds": seconds, "cpu_seconds": cpu, "cpu_of_others": spent}
    return _passed(there, _LOOP, _LOOP_SAMPLE, run, sent, _SENT_BY_LOOP)


def _floor(there: Stage, contacts: int) -> Passed:
    _set(there, contacts)
    run = there.floor()
    return _passed(there, _FLOOR, contacts, run, run["contacts"])


def _ours(there: Stage, contacts: int) -> Iterator[Passed]:
    _set(there, contacts, **_LIMITS)
    run = there.run(**_IN_BULK)
    proved = _passed(there, _PROVED, contacts, run, run["counts"]["synced"])
    seconds, requests = accepted_after(there.requests(), run["began_at"])
    yield Passed(program=_ACCEPTED, contacts=contacts, seconds=seconds, requests=requests, refused=0)
    yield proved


def _drt_refused(there: Stage) -> Row:
    _set(there, _WITH_REFUSALS, import_refuses=_REFUSED, **_LIMITS)
    said = running.brevo_import(there, 100)["said"]
    return _DRT_SMALL, f"{_WITH_REFUSALS:,}", f"{said:,}", f"{_right(there):,}"


def _ours_refused(there: Stage) -> Row:
    """In two runs: the second sends one by one what was refused."""
    _set(there, _WITH_REFUSALS, import_refuses=_REFUSED, **_LIMITS)
    said = [there.run(**_IN_BULK)["counts"]["synced"] for _ in range(2)]
    told = f"{said[0]:,}, and {said[1]:,} in the next run"
    return "ours", f"{_WITH_REFUSALS:,}", told, f"{_right(there):,}"


def _set(there: Stage, contacts: int, **settings: float) -> None:
    there.configure(import_seconds=0, **settings)
    there.queue(contacts)


def _passed(
    there: Stage,
    program: str,
    contacts: int,
    run: Mapping[str, Any],
    said: int,
    attributes: Mapping[str, str] = _SENT,
) -> Passed:
    return passed(program, contacts, run, there.requests(), said, _right(there, attributes))


def _right(there: Stage, attributes: Mapping[str, str] = _SENT) -> int:
    held = [(one["email"], one["attributes"]) for one in there.held()]
    return as_they_should_be(held, wanted(there, attributes))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.side_by_side")
    parser.add_argument("contacts", nargs="?", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="1,000 contacts")
    given = parser.parse_args()
    report = Report()
    with stage(ends_at=time.monotonic() + _SECONDS) as there:
        part(there, report, 1000 if given.quick else given.contacts)
    show(report)


if __name__ == "__main__":
    main()
