"""What is written down of a contact before it is sent is what was sent, whatever it is made of."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from crm_pipelines.destinations.blocklist import Blocklist
from crm_pipelines.queue.bulk_imports import BulkImports, ToldRow, holder
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Intent
from crm_pipelines_tests.fixtures.people import People

HOUR = timedelta(hours=1)
ODD = ["\\N", "\\.", "NULL", '"', "{a,b}", "a\tb\nc\rd", "", "Zoë 😀", "o'neil\\\\", "\x01\x7f"]


@pytest.mark.parametrize("odd", [pytest.param(one, id=ascii(one)) for one in ODD])
def test_an_import_s_rows_arrive_in_the_ledger_unchanged(people: People, engine: sa.Engine, odd: str) -> None:
    [contact] = people.add(1)
    imports, blocklist = BulkImports(engine, "brevo", "run"), Blocklist(engine, "brevo")
    import_id = imports.begin("mapping", scan_id=blocklist.complete(blocklist.begin(longest_life=HOUR)).id)
    [bulk] = imports.claim(import_id, limit=1, lease=HOUR)
    row = ToldRow(
        claim=bulk.claim,
        revision=bulk.revision,
        key=odd,
        payload_hash=bytes(range(256)),
        proof=odd.encode(),
        names=(odd, "FIRSTNAME", odd.upper()),
        warnings=(odd, odd),
        left_out=(odd,),
        lists=frozenset({"9", odd, "7"}),
    )
    imports.note(import_id, [row])
    imports.begin_submitting(import_id, modified_since=datetime.now(UTC), time_limit=HOUR, scan_trust=HOUR)
    assert imports.accepted(import_id, "process")
    [expected] = imports.expected(import_id, [odd, "another"])
    assert (expected.key, expected.names, expected.proof) == (odd, row.names, row.proof)
    assert imports.record_proved(import_id, {odd: (f"id {odd}", odd or None)}).synced == 1
    [entry] = people.all("SELECT * FROM crm_attempts WHERE contact_id = :id", id=contact)
    sync = people.sync(contact)
    for found in (entry, sync):
        assert (found["remote_key"], found["remote_id"]) == (odd, f"id {odd}")
        assert (found["remote_mark"] or "") == odd.lower()
        assert bytes(found["payload_hash"]) == row.payload_hash
        assert tuple(found["sent_attributes"]) == row.names
        assert tuple(found["left_out"]) == row.left_out
        assert set(found["lists"]) == row.lists
    assert tuple(entry["warnings"]) == row.warnings
    assert (entry["claim_no"], entry["run_id"]) == (bulk.claim.claim_no, holder(import_id))


@pytest.mark.parametrize("odd", [pytest.param(one, id=ascii(one)) for one in ODD])
def test_what_a_request_is_about_to_tell_is_written_down_unchanged(people: People, queue: Queue, odd: str) -> None:
    [contact] = people.add(1)
    [claim] = queue.claim("run", limit=1, lease=HOUR)
    assert queue.intend([Intent(claim=claim, key=odd, names=frozenset({odd, "SMS"}))]) == {contact}
    sync = people.sync(contact)
    assert (sync["sent_key"], sync["sent_attributes"]) == (odd, sorted({odd, "SMS"}))


def test_many_odd_rows_are_told_apart(people: People, engine: sa.Engine) -> None:
    people.add(len(ODD))
    imports, blocklist = BulkImports(engine, "brevo", "run"), Blocklist(engine, "brevo")
    import_id = imports.begin("mapping", scan_id=blocklist.complete(blocklist.begin(longest_life=HOUR)).id)
    claims = imports.claim(import_id, limit=100, lease=HOUR)
    told = [
        ToldRow(claim=one.claim, revision=1, key=key, payload_hash=b"", proof=key.encode(), names=(key,), warnings=())
        for one, key in zip(claims, ODD, strict=True)
    ]
    imports.note(import_id, told)
    found = imports.expected(import_id, [*ODD, "another"])
    assert {(one.key, one.proof, one.names) for one in found} == {(key, key.encode(), (key,)) for key in ODD}
