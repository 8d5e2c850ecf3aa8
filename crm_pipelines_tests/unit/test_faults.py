"""Fault points: off unless the variable says so, and precise when it does."""

from collections.abc import Iterator

import pytest

from crm_pipelines import faults


@pytest.fixture
def variable(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    monkeypatch.delenv(faults.VARIABLE, raising=False)
    faults.arm()


def test_without_the_variable_nothing_happens() -> None:
    for point in faults.POINTS:
        faults.fault_point(point)


def test_a_fault_happens_at_its_passage_only(variable: pytest.MonkeyPatch) -> None:
    variable.setenv(faults.VARIABLE, "after_send:raise:3")
    faults.arm()
    faults.fault_point("before_send")
    faults.fault_point("after_send")
    faults.fault_point("after_send")
    with pytest.raises(faults.InjectedFault):
        faults.fault_point("after_send")
    faults.fault_point("after_send")


@pytest.mark.parametrize("text", ["nowhere:kill", "after_send:explode", "after_send"])
def test_a_fault_that_cannot_happen_is_refused(variable: pytest.MonkeyPatch, text: str) -> None:
    variable.setenv(faults.VARIABLE, text)
    with pytest.raises(ValueError, match="expected point:action"):
        faults.arm()
