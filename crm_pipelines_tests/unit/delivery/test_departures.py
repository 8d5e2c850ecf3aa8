"""Requests that leave later than their slots, in virtual time: threads that wait for the processor on the way."""

import itertools
from collections.abc import Iterable, Sequence
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crm_pipelines.crms.turns import leaving
from crm_pipelines.delivery.pace.pacing import Pacer
from crm_pipelines_tests.unit.delivery.virtual_time import VirtualGate, VirtualTime

STALL = st.one_of(st.just(0.0), st.floats(0, 0.15), st.floats(0, 3))


class Sender:
    """One process that sends through one pacer; a stall is `(before its look at what has left, behind it)`."""

    def __init__(self, rate: float) -> None:
        self.time = VirtualTime()
        self.gate = VirtualGate(self.time.clock)
        self.pacer = Pacer(
            self.gate.reserve, rate_per_second=rate, stop=self.time, clock=self.time.clock, sleep=self.sleep
        )
        self.left: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.time.wait(seconds)

    def send(self, *stalls: tuple[float, float]) -> None:
        """One request after the other, each with its stall."""
        for before, behind in stalls:
            self.pacer.wait()
            self.sleep(before)
            with leaving():
                self.sleep(behind)
                self.left.append(self.time.now)

    def send_by_threads(self, threads: int, each: int, stalls: Iterable[tuple[float, float]]) -> list[float]:
        """The moments at which the requests left."""
        own = [[next(some) for _ in range(each)] for some in [itertools.cycle(stalls)] for _ in range(threads)]
        self.time.run(*(partial(self.send, *some) for some in own))
        return sorted(self.left)


def most_within(seconds: float, moments: Sequence[float]) -> int:
    return max(sum(start <= moment < start + seconds for moment in moments) for start in moments)


@settings(max_examples=100, deadline=None)
@given(
    rate=st.sampled_from([1, 2, 7, 10, 20]),
    stalls=st.lists(st.tuples(STALL, STALL), min_size=1, max_size=40),
    threads=st.integers(1, 12),
)
@example(rate=10, stalls=[(0.09, 0.0), *[(0.0, 0.0)] * 29], threads=10)
@example(rate=10, stalls=[(0.0, 0.09), *[(0.0, 0.0)] * 29], threads=10)
@example(rate=1, stalls=[(0.0, 2.5), *[(0.0, 0.0)] * 3], threads=4)
def test_no_second_holds_more_departures_than_the_limit_however_late_they_are(
    rate: int, stalls: list[tuple[float, float]], threads: int
) -> None:
    moments = Sender(rate).send_by_threads(threads, 3 * rate // threads + 3, stalls)
    assert most_within(1, moments) <= rate


@settings(max_examples=20, deadline=None)
@given(stalls=st.lists(st.tuples(STALL, STALL), min_size=1, max_size=40), threads=st.integers(1, 12))
@example(stalls=[(2.0, 0.0), *[(0.0, 0.0)] * 12], threads=12)
def test_ten_seconds_hold_no_more_than_a_limit_that_is_counted_over_them(
    stalls: list[tuple[float, float]], threads: int
) -> None:
    moments = Sender(11).send_by_threads(threads, 240 // threads + 1, stalls)
    assert most_within(10, moments) <= 110


@settings(max_examples=20, deadline=None)
@given(stalls=st.lists(st.tuples(STALL, STALL), min_size=1, max_size=10), threads=st.integers(1, 4))
@example(stalls=[(3.0, 0.0), (0.0, 0.0)], threads=1)
def test_a_limit_of_one_in_ten_seconds_is_kept(stalls: list[tuple[float, float]], threads: int) -> None:
    moments = Sender(0.1).send_by_threads(threads, 4, stalls)
    assert most_within(10, moments) <= 1


def test_a_late_request_holds_back_the_tenth_after_it_just_as_far_as_needed() -> None:
    late = Sender(10)
    late.time.run(partial(late.send, *[(0.0, 0.0)] * 3, (0.09, 0.0), *[(0.0, 0.0)] * 16))
    punctual = Sender(10)
    punctual.time.run(partial(punctual.send, *[(0.0, 0.0)] * 20))
    delays = [ours - due for ours, due in zip(late.left, punctual.left, strict=True)]
    spacing = 1 / late.gate.asked[0][1]
    assert delays[3] == pytest.approx(0.09)
    assert delays[13] == pytest.approx(0.09 - (10 * spacing - 1.016))
    assert [delay for number, delay in enumerate(delays) if number not in {3, 13}] == pytest.approx([0.0] * 18)


def test_with_every_fifth_request_late_95_percent_of_the_limit_are_used_for_a_minute() -> None:
    moments = Sender(10).send_by_threads(10, 60, [(0.09, 0.0), *[(0.0, 0.0)] * 4])
    assert moments[-1] - moments[0] > 60
    assert (len(moments) - 1) / (moments[-1] - moments[0]) >= 9.5
    assert most_within(1, moments) <= 10


def test_turns_that_no_request_follows_take_up_no_room() -> None:
    sender = Sender(1)

    def give_up_and_send() -> None:
        for _ in range(3):
            sender.pacer.wait()
        sender.send((0.0, 0.0))

    sender.time.run(give_up_and_send)
    assert sender.left == pytest.approx([3 / sender.gate.asked[0][1]])


def test_requests_without_a_turn_are_not_held_back_and_not_counted() -> None:
    sender = Sender(1)

    def probe_and_send() -> None:
        sender.send((0.0, 0.0))
        for _ in range(5):
            with leaving():
                assert sender.time.now == 0
        sender.send((0.0, 0.0))

    sender.time.run(probe_and_send)
    assert sender.left == pytest.approx([0, 1 / sender.gate.asked[0][1]])


def test_a_request_that_breaks_off_while_it_leaves_counts_as_left() -> None:
    sender = Sender(1)

    def fail_and_send() -> None:
        sender.pacer.wait()
        sender.sleep(0.5)
        with pytest.raises(BrokenPipeError), leaving():
            raise BrokenPipeError
        sender.send((0.0, 0.0))

    sender.time.run(fail_and_send)
    assert sender.left == pytest.approx([0.5 + 1.016])


def test_another_limit_holds_at_once_for_what_has_left_before() -> None:
    sender = Sender(10)

    def send_and_slow_down() -> None:
        sender.send(*[(0.0, 0.0)] * 3)
        sender.pacer.set_rate(2)
        sender.send((0.0, 0.0))

    sender.time.run(send_and_slow_down)
    assert sender.left[3] == pytest.approx(sender.left[1] + 1.016)


def test_each_destination_keeps_its_own_departures() -> None:
    one, other = Sender(1), Sender(1)
    one.time.run(partial(one.send, (0.9, 0.0)))
    other.time.run(partial(other.send, (0.9, 0.0)))
    assert (one.left, other.left) == ([0.9], [0.9])
