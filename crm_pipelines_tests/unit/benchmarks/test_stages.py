"""The stopwatch replaces functions by their names."""

import pytest

from benchmarks.stages import STAGES


@pytest.mark.parametrize(("owner", "name", "stage"), STAGES)
def test_what_a_stage_measures_is_there(owner: object, name: str, stage: str) -> None:
    assert callable(getattr(owner, name)), stage
