"""The pacer in virtual time."""

from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_pipelines.delivery.pace.pacing import GatePaused, Pacer, Stopped
from crm_pipelines_tests.unit.delivery.virtual_time import VirtualGate, VirtualTime

LATENESS = st.one_of(st.floats(0, 0.04), st.floats(0, 3))


def a_pacer(time: VirtualTime, gate: VirtualGate, rate: float = 10) -> Pacer:
    return Pacer(gate.reserve, rate_per_second=rate, stop=time, clock=time.clock)


def departures(time: VirtualTime, pacers: Sequence[Pacer], *, threads: int, each: int) -> list[float]:
    """The moments at which requests left, `each` from every one of `threads` threads per pacer."""
    left: list[float] = []

    def send(pacer: Pacer) -> None:
        for _ in range(each):
            pacer.wait()
            left.append(time.now)

    time.run(*(partial(send, pacer) for pacer in pacers for _ in range(threads)))
    return sorted(left)


def most_in_a_second(moments: list[float]) -> int:
    return max(sum(start <= moment < start + 1 for moment in moments) for start in moments)


@settings(max_examples=60, deadline=None)
@given(
    rate=st.sampled_from([1, 2, 7, 10, 20, 60]),
    lateness=st.lists(LATENESS, min_size=1, max_size=50),
    processes=st.integers(1, 3),
    threads=st.integers(1, 6),
)
def test_no_second_holds_more_requests_than_the_limit_however_late_the_threads(
    rate: int, lateness: list[float], processes: int, threads: int
) -> None:
    time = VirtualTime([*lateness, 0.0])
    gate = VirtualGate(time.clock)
    pacers = [a_pacer(time, gate, rate) for _ in range(processes)]
    moments = departures(time, pacers, threads=threads, each=2 * rate // (processes * threads) + 2)
    assert most_in_a_second(moments) <= rate


@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("rate", [10, 20, 60])
def test_punctual_threads_use_95_percent_of_the_limit_for_a_minute(rate: int, processes: int) -> None:
    time = VirtualTime([0.0, 0.004, 0.002])
    gate = VirtualGate(time.clock)
    pacers = [a_pacer(time, gate, rate) for _ in range(processes)]
    moments = departures(time, pacers, threads=30 // processes, each=2 * rate)
    assert moments[-1] - moments[0] > 60
    assert (len(moments) - 1) / (moments[-1] - moments[0]) >= 0.95 * rate
    assert most_in_a_second(moments) <= rate


def test_a_slot_that_was_missed_is_given_up() -> None:
    time = VirtualTime()
    gate = VirtualGate(time.clock)
    pacer = a_pacer(time, gate)
    departures(time, [pacer], threads=1, each=1)
    time.now += 60
    moments = departures(time, [pacer], threads=4, each=1)
    spacing = 1 / gate.asked[0][1]
    assert [round(moment - moments[0], 6) for moment in moments] == [round(n * spacing, 6) for n in range(4)]


def test_the_gate_is_asked_twice_a_second() -> None:
    time = VirtualTime()
    gate = VirtualGate(time.clock)
    moments = departures(time, [a_pacer(time, gate, 60)], threads=30, each=20)
    assert len(gate.asked) <= 2.2 * (moments[-1] + 1)


def test_a_slow_rate_reserves_one_request_at_a_time() -> None:
    time = VirtualTime()
    gate = VirtualGate(time.clock)
    departures(time, [a_pacer(time, gate, 0.1)], threads=1, each=2)
    assert [slots for slots, _ in gate.asked] == [1, 1]


def test_nothing_leaves_while_the_gate_is_paused() -> None:
    time = VirtualTime()
    gate = VirtualGate(time.clock)
    gate.open = False
    with pytest.raises(GatePaused):
        a_pacer(time, gate).wait()


def test_nothing_leaves_and_nothing_is_reserved_once_stopped() -> None:
    time = VirtualTime()
    gate = VirtualGate(time.clock)
    pacer = a_pacer(time, gate)
    time.set()
    with pytest.raises(Stopped):
        pacer.wait()
    assert gate.asked == []


def test_a_stop_ends_the_wait_for_a_slot() -> None:
    time = VirtualTime()
    gate = VirtualGate(time.clock)
    pacer = a_pacer(time, gate)
    left: list[str] = []

    def send() -> None:
        try:
            for _ in range(3):
                pacer.wait()
                left.append("request")
        except Stopped:
            left.append("stopped")

    def stop() -> None:
        time.wait(0.15)
        time.set()

    time.run(send, stop)
    assert left == ["request", "request", "stopped"]


def test_a_slot_that_is_due_at_once_does_not_leave_once_stopped() -> None:
    time = VirtualTime()
    pacer = a_pacer(time, VirtualGate(time.clock), 60)
    departures(time, [pacer], threads=1, each=1)
    time.now += 0.03
    time.set()
    with pytest.raises(Stopped):
        pacer.wait()


def test_another_rate_counts_from_the_next_block_on() -> None:
    time = VirtualTime()
    gate = VirtualGate(time.clock)
    pacer = a_pacer(time, gate, 10)
    departures(time, [pacer], threads=1, each=1)
    pacer.set_rate(20)
    departures(time, [pacer], threads=1, each=5)
    assert [rate for _, rate in gate.asked] == [pytest.approx(9.65), pytest.approx(19.3)]


def test_after_forgetting_the_gate_is_asked_again() -> None:
    time = VirtualTime()
    gate = VirtualGate(time.clock)
    pacer = a_pacer(time, gate)
    departures(time, [pacer], threads=1, each=1)
    gate.open = False
    pacer.forget_reserved()
    with pytest.raises(GatePaused):
        pacer.wait()


def test_whoever_waits_for_a_forgotten_slot_does_not_use_it() -> None:
    time = VirtualTime()
    gate = VirtualGate(time.clock)
    pacer = a_pacer(time, gate)
    ended: list[str] = []

    def send() -> None:
        try:
            while True:
                pacer.wait()
                ended.append("request")
        except GatePaused:
            ended.append("paused")

    def pause() -> None:
        time.wait(0.15)
        gate.open = False
        pacer.forget_reserved()

    time.run(send, pause)
    assert ended == ["request", "request", "paused"]
