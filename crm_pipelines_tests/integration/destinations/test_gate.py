"""The gate: one rate and one breaker for all, in Postgres."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from crm_pipelines.crms.allowances import Allowance
from crm_pipelines.database import connecting
from crm_pipelines.destinations.clocks import Clocks
from crm_pipelines.destinations.gates import AccountMixup, GateKeeper, Reservation, Tally
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Attempt
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.patience import wait_until

LEASE = timedelta(minutes=25)


@pytest.fixture
def gate(engine: sa.Engine) -> GateKeeper:
    return GateKeeper(engine, "brevo")


def failures(count: int) -> Tally:
    return Tally(successes=0, failures=count, trailing_failures=count, rejects=0, last_failure="HTTP 503")


SUCCESS = Tally(successes=1, failures=0, trailing_failures=0, rejects=0)


def next_slot(people: People) -> datetime:
    """The moment of the first slot that nobody has."""
    moment: datetime = people.all("SELECT next_slot_at FROM crm_gates WHERE crm = 'brevo'")[0]["next_slot_at"]
    return moment


def test_reservations_of_several_processes_never_overlap(database_url: str) -> None:
    engine = connecting.create_engine(database_url, pool_size=8)
    gate = GateKeeper(engine, "brevo")
    people = People(engine)
    before = people.now()
    with ThreadPoolExecutor(8) as pool:
        reserved = list(pool.map(lambda _: gate.reserve(5, 10.0), range(40)))
    used = next_slot(people) - before
    engine.dispose()
    assert all(one is not None and one.slots == 5 for one in reserved)
    assert used >= timedelta(seconds=20), "200 requests at 10 per second"


@pytest.mark.parametrize("first_look", ["read", "reserve"])
def test_an_answer_that_comes_late_makes_no_slot_late(engine: sa.Engine, first_look: str) -> None:
    late = 0.0
    gate = GateKeeper(engine, "brevo", clocks=Clocks(lambda: time.monotonic() + late))
    if first_look == "read":
        gate.read()
    else:
        gate.reserve(1, 1.0)
    before = time.monotonic()
    late = 30
    reservation = gate.reserve(1, 1.0)
    took = time.monotonic() - before
    assert reservation is not None
    assert -30 - took <= reservation.first_seconds <= -30 + 2, "its moment, at half the rate at most"


def test_answers_that_are_always_late_use_up_ten_reservations_at_most_whoever_looks_meanwhile(
    engine: sa.Engine,
) -> None:
    late = 0.0
    gate = GateKeeper(engine, "brevo", clocks=Clocks(lambda: time.monotonic() + late))
    gate.read()
    missed = []
    for _ in range(10):
        late = 30
        reservation = gate.reserve(1, 100.0)
        missed.append(reservation is not None and reservation.first_seconds < -20)
        late = 0.0
        gate.read()
    assert missed == [True] * 9 + [False]


def test_slots_are_on_time_again_when_the_database_clock_was_set_back(engine: sa.Engine) -> None:
    set_back = 0.0
    gate = GateKeeper(engine, "brevo", clocks=Clocks(lambda: time.monotonic() + set_back))
    gate.read()
    set_back = 30  # to the clocks it is the same
    reserved = [gate.reserve(1, 100.0) for _ in range(10)]
    assert [one is not None and one.first_seconds < -20 for one in reserved] == [True] * 9 + [False]


def test_an_idle_gate_saves_up_no_burst(gate: GateKeeper, people: People) -> None:
    people.run("UPDATE crm_gates SET next_slot_at = now() - interval '1 hour'")
    before = people.now()
    assert gate.reserve(5, 10.0) is not None
    after_first = next_slot(people)
    assert after_first >= before + timedelta(seconds=1)
    assert gate.reserve(5, 10.0) is not None
    assert next_slot(people) >= after_first + timedelta(seconds=0.5)


def test_after_an_idle_time_the_first_requests_go_at_half_the_rate(gate: GateKeeper, people: People) -> None:
    people.run("UPDATE crm_gates SET next_slot_at = now() - interval '1 minute'")
    # So many that no time is idle between them.
    spacings = [reservation.spacing_seconds for _ in range(3) if (reservation := gate.reserve(600, 10.0)) is not None]
    assert spacings == pytest.approx([0.2, 0.1, 0.1])


def test_between_two_batches_the_full_rate_goes_on(gate: GateKeeper, people: People) -> None:
    def reserved_soon_afterwards() -> Reservation | None:
        people.run("UPDATE crm_gates SET next_slot_at = clock_timestamp() - interval '1 s'")
        last_slot = next_slot(people)
        reservation = gate.reserve(5, 10.0)
        return reservation if people.now() - last_slot < timedelta(seconds=5) else None

    reservation = wait_until(reserved_soon_afterwards, "two statements follow each other within four seconds")
    assert reservation.spacing_seconds == pytest.approx(0.1)


def test_a_database_clock_that_was_set_back_does_not_stop_everything(gate: GateKeeper, people: People) -> None:
    people.run("UPDATE crm_gates SET next_slot_at = now() + interval '1 day'")
    reservation = gate.reserve(1, 10.0)
    assert reservation is not None
    assert reservation.first_seconds <= 60


def test_no_slot_is_given_while_paused_and_half_the_rate_afterwards(gate: GateKeeper, people: People) -> None:
    gate.pause("rate_limit", "slow down", timedelta(hours=1))
    assert gate.reserve(1, 10.0) is None
    people.run("UPDATE crm_gates SET paused_until = now() - interval '1 s' WHERE crm = 'brevo'")
    reservation = gate.reserve(1, 10.0)
    assert reservation is not None
    assert reservation.spacing_seconds == pytest.approx(0.2)


def test_a_longer_pause_is_never_shortened(gate: GateKeeper) -> None:
    gate.close("Key not found", "fingerprint")
    gate.pause("rate_limit", "slow down", timedelta(seconds=1))
    state = gate.read()
    assert (state.paused, state.pause_kind, state.paused_until) == (True, "credentials", None)


def pause_seconds(people: People) -> float:
    """How long the present pause is in all."""
    query = "SELECT extract(epoch FROM paused_until - changed_at)::float8 AS pause FROM crm_gates WHERE crm = 'brevo'"
    return float(people.all(query)[0]["pause"])


def test_ten_failures_in_a_row_open_the_breaker_and_one_success_in_between_prevents_it(
    gate: GateKeeper, people: People
) -> None:
    assert gate.judge(failures(9)) is None
    assert gate.judge(SUCCESS) is None
    assert gate.judge(failures(9)) is None
    assert gate.judge(failures(1)) == "outage"
    state = gate.read()
    assert (state.paused, state.probing) == (True, True)
    assert pause_seconds(people) == 30
    assert "HTTP 503" in (state.pause_reason or "")


def test_each_failed_probe_doubles_the_pause_up_to_fifteen_minutes(gate: GateKeeper, people: People) -> None:
    gate.judge(failures(10))
    pauses = []
    for _ in range(7):
        people.run("UPDATE crm_gates SET paused_until = now() - interval '1 s' WHERE crm = 'brevo'")
        assert gate.judge(failures(1)) == "outage"
        pauses.append(pause_seconds(people))
    assert pauses == [60, 120, 240, 480, 900, 900, 900]


def test_a_successful_probe_closes_the_breaker(gate: GateKeeper, people: People) -> None:
    gate.judge(failures(10))
    people.run("UPDATE crm_gates SET paused_until = now() - interval '1 s' WHERE crm = 'brevo'")
    gate.judge(SUCCESS)
    state = gate.read()
    assert (state.probing, state.paused) == (False, False)
    assert gate.judge(failures(9)) is None


def ledger(people: People, gate: GateKeeper, engine: sa.Engine, outcomes: list[str]) -> None:
    people.add(len(outcomes))
    queue = Queue(engine, "brevo")
    claims = queue.claim("run-1", limit=len(outcomes), lease=LEASE)
    queue.record(
        "run-1",
        [
            Attempt(claim=claim, outcome=outcome, revision=1, duration=timedelta(), requests=1, answered=True)
            for claim, outcome in zip(claims, outcomes, strict=True)
        ],
    )


def test_seventy_percent_failures_open_the_breaker_though_never_ten_in_a_row(
    people: People, gate: GateKeeper, engine: sa.Engine
) -> None:
    ledger(people, gate, engine, list(itertools.islice(itertools.cycle(["retry", "retry", "retry", "synced"]), 12)))
    mixed = Tally(successes=1, failures=3, trailing_failures=1, rejects=0, last_failure="HTTP 500")
    assert gate.judge(mixed) == "outage"


def test_many_rejects_pause_the_gate_since_a_mapping_mistake_must_not_bury_the_table(
    people: People, gate: GateKeeper, engine: sa.Engine
) -> None:
    ledger(people, gate, engine, ["rejected"] * 10 + ["synced"] * 40)
    tally = Tally(successes=1, failures=0, trailing_failures=0, rejects=1, last_reject="Invalid attribute")
    assert gate.judge(tally) == "rejects"
    state = gate.read()
    assert (state.paused, state.pause_kind) == (True, "rejects")
    assert "10 of the last 50" in (state.pause_reason or "")


def test_few_rejects_do_not(people: People, gate: GateKeeper, engine: sa.Engine) -> None:
    ledger(people, gate, engine, ["rejected"] * 9 + ["synced"] * 41)
    assert gate.judge(Tally(successes=1, failures=0, trailing_failures=0, rejects=1)) is None


def test_defects_of_ours_pause_the_gate_like_rejects(people: People, gate: GateKeeper, engine: sa.Engine) -> None:
    ledger(people, gate, engine, ["retry"] * 50)
    people.run("UPDATE crm_attempts SET kind = 'internal', requests = 0, answered = false")
    assert gate.judge(Tally(successes=0, failures=0, trailing_failures=0, rejects=1)) == "rejects"


def test_opening_forgets_what_was_counted(gate: GateKeeper) -> None:
    gate.judge(failures(9))
    gate.close("Key not found", "fingerprint")
    gate.open()
    assert gate.judge(failures(9)) is None
    assert not gate.read().paused


def test_leaving_the_sandbox_makes_every_contact_new_again(people: People, gate: GateKeeper) -> None:
    [contact_id] = people.add()
    assert gate.bind_account("sandbox", "key") == 0
    people.run(
        "UPDATE crm_syncs SET state = 'synced', synced_revision = revision, remote_key = 'x', payload_hash = 'x'"
    )
    assert gate.bind_account("sandbox", "key") == 0
    assert gate.bind_account("5f8a", "another key") == 1
    row = people.sync(contact_id)
    assert (row["state"], row["remote_key"], row["payload_hash"]) == ("unselected", None, None)


def test_a_real_account_knows_nothing_of_the_sandboxs_lists_and_marks(people: People, gate: GateKeeper) -> None:
    [contact_id] = people.add()
    gate.bind_account("sandbox", "key")
    people.run("UPDATE crm_syncs SET lists = '{2}', remote_mark = 'shop-1'")
    gate.bind_account("5f8a", "another key")
    row = people.sync(contact_id)
    assert (row["lists"], row["remote_mark"]) == ([], None)


def test_the_sandbox_is_refused_for_contacts_of_a_real_account(gate: GateKeeper) -> None:
    gate.bind_account("5f8a", "key")
    with pytest.raises(AccountMixup, match="5f8a"):
        gate.bind_account("sandbox", "another key")
    assert gate.bind_account("5f8a", "key") == 0


ASIDE = Allowance(most=30, refill=timedelta(hours=1) / 70, reserve=10)


def look(gate: GateKeeper, allowance: Allowance = ASIDE) -> bool:
    return gate.reserve_poll(most=allowance.most, refill=allowance.refill, reserve=allowance.reserve)


def let_pass(people: People, time: timedelta) -> None:
    people.run(
        "UPDATE crm_gates SET aside_full_at = aside_full_at - :time, next_poll_at = next_poll_at - :time", time=time
    )


def test_looks_at_imports_come_out_of_a_bucket_and_leave_its_reserve_to_others(
    people: People, gate: GateKeeper
) -> None:
    assert [look(gate) for _ in range(22)] == [True] * 20 + [False] * 2
    let_pass(people, ASIDE.refill)
    assert [look(gate) for _ in range(2)] == [True, False]
    let_pass(people, timedelta(days=400))
    assert [look(gate) for _ in range(22)].count(True) == 20, "it holds no more than it holds"


def test_in_no_hour_there_are_more_requests_aside_than_the_crm_allows(people: People, gate: GateKeeper) -> None:
    """Whoever looks whenever it is allowed, now more and now less often, beside questions that are made in any case."""
    passed, made = timedelta(), list[datetime]()
    for number in range(400):
        step = timedelta(seconds=number * 37 % 120 if number % 100 < 60 else 0)
        passed += step
        let_pass(people, step)
        if number % 40 == 0:
            gate.count_aside(most=ASIDE.most, refill=ASIDE.refill)
            made.append(people.now() + passed)
        if look(gate):
            made.append(people.now() + passed)
    hour = timedelta(hours=1)
    assert max(sum(start <= one < start + hour for one in made) for start in made) <= 100
    assert len(made) > 100


def test_several_processes_share_the_bucket(database_url: str) -> None:
    engine = connecting.create_engine(database_url, pool_size=8)
    gate = GateKeeper(engine, "brevo")
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: look(gate), range(60))).count(True) == 20
    engine.dispose()


def test_questions_that_cannot_wait_are_counted_and_leave_fewer_looks(gate: GateKeeper) -> None:
    for _ in range(25):
        gate.count_aside(most=ASIDE.most, refill=ASIDE.refill)
    assert not look(gate)


def test_however_many_there_were_of_them_an_hour_later_the_bucket_is_full(people: People, gate: GateKeeper) -> None:
    for _ in range(100):
        gate.count_aside(most=ASIDE.most, refill=ASIDE.refill)
    let_pass(people, ASIDE.most * ASIDE.refill)
    assert [look(gate) for _ in range(22)].count(True) == 20


def test_a_clock_of_the_database_that_was_set_back_keeps_nobody_from_looking_for_longer_than_a_bucket_takes(
    people: People, gate: GateKeeper
) -> None:
    people.run("UPDATE crm_gates SET aside_full_at = now() + interval '1 year'")
    assert [look(gate) for _ in range(3)] == [True, False, False]
    let_pass(people, (ASIDE.most + 1) * ASIDE.refill)
    assert look(gate)
