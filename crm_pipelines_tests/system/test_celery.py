"""Runs on workers of Celery: several machines, their ends, and messages that come twice."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import sqlalchemy as sa

from crm_pipelines_tests.fixtures.celery import Workers
from crm_pipelines_tests.fixtures.sandbox import DELIVERIES, BrevoSandbox, HubSpotSandbox
from crm_pipelines_tests.fixtures.stack import NAME
from crm_pipelines_tests.patience import PATIENCE, wait_until
from crm_pipelines_tests.system.mid_run import (
    ANSWER_LATE,
    ANSWERED,
    CONTACTS,
    FIRST_BATCH,
    NEVER_ANSWER,
    SECOND_BATCH,
    assert_given_back,
    begin_run,
    sends,
)

SYNC = "fetch_queued_contacts"
NOTE_TURNS = """
    CREATE TABLE turns (begins timestamptz, ends timestamptz);
    CREATE FUNCTION note_turns() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO turns VALUES (greatest(old.next_slot_at, clock_timestamp()), new.next_slot_at);
        RETURN NULL;
    END $$;
    CREATE TRIGGER note_turns AFTER UPDATE OF next_slot_at ON crm_gates
        FOR EACH ROW WHEN (new.crm = 'brevo') EXECUTE FUNCTION note_turns();
"""


def test_runs_of_two_destinations_go_side_by_side_each_on_the_machine_of_its_queue(
    workers: Workers, workers_brevo: BrevoSandbox, workers_hubspot: HubSpotSandbox
) -> None:
    workers.people.add(6, name=NAME)
    workers.hubspot_people.add(6, name=NAME)
    workers_brevo.fault("hold", path=DELIVERIES)
    workers_hubspot.fault("hold", path="/batch/")
    with workers.machine("brevo") as one, workers.machine("hubspot", "dagster") as other:
        brevo, hubspot = workers.pages.launch(), workers.pages.launch_job("hubspot_sync", SYNC)
        workers_brevo.wait_for_requests(1, path=DELIVERIES)
        workers_hubspot.wait_for_requests(1, path="/batch/")
        assert one.executes(workers.process_of(brevo))
        assert other.executes(workers.process_of(hubspot))
        for sandbox in (workers_brevo, workers_hubspot):
            sandbox.clear_faults()
            sandbox.release()
        for run_id, queue in ((brevo, "brevo"), (hubspot, "hubspot")):
            assert workers.pages.wait(run_id, "SUCCESS")["tags"]["dagster-celery/queue"] == queue
    assert workers.people.states() == workers.hubspot_people.states() == {"synced": 6}
    assert len(workers_brevo.contacts()) == 12 - len(workers_hubspot.contacts()) == 6


def test_four_runs_on_four_machines_share_the_limit_of_one_account_and_send_each_contact_once(
    workers: Workers, workers_brevo: BrevoSandbox
) -> None:
    """By the turns that were reserved: how late a request is on its way is the affair of a busy machine."""
    limit, each = 20, 25
    workers.people.add(4 * each, name=NAME)
    with contextlib.ExitStack() as stack:
        machines = [
            stack.enter_context(workers.machine("brevo", BREVO_RATE_LIMIT_PER_SECOND=str(limit))) for _ in range(4)
        ]
        for machine in machines:
            machine.wait_until_ready()
        stack.enter_context(turns_noted(workers))
        runs = [
            workers.pages.launch_job("brevo_sync", SYNC, {"crm-pipelines/sync": f"brevo-{number}"}, limit=each)
            for number in range(1, 5)
        ]
        for run_id in runs:
            workers.pages.wait(run_id, "SUCCESS")
        assert len({workers.process_of(run_id) for run_id in runs}) == len(machines)
        turns = workers.people.all(
            "SELECT begins, extract(epoch FROM ends - begins)::float8 AS seconds, ends FROM turns"
        )
    assert workers.people.states() == {"synced": 4 * each}
    assert set(sends(workers_brevo).values()) == {1}
    spans = [(run["startTime"], run["endTime"]) for run in map(workers.pages.run, runs)]
    assert max(start for start, _ in spans) < min(end for _, end in spans), "all four at the same time"
    turns.sort(key=lambda turn: turn["begins"])
    assert all(one["ends"] <= two["begins"] for one, two in pairwise(turns)), "nobody has a turn of somebody else"
    assert len(workers_brevo.requests()) <= limit * sum(turn["seconds"] for turn in turns)


@contextlib.contextmanager
def turns_noted(workers: Workers) -> Iterator[None]:
    """While it lasts, each reservation at the gate leaves a row in `turns`: from when to when it has the account."""
    workers.people.run(NOTE_TURNS)
    yield
    workers.people.run("DROP TABLE turns; DROP FUNCTION note_turns CASCADE")


def test_when_a_machine_loses_power_its_run_is_ended_without_a_tick_and_another_machine_delivers_the_rest(
    workers: Workers, workers_brevo: BrevoSandbox
) -> None:
    with workers.machine("brevo") as dead:
        run_id = begin_run(workers, workers_brevo, NEVER_ANSWER)
        dead.lose_power()
    workers_brevo.clear_faults()
    workers_brevo.release()
    assert workers.pages.run(run_id)["status"] == "STARTED", "nobody has told Dagster"
    with workers.machine("brevo"):
        let_minutes_pass(workers, 3)
        workers.pages.wait(run_id, "FAILURE")
        assert "its contacts return to the queue" in workers.pages.messages(run_id)[-1]
        retry_id = wait_until(lambda: workers.pages.retry_of(run_id), "Dagster retries the run")
        workers.pages.wait(retry_id, "SUCCESS")
    assert workers.people.states() == {"synced": CONTACTS}
    assert Counter(sends(workers_brevo).values()) == {1: ANSWERED + SECOND_BATCH, 2: FIRST_BATCH - ANSWERED}, (
        "only what was under way is sent again"
    )


def let_minutes_pass(workers: Workers, minutes: int) -> None:
    """Put back all that is measured against the clock after a worker's death."""
    ago = {"ago": f"{minutes} min"}
    workers.people.run("UPDATE crm_syncs SET lease_until = lease_until - CAST(:ago AS interval)", **ago)
    workers.people.run("UPDATE crm_attempts SET finished_at = finished_at - CAST(:ago AS interval)", **ago)
    with workers.records.begin() as connection:
        connection.execute(sa.text("UPDATE runs SET start_time = start_time - 60 * :minutes"), {"minutes": minutes})


def test_a_run_that_is_killed_alone_is_retried_at_once_on_the_same_machine(
    workers: Workers, workers_brevo: BrevoSandbox
) -> None:
    with workers.machine("brevo") as machine:
        run_id = begin_run(workers, workers_brevo, NEVER_ANSWER)
        machine.run_process.kill()
        workers.people.expire_leases()
        workers.pages.wait(run_id, "FAILURE")
        workers_brevo.clear_faults()
        workers_brevo.release()
        retry_id = wait_until(lambda: workers.pages.retry_of(run_id), "Dagster retries the run")
        workers.pages.wait(retry_id, "SUCCESS")
    assert workers.people.states() == {"synced": CONTACTS}
    assert max(sends(workers_brevo).values()) == 2


def test_a_worker_that_is_told_to_stop_ends_its_run_begins_no_other_and_goes(
    workers: Workers, workers_brevo: BrevoSandbox
) -> None:
    workers_brevo.fault("hold", path=DELIVERIES)
    workers.people.add(3, name=NAME)
    with workers.machine("brevo") as machine:
        run_id = workers.pages.launch()
        workers_brevo.wait_for_requests(1, path=DELIVERIES)
        machine.process.terminate()
        waiting = workers.pages.launch_job("brevo_sync", SYNC, {"crm-pipelines/sync": "brevo-2"})
        workers.pages.wait(waiting, "STARTING")
        workers_brevo.clear_faults()
        workers_brevo.release()
        assert machine.process.wait(PATIENCE) == 0, machine.log()
    workers.pages.wait(run_id, "SUCCESS")
    assert workers.pages.run(waiting)["status"] == "STARTING"
    with workers.machine("brevo"):
        workers.pages.wait(waiting, "SUCCESS")
    assert workers.people.states() == {"synced": 3}
    assert set(sends(workers_brevo).values()) == {1}


def test_a_run_that_somebody_cancels_gives_its_contacts_back_and_is_not_executed_again(
    workers: Workers, workers_brevo: BrevoSandbox
) -> None:
    with workers.machine("brevo"):
        run_id = begin_run(workers, workers_brevo, ANSWER_LATE)
        workers.pages.terminate(run_id)
        workers.pages.wait(run_id, "CANCELED")
        workers_brevo.clear_faults()
        assert_given_back(workers, run_id)
        workers.pages.wait_for_idle()
        assert workers.pages.retry_of(run_id) is None
        workers.pages.wait(workers.pages.launch(), "SUCCESS")
    assert workers.people.states() == {"synced": CONTACTS}
    assert set(sends(workers_brevo).values()) == {1}


def test_a_run_that_is_cancelled_while_it_waits_for_a_machine_is_never_begun(
    workers: Workers, workers_brevo: BrevoSandbox
) -> None:
    workers.people.add(name=NAME)
    run_id = workers.pages.launch()
    wait_until(lambda: "dagster-celery/task_id" in workers.pages.run(run_id)["tags"], "the run is in its queue")
    workers.pages.terminate(run_id, force=True)
    with workers.machine("brevo"):
        wait_until(lambda: "Not starting execution" in "".join(workers.pages.messages(run_id)), "a machine has seen it")
    assert workers.pages.run(run_id)["status"] == "CANCELED"
    assert workers_brevo.requests() == []
