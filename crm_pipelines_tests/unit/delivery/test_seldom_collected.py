"""The collector of garbage is held back while contacts are sent, and is as it was afterwards."""

import gc

import pytest

from crm_pipelines.delivery.seldom_collected import seldom_collected


def test_the_collector_is_as_it_was_after_the_last_block_however_that_ends() -> None:
    usual = gc.get_threshold()
    with pytest.raises(ValueError, match="ended"), seldom_collected(), seldom_collected():
        raise ValueError("ended")
    assert gc.get_threshold() == usual
    assert gc.get_freeze_count() == 0


def test_within_blocks_that_overlap_the_collector_is_held_back_until_the_last_one_ends() -> None:
    usual = gc.get_threshold()
    with seldom_collected():
        with seldom_collected():
            pass
        assert gc.get_threshold() > usual
        assert gc.get_freeze_count() > 0


def test_cyclic_garbage_of_a_block_is_collected_within_it() -> None:
    """Else the memory of a long delivery would grow."""
    collected: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        collected.append(info["collected"] if phase == "stop" else 0)

    gc.callbacks.append(note)
    try:
        with seldom_collected():
            for _ in range(60_000):
                cycle: list[object] = []
                cycle.append(cycle)
    finally:
        gc.callbacks.remove(note)
    assert sum(collected) > 20_000
