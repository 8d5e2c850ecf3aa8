"""What must hold once all is quiet, judged from the two ends: the tables, and what the CRM was asked and stores.

The pipeline's own reports are not asked.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from itertools import pairwise
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.crms.payloads import Payload
from crm_pipelines_tests.ends import BrevoEnd, End
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox

Row = dict[str, Any]

# Which outcome may have led to a state. A crash leaves none.
_LEADS_TO = {"synced": {"synced", "unchanged"}, "failed": {"retry", "rejected", "unknown"}, "skipped": {"skipped"}}

_ROWS = """
SELECT s.*, a.outcome, a.revision AS outcome_revision, a.payload_hash AS outcome_hash, a.applied_at,
       c.revision AS present_revision, to_jsonb(c) AS contact
  FROM crm_syncs s JOIN crm_contacts c ON c.id = s.contact_id
  LEFT JOIN crm_attempts a ON (a.contact_id, a.crm, a.claim_no) = (s.contact_id, s.crm, s.claim_no)
 WHERE s.crm = :crm ORDER BY s.contact_id
"""

_CONFIRMED = """
SELECT count(*) FROM crm_attempts a JOIN crm_gates g ON g.crm = a.crm
 WHERE a.crm = :crm AND outcome = 'synced' AND run_id NOT LIKE 'import:%'
   AND finished_at > coalesce(account_since, '-infinity')
"""


def assert_invariants(
    engine: sa.Engine, sandbox: BrevoSandbox, *, culprits: Collection[UUID] = (), most_sends: int | None = None
) -> None:
    """Raises AssertionError that names every violation at Brevo, by contact id.

    `culprits` are the contacts during whose delivery a worker died; `most_sends` is how often one contact may have
    been sent.
    """
    found = list(violations(engine, BrevoEnd(sandbox), culprits=culprits, most_sends=most_sends))
    assert not found, f"{len(found)} violations:\n" + "\n".join(found[:50])


def violations(
    engine: sa.Engine,
    end: End,
    *,
    culprits: Collection[UUID] = (),
    most_sends: int | None = None,
    frozen: Callable[[Row], bool] = lambda _: False,
) -> Iterator[str]:
    """Every violation as a sentence. `frozen` requests are those whose sender stood still and could not hang up."""
    with engine.connect() as connection:
        rows = [dict(row._mapping) for row in connection.execute(sa.text(_ROWS), {"crm": end.crm})]
        ledger = connection.execute(sa.text(_CONFIRMED), {"crm": end.crm}).scalar_one()
    log, held = end.sends(), end.held(rows)
    for row in rows:
        name = f"{row['contact_id']} ({row['state']})"
        yield from (f"{name}: {problem}" for problem in _of_row(row, culprits))
        if row["state"] == "synced":
            payload = end.mapper.prepare(row["contact"], sent_attributes=frozenset())
            yield from (f"{name}: {problem}" for problem in _of_stored(end, payload, held.get(str(row["contact_id"]))))
    yield from end.nobodys(rows)
    yield from _of_log(log, most_sends, frozen)
    applied = sum(entry["applied"] for entry in log)
    if ledger > applied:
        yield f"the ledger knows {ledger} deliveries, the CRM only {applied}"


def _of_row(row: Row, culprits: Collection[UUID]) -> Iterator[str]:
    state, outcome = row["state"], row["outcome"]
    if state in {"queued", "claimed"}:
        yield f"lost, since all is quiet; claimed by {row['claimed_by']}, lease until {row['lease_until']}"
    if state in {"failed", "skipped"} and not row["last_error"]:
        yield "given up without a reason"
    if row["crashes"] and row["contact_id"] not in culprits:
        yield f"charged {row['crashes']} crashes, but no worker died of it"
    if state != "unselected" and row["contact_revision"] != row["present_revision"]:
        yield f"the edit that made revision {row['present_revision']} is not delivered"
    if state in _LEADS_TO and row["last_error_kind"] not in {"crash", "suppressed", "unknown"}:
        if outcome not in _LEADS_TO[state] or row["applied_at"] is None:
            yield f"the current claim {row['claim_no']} did not come to this, but to {outcome}"
        elif row["outcome_revision"] != row["revision"]:
            yield f"revision {row['revision']} was never delivered; the claim's was {row['outcome_revision']}"
    if state == "synced":
        if row["synced_revision"] != row["revision"]:
            yield f"revision {row['revision']}, but {row['synced_revision']} is delivered"
        if outcome == "synced" and row["outcome_hash"] != row["payload_hash"]:
            yield "the hash is not that of the confirmed delivery"


def _of_stored(end: End, payload: object, held: Row | None) -> Iterator[str]:
    if not isinstance(payload, Payload):
        yield "cannot have been delivered"
    elif held is None:
        yield "the CRM does not have it"
    else:
        yield from end.differences(payload, held)


def _of_log(log: list[Row], most_sends: int | None, frozen: Callable[[Row], bool]) -> Iterator[str]:
    sends = defaultdict(list)
    for entry in log:
        sends[entry["ext_id"]].append(entry)
    for contact_id, entries in sends.items():
        for one, two in pairwise(entries):
            ended = one["finished_monotonic"] is not None and one["finished_monotonic"] <= two["arrived_monotonic"]
            if not ended and not frozen(one):
                yield f"{contact_id}: the requests {one['seq']} and {two['seq']} overlap"
        applied = sum(entry["applied"] for entry in entries)
        if most_sends is not None and applied > most_sends:
            yield f"{contact_id}: sent {applied} times"
