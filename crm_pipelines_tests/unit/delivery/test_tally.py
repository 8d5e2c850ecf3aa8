"""What the breaker is told."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from crm_pipelines.delivery.pace.gatekeeping import tally
from crm_pipelines.destinations.gates import Tally
from crm_pipelines.queue.model import Attempt, Claim


def attempts(*outcomes: str, requests: int = 1) -> list[Attempt]:
    return [
        Attempt(
            claim=Claim(contact_id=uuid4(), claim_no=1),
            revision=1,
            outcome=outcome,
            duration=timedelta(),
            requests=requests,
            answered=requests > 0,
            message=f"{outcome} {number}",
        )
        for number, outcome in enumerate(outcomes)
    ]


def test_failures_in_a_row_are_those_after_the_last_answer_of_another_kind() -> None:
    told = tally(attempts("retry", "synced", "retry", "retry"))
    assert told == Tally(successes=1, failures=3, trailing_failures=2, rejects=0, last_failure="retry 3")


def test_a_request_of_which_nothing_is_known_is_a_failure() -> None:
    told = tally(attempts("synced", "unknown", "retry", "unknown"))
    assert told == Tally(successes=1, failures=3, trailing_failures=3, rejects=0, last_failure="unknown 3")


def test_a_reject_is_an_answer_too() -> None:
    told = tally(attempts("retry", "rejected"))
    assert (told.successes, told.trailing_failures, told.rejects, told.last_reject) == (1, 0, 1, "rejected 1")


def test_outcomes_without_a_request_say_nothing_about_the_crm() -> None:
    silent = attempts("retry", "rejected", "unchanged", "skipped", requests=0)
    assert tally(silent) == tally([]) == Tally(successes=0, failures=0, trailing_failures=0, rejects=0)


def test_a_defect_of_ours_counts_as_a_reject_and_not_as_a_failure_of_the_crm() -> None:
    [ours] = attempts("retry", requests=0)
    told = tally([replace(ours, kind="internal", message="Unexpected KeyError")])
    assert told == Tally(successes=0, failures=0, trailing_failures=0, rejects=1, last_reject="Unexpected KeyError")


def chunk(*outcomes: str) -> list[Attempt]:
    """Contacts of one request: the first carries it."""
    return [replace(one, requests=1 if number == 0 else 0) for number, one in enumerate(attempts(*outcomes))]


def test_a_request_of_a_hundred_contacts_that_failed_is_one_failure() -> None:
    told = tally(chunk(*["retry"] * 100))
    assert (told.successes, told.failures, told.trailing_failures) == (0, 1, 1)
    told = tally(chunk(*["retry"] * 100) * 2)
    assert (told.successes, told.failures, told.trailing_failures) == (0, 2, 2)


def test_a_request_of_a_hundred_contacts_that_came_through_ends_a_row_of_failures_once() -> None:
    told = tally([*chunk(*["retry"] * 100), *chunk(*["synced"] * 100)])
    assert (told.successes, told.failures, told.trailing_failures) == (1, 1, 0)


def test_a_contact_that_was_rejected_within_a_request_that_came_through_is_a_reject() -> None:
    told = tally(chunk(*["synced"] * 99, "rejected"))
    assert (told.successes, told.failures, told.rejects, told.last_reject) == (1, 0, 1, "rejected 99")
    assert tally(chunk(*["rejected"] * 100)).rejects == 100
