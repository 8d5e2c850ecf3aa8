"""How deliveries went over time is told step by step, the present one included."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from crm_pipelines.statistics import history
from crm_pipelines_tests.fixtures.people import People

HOUR = timedelta(hours=1)


def attempt(people: People, outcome: str, hours_ago: float, claim_no: int) -> None:
    people.run(
        "INSERT INTO crm_attempts (contact_id, crm, claim_no, run_id, revision, outcome, started_at, finished_at) "
        "SELECT id, 'brevo', :claim_no, 'run-1', 1, :outcome, now(), now() - :hours * interval '1 hour' "
        "FROM crm_contacts LIMIT 1",
        outcome=outcome,
        hours=hours_ago,
        claim_no=claim_no,
    )


def test_attempts_are_counted_in_their_step_and_old_ones_in_none(engine: sa.Engine, people: People) -> None:
    people.add()
    outcomes = [("synced", 0), ("unchanged", 0), ("rejected", 0), ("snoozed", 0), ("retry", 3), ("synced", 30)]
    for claim_no, (outcome, hours) in enumerate(outcomes):
        attempt(people, outcome, hours, claim_no)
    steps = history.steps(engine, "brevo", step=HOUR, count=24)
    assert len(steps) == 24
    assert [one.at for one in steps] == [steps[0].at + number * HOUR for number in range(24)]
    assert steps[-1].at <= datetime.now(UTC) < steps[-1].at + 2 * HOUR
    assert sum(one.delivered for one in steps) == 1, "who was found unchanged was not sent"
    assert [one.failed for one in steps if one.failed] == [1, 1]
    last = history.last_delivery(engine, "brevo")
    assert last is not None
    assert datetime.now(UTC) - last < HOUR


def test_the_queue_is_noted_once_a_minute_and_forgotten_after_a_month(engine: sa.Engine, people: People) -> None:
    people.add(3)
    people.run("INSERT INTO crm_queue_depths VALUES ('brevo', now() - interval '40 days', 9, 9, 9)")
    for _ in range(3):
        history.note_depth(engine, "brevo")
    noted = people.all("SELECT due, waiting, claimed FROM crm_queue_depths")
    assert noted[0] == {"due": 3, "waiting": 0, "claimed": 0}
    minutes = people.all("SELECT DISTINCT date_trunc('minute', at) FROM crm_queue_depths")
    assert len(noted) == len(minutes)
    depths = [one.depth for one in history.steps(engine, "brevo", step=HOUR, count=24)]
    assert depths[-2:].count(3) >= 1
    assert depths[:-2] == [None] * 22


def test_without_anything_all_is_blank(engine: sa.Engine) -> None:
    assert history.last_delivery(engine, "brevo") is None
    assert {(one.depth, one.attempts) for one in history.steps(engine, "brevo", step=HOUR, count=3)} == {(None, 0)}
