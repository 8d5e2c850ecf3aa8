"""Contacts that shared a request: it counts once, and each of them was answered or not."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from crm_pipelines.delivery.pace.gatekeeping import tally
from crm_pipelines.destinations.gates import MAX_FAILURES_IN_A_ROW, GateKeeper, Tally
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Attempt, RetryPolicy
from crm_pipelines_tests.fixtures.people import People

POLICY = RetryPolicy(delays=(timedelta(minutes=5),))
RUN = "run-1"


class Chunks:
    """A run that delivers contacts to a CRM in requests of many."""

    def __init__(self, people: People, engine: sa.Engine) -> None:
        self._people = people
        self.queue = Queue(engine, "brevo")
        self.gate = GateKeeper(engine, "brevo")

    def deliver(self, outcomes: Sequence[str]) -> str | None:
        """One request with as many contacts; returns what the breaker makes of it."""
        self._people.add(len(outcomes))
        claims = self.queue.claim(RUN, limit=len(outcomes), lease=timedelta(minutes=25))
        attempts = [
            Attempt(
                claim=claim,
                revision=1,
                outcome=outcome,
                duration=timedelta(),
                kind=outcome,
                message=outcome,
                requests=1 if number == 0 else 0,
                answered=True,
            )
            for number, (claim, outcome) in enumerate(zip(claims, outcomes, strict=True))
        ]
        self.queue.record(RUN, attempts)
        return self.gate.judge(tally(attempts))


@pytest.fixture
def chunks(people: People, engine: sa.Engine) -> Chunks:
    return Chunks(people, engine)


def test_the_breaker_opens_at_the_tenth_request_that_failed_and_not_at_its_tenth_contact(chunks: Chunks) -> None:
    verdicts = [chunks.deliver(["retry"] * 100) for _ in range(MAX_FAILURES_IN_A_ROW)]
    assert verdicts == [None] * 9 + ["outage"]


def test_of_ten_requests_the_share_that_failed_counts_and_not_that_of_contacts(chunks: Chunks) -> None:
    for _ in range(6):
        chunks.deliver(["retry"] * 100)
    for _ in range(3):
        chunks.deliver(["synced"])
    chunks.deliver(["synced"])
    mixed = Tally(successes=1, failures=1, trailing_failures=0, rejects=0)
    assert chunks.gate.judge(mixed) is None, "6 of 10 requests, 600 of 604 contacts"
    for _ in range(4):
        chunks.deliver(["retry"])
        chunks.deliver(["synced"])
        assert chunks.gate.judge(mixed) is None
    for _ in range(9):
        verdict = chunks.deliver(["retry"])
    assert verdict == "outage", "19 of 27 requests, never ten in a row"


def test_a_mapping_mistake_shows_in_the_contacts_of_a_single_request(chunks: Chunks) -> None:
    assert chunks.deliver(["synced"] * 80 + ["rejected"] * 20) == "rejects"
    assert "20 of the last 100" in (chunks.gate.read().pause_reason or "")


def test_a_contact_that_was_rejected_among_ninety_nine_that_came_through_pauses_nothing(chunks: Chunks) -> None:
    assert chunks.deliver(["synced"] * 99 + ["rejected"]) is None
    assert not chunks.gate.read().paused


def test_who_was_never_sent_is_no_reject_of_the_crm(chunks: Chunks, people: People) -> None:
    chunks.deliver(["rejected"] * 19 + ["synced"] * 80)
    people.run("UPDATE crm_attempts SET answered = false, requests = 0 WHERE outcome = 'rejected'")
    assert chunks.deliver(["rejected"]) is None, "1 of 81"


def test_everybody_in_a_request_was_attempted_and_the_request_counts_once(chunks: Chunks, people: People) -> None:
    chunks.deliver(["retry"] * 60 + ["rejected"] * 40)
    applied = chunks.queue.apply(RUN, POLICY)
    assert sum(one.requests for one in applied) == 1
    assert sum(one.contacts for one in applied) == 100
    assert people.all("SELECT count(*) AS n FROM crm_syncs WHERE last_attempt_at IS NULL") == [{"n": 0}]


def as_a_former_version_writes(people: People, chunks: Chunks, attempts: Sequence[dict[str, Any]]) -> None:
    """Its statement names no column `answered`."""
    people.add(len(attempts))
    claims = chunks.queue.claim(RUN, limit=len(attempts), lease=timedelta(minutes=25))
    for claim, attempt in zip(claims, attempts, strict=True):
        people.run(
            "INSERT INTO crm_attempts (contact_id, crm, claim_no, run_id, revision, outcome, requests, started_at) "
            "VALUES (:contact_id, 'brevo', :claim_no, :run_id, 1, :outcome, :requests, now())",
            contact_id=claim.contact_id,
            claim_no=claim.claim_no,
            run_id=RUN,
            **attempt,
        )


def test_of_what_a_former_version_writes_whoever_had_a_request_was_answered(chunks: Chunks, people: People) -> None:
    asked, silent = {"outcome": "retry", "requests": 1}, {"outcome": "retry", "requests": 0}
    as_a_former_version_writes(people, chunks, [asked, asked, silent])
    chunks.queue.apply(RUN, POLICY)
    assert people.all("SELECT count(last_attempt_at) AS attempted, count(*) AS n FROM crm_syncs") == [
        {"attempted": 2, "n": 3}
    ]


def test_what_a_former_version_writes_counts_for_the_breaker(chunks: Chunks, people: People) -> None:
    rejected, silent = {"outcome": "rejected", "requests": 1}, {"outcome": "rejected", "requests": 0}
    as_a_former_version_writes(people, chunks, [rejected] * 9 + [silent] * 20)
    assert chunks.deliver(["synced"] * 39 + ["rejected"]) is None, "10 of 49 are too few to judge"
    assert chunks.deliver(["synced", "rejected"]) == "rejects", "11 of 51"
