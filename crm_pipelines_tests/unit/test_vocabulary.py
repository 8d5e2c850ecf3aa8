"""The words that people read: one for each status, and numbers with the right noun."""

import pytest

from crm_pipelines.database.view import SYNC_STATUSES
from crm_pipelines.vocabulary import STATUS_WORDS, counted, in_brief


def test_every_status_of_the_contract_has_a_word_of_its_own() -> None:
    assert set(STATUS_WORDS) == set(SYNC_STATUSES)
    assert len(set(STATUS_WORDS.values())) == len(SYNC_STATUSES)


def test_one_contact_is_a_contact_and_several_are_contacts() -> None:
    assert [counted(number, "contact") for number in (0, 1, 2)] == ["0 contacts", "1 contact", "2 contacts"]
    assert counted(2, "entry", "entries") == "2 entries"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (12.4, "12 s"),
        (119, "119 s"),
        (121, "2 min"),
        (7199, "120 min"),
        (7201, "2 h"),
        (47 * 3600, "47 h"),
        (3 * 86400, "3 days"),
    ],
)
def test_a_length_of_time_is_said_in_the_largest_unit_of_which_there_are_two(seconds: float, said: str) -> None:
    assert in_brief(seconds) == said
