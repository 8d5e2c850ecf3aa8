"""How much of HubSpot's limit is used, beside drt's HubSpot destination: `python -m benchmarks.hubspot [CONTACTS]`.

HubSpot allows a key of a free account 100 requests in 10 seconds, and an upsert of 100 contacts with each: 1,000
contacts a second. The stand-in keeps to these limits, and its log tells who went beyond. First everybody is new, then
everybody has changed: an update costs us two requests per 100 contacts, since each is looked at first.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from typing import Any

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
from benchmarks.report import HUBSPOT, HUBSPOT_REFUSED, Report
from benchmarks.setting import Stage, stage

_SECONDS = 300
_LIMITS = {"per_ten_seconds": 100, "per_day": 250_000, "searches_per_second": 5}
_PER_SECOND = 10
_WINDOW = 10.0
_PER_REQUEST = 100
_REQUESTS_FOR_CHANGED = 2
_CONTACTS = 8000
_DRT_SAMPLE = 100
_WITH_REFUSALS = 1000
_REFUSED = 10
_REASON = "Refused for a reason"
_FAILED = "SELECT count(*) FROM crm_syncs WHERE state = 'failed' AND last_error LIKE '%Refused for a reason%'"
_SETTINGS = {"HUBSPOT_SYNC_SCHEDULER_INTERVAL_MINUTES": "60"}
_SENT = {"email": "email", "firstname": "first_name", "lastname": "last_name", "phone": "phone"}
_CHANGE = "UPDATE crm_contacts SET name = replace(name, 'Person', 'Renamed')"

_DRT = f"drt {VERSION}, HubSpot destination"
_DRT_BATCHES = f"drt {VERSION}, REST API destination, {_PER_REQUEST} contacts a request"
_OURS = "ours"
_PROMISES: tuple[Row, ...] = (
    (
        "drt",
        DRT_RETRIES,
        DRT_KILLED,
        DRT_CONSENT,
        "HubSpot destination: the answer for each contact. REST API destination: that the batch was answered with 2xx",
        DRT_LEDGER,
    ),
    (
        "ours",
        "by contact, with growing delays; a refusal for rate uses up no try",
        "what was being sent is begun again, which changes nothing; nobody stays taken",
        "suppressed people are never sent; who has unsubscribed is given no other address",
        "the answer's entry for each contact of a batch",
        "a row per attempt, and why",
    ),
)
_ABOUT = (
    "The same Postgres, and the same stand-in with HubSpot's limits of 100 requests in 10 s; one program after the "
    "other, each with an empty account. drt's HubSpot destination sends a request per contact, so {sample:,} of "
    "them are its sample; a contact that is there costs it two requests, and its pace counts them as one. Whom it "
    "gives up is skipped, as it was told (by default that ends its run). It does not let HubSpot's host be set: the "
    "constant that has it is replaced as drt starts, and nothing else. drt's REST API destination can be told how "
    "HubSpot's batch upsert is written, and sends 100 contacts with a request. So does ours; those that were "
    "delivered before are looked at first. Time and CPU from a program's first line of work to its last."
)
_ABOUT_REFUSALS = (
    "HubSpot refuses {refused} of {contacts:,} contacts, which come in batches of 100. It answers 207, which is no "
    "error, and says in the body whom it has refused:"
)


def use_of_limit(log: Sequence[Mapping[str, Any]], contacts: int, most_per_second: float) -> float:
    """Percent: contacts a second from the first request for contacts to the last, by the stand-in's log."""
    arrivals = sorted(entry["arrived"] for entry in log if "/objects/contacts" in entry["path"])
    per_request = contacts / len(arrivals)
    return 100 * per_request * (len(arrivals) - 1) / (arrivals[-1] - arrivals[0]) / most_per_second


def part(there: Stage, report: Report, contacts: int = _CONTACTS) -> None:
    """drt's sample and ours: contacts that are new, then all of them changed. Then such as HubSpot refuses."""
    done: list[Passed] = []
    absent: list[Row] = []
    refusals: list[Row] = []
    with there.beside("hubspot") as here:
        try:
            _drt(here, report, contacts, done)
            refusals.append(_drt_refused(here))
        except NotInstallable as error:
            report.missing(f"HubSpot: drt {VERSION}", str(error))
            absent.append(missing(f"drt {VERSION}"))
        _ours(here, report, contacts, done)
        refusals.append(_ours_refused(here))
    for one in done:
        method = f"{one.contacts:,} contacts, from the first line to the last; see the comparison"
        report.add(f"HubSpot: {one.program}", [one.rate], "contacts/s", method, 1)
        refused = f"HubSpot: {one.program}: refused for rate (429)"
        report.add(refused, [one.refused], "answers", "by the sandbox's log", 0)
    figures = (HEAD, [*absent, *map(row, done)])
    about = _ABOUT.format(sample=_DRT_SAMPLE)
    told = _ABOUT_REFUSALS.format(refused=_REFUSED, contacts=_WITH_REFUSALS)
    report.comparisons[HUBSPOT] = Comparison(about=about, tables=(figures, (PROMISES_HEAD, _PROMISES)))
    report.comparisons[HUBSPOT_REFUSED] = Comparison(about=told, tables=((REFUSALS_HEAD, refusals),))


def _drt(here: Stage, report: Report, contacts: int, done: list[Passed]) -> None:
    here.queue(_DRT_SAMPLE)
    here.configure(**_LIMITS)
    for what in ("new", "changed"):
        if what == "changed":
            here.execute(_CHANGE)
            time.sleep(_WINDOW)  # what it has used of the limit is not to count against it now
        before = len(here.requests())
        run = running.hubspot(here)
        done.append(_passed(here, f"{_DRT}, {what} contacts", _DRT_SAMPLE, run, before, run["said"]))
    here.queue(contacts)
    here.configure(**_LIMITS)
    run = running.hubspot_upserts(here, _PER_REQUEST)
    done.append(_passed(here, f"{_DRT_BATCHES}, new contacts", contacts, run, 0, run["said"]))
    _add_use(report, _DRT_BATCHES, "new", here.requests(), contacts, 1)


def _ours(here: Stage, report: Report, contacts: int, done: list[Passed]) -> None:
    here.queue(contacts)
    here.configure(**_LIMITS)
    for what, requests in (("new", 1), ("changed", _REQUESTS_FOR_CHANGED)):
        if what == "changed":
            here.execute(_CHANGE)
        before = len(here.requests())
        run = here.run(**_SETTINGS)
        one = _passed(here, f"{_OURS}, {what} contacts", contacts, run, before, run["counts"]["synced"])
        done.append(one)
        _add_use(report, _OURS, what, here.requests()[before:], contacts, requests)


def _add_use(report: Report, program: str, what: str, log: Sequence[Any], contacts: int, requests: int) -> None:
    """`requests`: how many the program needs for a batch."""
    most = _PER_SECOND * _PER_REQUEST / requests
    method = f"{contacts:,} {what} contacts, of {most:,.0f} contacts/s, from the first request for them to the last"
    used = use_of_limit(log, contacts, most)
    report.add(f"HubSpot: use of the limit, {what} contacts: {program}", [used], "%", method)


def _drt_refused(here: Stage) -> Row:
    _refuse(here)
    run = running.hubspot_upserts(here, _PER_REQUEST)
    return _DRT_BATCHES, f"{_WITH_REFUSALS:,}", f"{run['said']:,}", f"{_right(here):,}"


def _ours_refused(here: Stage) -> Row:
    _refuse(here)
    counts = here.run(**_SETTINGS)["counts"]
    failed = here.scalar(_FAILED)
    told = f"{counts['synced']:,}, and of {failed:,} that they failed, in HubSpot's words"
    return _OURS, f"{_WITH_REFUSALS:,}", told, f"{_right(here):,}"


def _refuse(here: Stage) -> None:
    """An account that refuses some of the contacts that are queued."""
    here.queue(_WITH_REFUSALS)
    words = dict.fromkeys((f"person{n}@example.com" for n in range(1, _REFUSED + 1)), _REASON)
    here.configure(**_LIMITS, refused=words)


def _passed(here: Stage, program: str, contacts: int, run: Mapping[str, Any], before: int, said: int) -> Passed:
    return passed(program, contacts, run, here.requests()[before:], said, _right(here))


def _right(here: Stage) -> int:
    held = [(one["properties"]["email"], one["properties"]) for one in here.held()]
    return as_they_should_be(held, wanted(here, _SENT))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hubspot")
    parser.add_argument("contacts", nargs="?", type=int, default=_CONTACTS)
    parser.add_argument("--quick", action="store_true", help="1,000 contacts")
    given = parser.parse_args()
    report = Report()
    with stage(ends_at=time.monotonic() + _SECONDS) as there:
        part(there, report, 1000 if given.quick else given.contacts)
    show(report)


if __name__ == "__main__":
    main()
