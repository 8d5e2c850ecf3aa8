"""What a scan has written down is found again, be it little or much."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from crm_pipelines.destinations import blocklist as module
from crm_pipelines.destinations.blocklist import Blocklist

HOUR = timedelta(hours=1)
WRITTEN = ["EMAIL o'neil\"\\@example.com", "SMS 12025550143", "ID 7", "EMAIL Zoë 名"]
OTHERS = ["EMAIL other@example.com", "SMS 1", "ID 8", ""]


@pytest.fixture(params=[10_000, 0], ids=["kept in memory", "asked for"])
def blocklist(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Blocklist:
    monkeypatch.setattr(module, "_FEW", request.param)
    return Blocklist(engine, "brevo")


def test_those_are_found_that_were_written_down_and_no_others(blocklist: Blocklist) -> None:
    scan_id = blocklist.begin(longest_life=HOUR)
    for one in WRITTEN:
        blocklist.note(scan_id, [one, one])
    scan = blocklist.complete(scan_id)
    assert scan.blocked == len(WRITTEN)
    assert blocklist.among(scan, [*OTHERS, *WRITTEN]) == set(WRITTEN)
    assert blocklist.among(scan, WRITTEN[:1]) == {WRITTEN[0]}
    assert blocklist.among(scan, OTHERS) == set()


def test_a_scan_knows_nothing_of_another(blocklist: Blocklist) -> None:
    scans = []
    for one in WRITTEN[:2]:
        scan_id = blocklist.begin(longest_life=HOUR)
        blocklist.note(scan_id, [one])
        scans.append(blocklist.complete(scan_id))
    assert [blocklist.among(scan, WRITTEN) for scan in (*scans, scans[0])] == [
        {WRITTEN[0]},
        {WRITTEN[1]},
        {WRITTEN[0]},
    ]
