"""The words that people read: one for each status, and numbers with the right noun."""

from crm_pipelines.database.view import SYNC_STATUSES
from crm_pipelines.vocabulary import STATUS_WORDS, counted


def test_every_status_of_the_contract_has_a_word_of_its_own() -> None:
    assert set(STATUS_WORDS) == set(SYNC_STATUSES)
    assert len(set(STATUS_WORDS.values())) == len(SYNC_STATUSES)


def test_one_contact_is_a_contact_and_several_are_contacts() -> None:
    assert [counted(number, "contact") for number in (0, 1, 2)] == ["0 contacts", "1 contact", "2 contacts"]
    assert counted(2, "entry", "entries") == "2 entries"
