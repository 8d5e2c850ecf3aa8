"""A request that was refused whole is taken apart until who is at fault stands alone."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_pipelines.delivery.single.halving import send_apart


class Crm:
    """Refuses every request with a culprit in it, without a word which; who stands alone is known."""

    def __init__(self, culprits: set[int]) -> None:
        self._culprits = culprits
        self.requests: list[Sequence[int]] = []
        self.taken: list[int] = []
        self.refused_alone: list[int] = []

    def send(self, items: Sequence[int]) -> Sequence[int]:
        assert items, "no request is empty"
        self.requests.append(items)
        if not self._culprits & set(items):
            self.taken += items
            return []
        self.refused_alone += items if len(items) == 1 else []
        return items


def send(size: int, culprits: set[int]) -> Crm:
    crm = Crm(culprits)
    if len(refused := crm.send(list(range(size)))) > 1:
        send_apart(refused, crm.send)
    return crm


@pytest.mark.parametrize("culprit", range(100))
def test_of_a_hundred_one_culprit_is_found_with_thirteen_further_requests(culprit: int) -> None:
    crm = send(100, {culprit})
    assert crm.refused_alone == [culprit]
    assert sorted(crm.taken) == [one for one in range(100) if one != culprit]
    assert len(crm.requests) <= 14


@given(size=st.integers(1, 150), culprits=st.sets(st.integers(0, 149), max_size=6))
def test_everybody_else_is_taken_once_and_each_culprit_is_refused_alone(size: int, culprits: set[int]) -> None:
    there = {one for one in culprits if one < size}
    crm = send(size, there)
    assert sorted(crm.refused_alone) == sorted(there)
    assert sorted(crm.taken) == [one for one in range(size) if one not in there]
    assert len(crm.requests) <= 1 + len(there) * 2 * math.ceil(math.log2(max(size, 2)))


@given(size=st.integers(2, 150), pair=st.sets(st.integers(0, 149), min_size=2, max_size=2))
def test_two_that_only_clash_with_each_other_are_both_taken(size: int, pair: set[int]) -> None:
    class Clashing(Crm):
        def send(self, items: Sequence[int]) -> Sequence[int]:
            self._culprits = pair if pair <= set(items) else set()
            return super().send(items)

    crm = Clashing(set())
    if len(refused := crm.send(list(range(size)))) > 1:
        send_apart(refused, crm.send)
    assert sorted(crm.taken) == list(range(size))


def test_once_nobody_is_let_through_what_is_left_is_not_sent() -> None:
    asked: list[int] = []

    def closed(items: Sequence[int]) -> Sequence[int]:
        asked.extend(items)
        return []

    send_apart(list(range(100)), closed)
    assert len(asked) <= 100, "each is tried once at most"
