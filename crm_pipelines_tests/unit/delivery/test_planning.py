"""How much a run claims, how it splits it, how long a retry waits; and how the periods of safety fit together."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipelines.crms.transport import LONGEST_REQUEST
from crm_pipelines.delivery.planning import (
    BULK_REST,
    CLAIM_LEASE,
    DELIVERY_LEASE,
    FORCED_STOP,
    MAX_BATCHES,
    MAX_RUNTIME,
    TRUST,
    body_bytes,
    bulk_held_up,
    claim_limit,
    least_for_bulk,
    retry_policy,
    sending_budget,
    smallest_batch,
    split,
    suspects_share,
)
from crm_pipelines.queue.bulk_imports import ImportEnd

BUDGETS = st.timedeltas(min_value=timedelta(), max_value=timedelta(minutes=10))
RATES = st.floats(0.001, 1000)


def test_a_claim_outlasts_its_run_and_the_forced_end_of_it() -> None:
    assert CLAIM_LEASE >= MAX_RUNTIME + FORCED_STOP


def test_a_request_that_begins_at_the_last_trusted_moment_ends_well_within_the_lease() -> None:
    assert TRUST + LONGEST_REQUEST + timedelta(seconds=30) <= DELIVERY_LEASE


@given(budget=BUDGETS, rate=RATES)
def test_a_run_claims_what_the_rate_delivers_within_the_budget_but_at_least_one(budget: timedelta, rate: float) -> None:
    claimed = claim_limit(budget, rate, None)
    assert claimed >= 1
    assert claimed == 1 or claimed / rate <= budget.total_seconds() * (1 + 1e-9)
    assert (claimed + 1) / rate > budget.total_seconds() * (1 - 1e-9)


@given(budget=BUDGETS, rate=RATES, limit=st.integers(1, 10_000))
def test_a_run_never_claims_more_than_its_limit(budget: timedelta, rate: float, limit: int) -> None:
    assert claim_limit(budget, rate, limit) == min(limit, claim_limit(budget, rate, None))


def test_where_many_go_in_a_request_a_run_claims_what_fills_ten_large_batches_at_most() -> None:
    minutes = timedelta(minutes=4)
    assert claim_limit(minutes, 0.1, None, together=100) == 2400
    assert claim_limit(minutes, 19, None, together=100) == 50_000
    assert claim_limit(minutes, 19, 150, together=100) == 150
    assert claim_limit(minutes, 1000, None) == 240_000, "one by one"


@given(
    count=st.integers(0, 50_000),
    rate=RATES,
    together=st.integers(2, 1000),
    configured=st.integers(1, 1000),
    processes=st.integers(1, 32),
)
def test_no_request_but_the_last_is_less_than_full_and_no_batch_is_larger_than_it_needs_to_be(
    count: int, rate: float, together: int, configured: int, processes: int
) -> None:
    smallest = smallest_batch(configured, rate, processes, together=together)
    batches = split(range(count), smallest, MAX_BATCHES - 2, together=together)
    assert all(len(batch) % together == 0 for batch in batches[:-1])
    assert [item for batch in batches for item in batch] == list(range(count))
    assert len(batches) <= MAX_BATCHES - 2
    largest = max(configured, 5000, round(rate * 60))
    assert all(len(batch) < largest + together for batch in batches)


@given(items=st.lists(st.integers(), max_size=500), smallest=st.integers(1, 1000), most=st.integers(1, MAX_BATCHES))
def test_batches_hold_every_item_once_in_order(items: list[int], smallest: int, most: int) -> None:
    assert [item for batch in split(items, smallest, most) for item in batch] == items


@given(count=st.integers(0, 20_000), smallest=st.integers(1, 1000))
def test_there_are_never_more_than_twelve_batches(count: int, smallest: int) -> None:
    assert len(split(range(count), smallest)) <= 12


@given(count=st.integers(0, 20_000), smallest=st.integers(1, 1000))
def test_only_the_last_batch_is_smaller_than_the_batch_size(count: int, smallest: int) -> None:
    batches = split(range(count), smallest)
    assert all(len(batch) >= smallest for batch in batches[:-1])
    assert all(batches)


@pytest.mark.parametrize(("exponential", "minutes"), [(True, [5, 10, 20]), (False, [5, 10, 15])])
def test_the_default_delays_are_those_of_the_contract(exponential: bool, minutes: list[int]) -> None:
    policy = retry_policy(3, 5, exponential=exponential)
    assert [delay / timedelta(minutes=1) for delay in policy.delays] == minutes
    assert policy.max_retries == 3


@given(retries=st.integers(0, 20), minutes=st.floats(0.01, 1440), exponential=st.booleans())
def test_delays_never_shrink_and_never_pass_a_week(retries: int, minutes: float, exponential: bool) -> None:
    delays = retry_policy(retries, minutes, exponential=exponential).delays
    assert len(delays) == retries
    assert list(delays) == sorted(delays)
    assert all(timedelta() < delay <= timedelta(weeks=1) for delay in delays)


@given(minutes=st.integers(1, 1440))
def test_a_run_plans_to_end_before_the_next_tick_and_well_before_it_is_ended(minutes: int) -> None:
    budget = sending_budget(timedelta(minutes=minutes))
    assert timedelta() < budget <= timedelta(minutes=minutes) * 0.9
    assert budget <= MAX_RUNTIME * 0.7


@given(threshold=st.integers(1, 10_000), account=st.integers(0, 3_000_000))
def test_an_import_takes_fewer_requests_than_single_deliveries(threshold: int, account: int) -> None:
    due = least_for_bulk(threshold, account=account, page_size=1000)
    assert due >= threshold
    pages_before, pages_after = account // 999 + 1, due // 1000 + 1
    assert 2 * (pages_before + pages_after) <= due


def test_a_thousand_contacts_go_in_bulk_into_an_account_of_up_to_nearly_half_a_million() -> None:
    assert least_for_bulk(1000, account=480_000, page_size=1000) == 1000
    assert least_for_bulk(1000, account=1_000_000, page_size=1000) > 2000


def ends(*ended_as: str, age: timedelta = timedelta()) -> list[ImportEnd]:
    return [ImportEnd(ended_as=one, age=age) for one in ended_as]


BAD = ["unanswered", "timed_out", "too_large", "lost", "refused", "failed", "overdue", "unproved"]


@pytest.mark.parametrize("one", BAD)
@pytest.mark.parametrize("other", BAD)
def test_two_imports_in_a_row_that_came_to_nothing_hold_further_ones_up_for_an_hour(one: str, other: str) -> None:
    assert bulk_held_up(ends(one, other, age=timedelta(minutes=20))) == BULK_REST - timedelta(minutes=20)
    assert bulk_held_up(ends(one, other, age=BULK_REST)) is None
    assert bulk_held_up(ends(one, "proved", other)) is None
    assert bulk_held_up(ends("proved", one, other)) is None
    assert bulk_held_up(ends(one)) is None
    assert bulk_held_up([]) is None


def test_bodies_are_halved_down_to_a_floor_and_doubled_up_to_the_whole() -> None:
    slow = "timed_out"
    assert body_bytes(8_000_000, []) == 8_000_000
    assert body_bytes(8_000_000, ends(slow)) == 4_000_000
    assert body_bytes(8_000_000, ends("too_large", "unanswered", slow)) == 2_000_000
    assert body_bytes(8_000_000, ends(*[slow] * 9)) == 500_000
    assert body_bytes(8_000_000, ends("proved", *[slow] * 9)) == 1_000_000
    assert body_bytes(8_000_000, ends(*["proved"] * 9, slow)) == 8_000_000
    assert body_bytes(8_000_000, ends(slow, *["proved"] * 9)) == 4_000_000


@given(limit=st.integers(0, 10_000))
def test_neither_suspects_nor_the_others_are_left_without_a_turn(limit: int) -> None:
    share = suspects_share(limit)
    assert share < max(1, limit)
    assert share >= (limit >= 2)
