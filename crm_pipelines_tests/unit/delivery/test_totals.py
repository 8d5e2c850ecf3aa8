"""The sums of a run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipelines.delivery.totals import Totals, fate, totals_of
from crm_pipelines.queue.model import Applied

# What the statement `apply` (claims.sql) can make of each outcome; any of them may be superseded.
STATES = {
    "synced": {"synced", "queued"},
    "unchanged": {"synced", "queued"},
    "retry": {"queued", "failed"},
    "snoozed": {"queued"},
    "refused": {"queued"},
    "rejected": {"failed", "queued"},
    "skipped": {"skipped", "queued"},
}
PAIRS = sorted((outcome, state) for outcome, states in STATES.items() for state in {*states, "superseded"})
FATES = {"importing", "synced", "unchanged", "retrying", "failed", "skipped", "released", "superseded"}

applied = st.builds(
    lambda pair, kind, contacts, requests: Applied(
        outcome=pair[0], state=pair[1], kind=kind, contacts=contacts, requests=requests
    ),
    pair=st.sampled_from(PAIRS),
    kind=st.sampled_from([None, "outage", "rejected"]),
    contacts=st.integers(1, 1000),
    requests=st.integers(0, 5000),
)


@pytest.mark.parametrize(("outcome", "state"), PAIRS)
def test_every_outcome_and_state_is_one_fate(outcome: str, state: str) -> None:
    assert fate(outcome, state) in FATES


@pytest.mark.parametrize(
    ("outcome", "state", "expected"),
    [
        ("synced", "synced", "synced"),
        ("synced", "queued", "synced"),
        ("unchanged", "queued", "unchanged"),
        ("retry", "queued", "retrying"),
        ("retry", "failed", "failed"),
        ("rejected", "failed", "failed"),
        ("rejected", "queued", "retrying"),
        ("skipped", "skipped", "skipped"),
        ("snoozed", "queued", "released"),
        ("refused", "queued", "released"),
        ("synced", "superseded", "superseded"),
        ("snoozed", "superseded", "superseded"),
    ],
)
def test_the_fate_is_what_the_contact_came_to(outcome: str, state: str, expected: str) -> None:
    assert fate(outcome, state) == expected


@given(rows=st.lists(applied), released=st.integers(0, 100), taken_over=st.integers(0, 100))
def test_sums_add_up_exactly_when_every_claim_is_accounted_for(
    rows: list[Applied], released: int, taken_over: int
) -> None:
    claimed = sum(row.contacts for row in rows) + released + taken_over
    totals = totals_of(rows, claimed=claimed, released=released, taken_over=taken_over)
    assert totals.unaccounted == 0
    assert totals.requests == sum(row.requests for row in rows)
    assert totals_of(rows, claimed=claimed + 1, released=released, taken_over=taken_over).unaccounted == 1


def test_reasons_count_what_was_not_delivered_by_kind() -> None:
    totals = totals_of(
        [
            Applied(outcome="rejected", state="failed", kind="duplicate_phone", contacts=2, requests=2),
            Applied(outcome="retry", state="queued", kind="outage", contacts=3, requests=3),
            Applied(outcome="synced", state="synced", kind=None, contacts=5, requests=5),
            Applied(outcome="rejected", state="queued", kind="duplicate_phone", contacts=1, requests=1),
        ],
        claimed=11,
        released=0,
        taken_over=0,
    )
    assert totals.reasons == {"duplicate_phone": 3, "outage": 3}


def test_a_run_is_the_sum_of_its_batches() -> None:
    one = Totals(claimed=5, synced=4, failed=1, requests=6, reasons={"outage": 1})
    two = Totals(claimed=3, released=3, reasons={"outage": 1, "rejected": 2})
    assert Totals.sum([one, two]) == Totals(
        claimed=8, synced=4, failed=1, released=3, requests=6, reasons={"outage": 2, "rejected": 2}
    )
    assert Totals.sum([]) == Totals()


def test_the_counts_are_those_of_the_contract_and_requests() -> None:
    assert set(Totals().counts()) == FATES | {"claimed", "requests", "refused_for_rate"}
