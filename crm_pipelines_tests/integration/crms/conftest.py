"""Deadlines of requests that pass when a test says so, whatever the machine does meanwhile."""

from collections.abc import Callable
from typing import Any

import pytest

from crm_pipelines.crms import transport
from crm_pipelines_tests.patience import PATIENCE


class Deadlines:
    """Stands for `threading.Timer`: counts no seconds."""

    def __init__(self) -> None:
        self._under_way: list[_Timer] = []

    def __call__(self, _seconds: float, passes: Callable[[], None]) -> "_Timer":
        self._under_way.append(_Timer(passes))
        return self._under_way[-1]

    def pass_now(self) -> None:
        """The time of every request that is under way is over."""
        for timer in self._under_way:
            timer.end()


class _Timer:
    daemon = False

    def __init__(self, passes: Callable[[], None]) -> None:
        self._passes: Callable[[], None] | None = passes

    def start(self) -> None:
        pass

    def cancel(self) -> None:
        self._passes = None

    def end(self) -> None:
        if passes := self._passes:
            passes()


@pytest.fixture
def deadlines(monkeypatch: pytest.MonkeyPatch) -> Deadlines:
    """In force instead of the real ones."""
    deadlines = Deadlines()
    threading: Any = vars(transport)["threading"]
    monkeypatch.setattr(threading, "Timer", deadlines)
    monkeypatch.setattr(transport, "READ_SECONDS", PATIENCE)
    return deadlines
