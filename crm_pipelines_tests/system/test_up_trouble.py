"""`make up` in trouble: runs that take too long or are executed again, and parts that die and come back."""

import contextlib
import time

import psutil
import sqlalchemy as sa

from crm_pipelines.database.connecting import create_engine
from crm_pipelines.local.embedded import embedded_postgres
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import API_KEY
from crm_pipelines_tests.fixtures.sandbox import DELIVERIES, BrevoSandbox
from crm_pipelines_tests.fixtures.stack import NAME, Stack
from crm_pipelines_tests.patience import PATIENCE, wait_until
from crm_pipelines_tests.system.mid_run import (
    ANSWER_LATE,
    CONTACTS,
    begin_run,
    sends,
)

SUSPECTS = 20


def test_a_failed_run_is_executed_again_from_the_page_without_harm_and_what_the_page_shows_is_true(
    stack: Stack, stack_sandbox: BrevoSandbox
) -> None:
    stack.people.add(CONTACTS, name=NAME)
    stack_sandbox.configure(revoked_keys=[API_KEY])
    run_id = stack.pages.launch()
    stack.pages.wait(run_id, "FAILURE")
    stack_sandbox.configure(revoked_keys=[])

    from_failure = stack.pages.execute_again(run_id, "FROM_FAILURE")
    stack.pages.wait(from_failure, "FAILURE")
    assert stack.pages.failures(from_failure) == stack.pages.failures(run_id), "the gate is still closed"
    assert stack.people.states() == {"queued": CONTACTS}

    everything = stack.pages.execute_again(run_id, "ALL_STEPS")
    stack.pages.wait(everything, "SUCCESS")
    assert stack.people.states() == {"synced": CONTACTS}
    latest = stack.pages.materializations("brevo", "contacts")[0]
    assert (latest["runId"], latest["metadata"]["synced"]) == (everything, CONTACTS)
    assert [request["status"] for request in stack_sandbox.requests(path=DELIVERIES)].count(201) == CONTACTS


def test_a_run_that_takes_too_long_is_ended_and_its_contacts_are_delivered_by_its_retry(
    stack: Stack, stack_sandbox: BrevoSandbox
) -> None:
    # Crash suspects go one at a time: the run lasts for two minutes by itself.
    stack.people.add(SUSPECTS, name=NAME)
    run_id = begin_run(stack, stack_sandbox, ANSWER_LATE)
    with stack.dagster_records.begin() as connection:
        connection.execute(
            sa.text("UPDATE runs SET start_time = start_time - 16 * 60 WHERE run_id = :id"), {"id": run_id}
        )
    wait_until(
        lambda: any("Exceeded maximum runtime" in message for message in stack.pages.messages(run_id)),
        "Dagster ends the run",
    )
    stack_sandbox.clear_faults()
    stack.pages.wait(run_id, "FAILURE")
    charges = stack.people.all("SELECT sum(attempts) AS attempts, max(crashes) AS crashes FROM crm_syncs")
    assert charges == [{"attempts": 0, "crashes": 1}], "the crash that begin_run gave them"
    stack.pages.wait_for_idle()
    stack.pages.wait(stack.pages.launch(), "SUCCESS")
    assert stack.people.states() == {"synced": SUSPECTS + CONTACTS}
    assert set(sends(stack_sandbox).values()) == {1}


def test_when_the_web_page_dies_the_run_ends_in_order_and_of_twenty_missed_ticks_one_is_caught_up(
    stack: Stack, stack_sandbox: BrevoSandbox
) -> None:
    run_id = begin_run(stack, stack_sandbox, ANSWER_LATE)
    stack.pages.start_schedule()
    stack.by_role("webserver").kill()
    stack_sandbox.clear_faults()
    assert stack.wait(PATIENCE) == 1
    assert "webserver has ended by itself with exit code 137; " in stack.terminal()
    assert stack.left_behind(0) == []

    let_the_schedule_have_been_away(stack, minutes=20)
    since = time.time()
    stack.start()
    assert stack.pages.run(run_id)["status"] == "SUCCESS"
    assert stack.people.states() == {"synced": CONTACTS}
    assert set(sends(stack_sandbox).values()) == {1}
    *_, first = wait_until(stack.pages.ticks, "a tick is seen to")
    assert first["timestamp"] > since - 2 * 60, "the latest one, and not all of them from the first one on"
    stack.pages.stop_schedule()
    stack.pages.wait_for_idle()


def let_the_schedule_have_been_away(stack: Stack, minutes: int) -> None:
    """Nothing of Dagster runs. As if its last tick had been so long ago."""
    with embedded_postgres(stack.data / "postgres") as server:
        records = People(create_engine(server.url("dagster")))
        try:
            records.run("DELETE FROM job_ticks WHERE type = 'SCHEDULE'")
            changed = records.run(
                "UPDATE instigators SET instigator_body = regexp_replace(instigator_body, "
                """'"(start_timestamp|last_iteration_timestamp)": [0-9.]+', '"\\1": ' || :began, 'g') """
                "WHERE instigator_type = 'SCHEDULE'",
                began=str(time.time() - 60 * minutes),
            )
            assert changed == 1
        finally:
            records.engine.dispose()


def test_when_postgres_is_killed_in_the_middle_of_a_run_it_comes_back_and_nothing_is_lost_or_sent_twice(
    stack: Stack, stack_sandbox: BrevoSandbox
) -> None:
    begin_run(stack, stack_sandbox, ANSWER_LATE)
    number = (stack.data / "postgres" / "data" / "postmaster.pid").read_text().split()[0]
    psutil.Process(int(number)).kill()
    stack_sandbox.clear_faults()

    def delivered() -> bool:
        with contextlib.suppress(sa.exc.OperationalError):
            return stack.people.states() == {"synced": CONTACTS}
        return False

    wait_until(delivered, "all are delivered")
    assert set(sends(stack_sandbox).values()) == {1}
    stack.interrupt()  # the page has stale connections, each of which costs one answer
    assert stack.wait(PATIENCE) == 0
    assert stack.left_behind(0) == []
