"""Who waits for whom, in a ring or not."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from crm_pipelines.queue.rings import first_of_rings

A, B, C, D, E = (UUID(int=number) for number in range(1, 6))


def test_who_waits_for_another_that_waits_for_nobody_is_in_no_ring() -> None:
    assert first_of_rings([]) == set()
    assert first_of_rings([(A, B), (B, C)]) == set()


def test_of_each_ring_the_lowest_gives_way() -> None:
    assert first_of_rings([(B, A), (A, B)]) == {A}
    assert first_of_rings([(C, E), (E, D), (D, C), (B, A), (A, B)]) == {A, C}


def test_who_waits_for_a_ring_without_being_in_it_does_not_give_way() -> None:
    assert first_of_rings([(A, B), (B, C), (C, B)]) == {B}
    assert first_of_rings([(D, E), (E, D), (D, A), (A, B)]) == {D}
    assert first_of_rings([(D, E), (E, D), (E, A), (A, B), (B, A)]) == {A, D}


@given(st.lists(st.tuples(st.integers(1, 7), st.integers(1, 7)).filter(lambda way: way[0] != way[1]), max_size=12))
def test_once_those_that_give_way_are_gone_time_after_time_nobody_waits_for_ever(ways: list[tuple[int, int]]) -> None:
    waits = {(UUID(int=one), UUID(int=other)) for one, other in ways}
    while waits:
        gone = first_of_rings(waits) | ({other for _, other in waits} - {one for one, _ in waits})
        assert gone, f"all wait for ever: {waits}"
        waits = {way for way in waits if not set(way) & gone}
