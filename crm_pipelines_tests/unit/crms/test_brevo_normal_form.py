"""What is the same to Brevo is the same to us when it is read back, and nothing else."""

from typing import Any

import pytest

from crm_pipelines.crms.brevo.normal_form import digest


@pytest.mark.parametrize(
    ("name", "sent", "read"),
    [
        ("SMS", "+12025550143", "12025550143"),
        ("AGE", 5, 5.0),
        ("BORN", "2020-02-29", "2020-02-29T00:00:00.000Z"),
        ("NOTE", "Ada", "Ada "),
        ("TAGS", ["b", "a"], ["a", "b"]),
    ],
)
def test_two_forms_of_one_value_are_equal(name: str, sent: Any, read: Any) -> None:
    assert digest({name: sent}, on_list=True) == digest({name: read}, on_list=True)


@pytest.mark.parametrize(
    ("name", "sent", "read"),
    [
        ("SMS", "+12025550143", None),
        ("AGE", 5, 5.5),
        ("AGE", 1, True),
        ("NOTE", "5", 5),
        ("NOTE", "Ada", "ada"),
        ("BORN", "2020-02-29", "2020-02-29T01:00:00Z"),
        ("TAGS", ["a"], ["a", "b"]),
    ],
)
def test_different_values_are_different(name: str, sent: Any, read: Any) -> None:
    assert digest({name: sent}, on_list=True) != digest({name: read}, on_list=True)


def test_not_being_on_the_list_is_different() -> None:
    assert digest({}, on_list=True) != digest({}, on_list=False)
