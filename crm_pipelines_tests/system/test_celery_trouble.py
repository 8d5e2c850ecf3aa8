"""Workers of Celery without Redis, without Postgres, without the CRM: nothing is lost, and the pages tell the truth."""

import psutil

from crm_pipelines_tests.fixtures.celery import Workers
from crm_pipelines_tests.fixtures.dagster_pages import ENDED
from crm_pipelines_tests.fixtures.pipeline import API_KEY
from crm_pipelines_tests.fixtures.sandbox import DELIVERIES, BrevoSandbox
from crm_pipelines_tests.fixtures.stack import NAME
from crm_pipelines_tests.fixtures.traces import traces_in_files
from crm_pipelines_tests.patience import wait_until
from crm_pipelines_tests.system.mid_run import ANSWER_LATE, CONTACTS, FIRST_BATCH, begin_run, sends
from crm_pipelines_tests.system.test_celery import let_minutes_pass


def test_a_run_goes_on_while_redis_is_away_and_a_redis_that_has_lost_its_memory_makes_nobody_end_it(
    workers: Workers, workers_brevo: BrevoSandbox
) -> None:
    with workers.machine("brevo"):
        workers_brevo.fault("hold", path=DELIVERIES)
        workers.people.add(3, name=NAME)
        run_id = workers.pages.launch()
        workers_brevo.wait_for_requests(1, path=DELIVERIES)
        workers.redis.kill()
        workers.redis.forget()
        workers.redis.start()
        looked = workers.redis.questions()
        wait_until(
            lambda: workers.redis.questions() >= looked + 2, "Dagster has asked Redis twice about the run's worker"
        )
        assert workers.pages.run(run_id)["status"] == "STARTED"
        workers_brevo.clear_faults()
        workers_brevo.release()
        workers.pages.wait(run_id, "SUCCESS")
        workers.people.add(name=NAME)
        workers.pages.wait(workers.pages.launch(), "SUCCESS")
    assert workers.people.states() == {"synced": 4}
    assert set(sends(workers_brevo).values()) == {1}


def test_a_run_that_waits_in_redis_is_there_after_a_crash_of_redis_which_knows_no_address_name_key_or_password(
    workers: Workers, database_password: str
) -> None:
    workers.people.add(3, name=NAME)
    run_id = workers.pages.launch()
    workers.pages.wait(run_id, "STARTING")
    wait_until(lambda: "dagster-celery/task_id" in workers.pages.run(run_id)["tags"], "the run is in its queue")
    workers.redis.kill()
    workers.redis.start()
    with workers.machine("brevo") as machine:
        workers.pages.wait(run_id, "SUCCESS")
        log = machine.log()
    assert workers.people.states() == {"synced": 3}
    words = ["@example.com", *NAME.split(), API_KEY, database_password]
    assert traces_in_files(workers.redis.folder, words) == []
    assert not [word for word in words if word.lower() in log.lower()]


def test_without_redis_a_run_fails_at_its_launch_and_its_contacts_are_delivered_by_its_second_try(
    workers: Workers, workers_brevo: BrevoSandbox
) -> None:
    with workers.machine("brevo") as machine:
        machine.wait_until_ready()
        workers.redis.kill()
        workers.people.add(3, name=NAME)
        run_id = workers.pages.launch()
        workers.pages.wait(run_id, "FAILURE")
        assert workers.people.states() == {"queued": 3}
        workers.redis.start()
        retry_id = wait_until(lambda: workers.pages.retry_of(run_id), "Dagster retries the run")
        workers.pages.wait(retry_id, "SUCCESS")
    assert workers.people.states() == {"synced": 3}
    assert set(sends(workers_brevo).values()) == {1}


def test_what_a_machine_cut_off_from_postgres_had_taken_is_delivered_by_another_while_it_lives(
    workers: Workers, workers_brevo: BrevoSandbox
) -> None:
    with workers.machine("brevo") as lost:
        run_id = begin_run(workers, workers_brevo, ANSWER_LATE)
        lost.cut_off_from_postgres()
        psutil.Process(lost.process.pid).suspend()  # it takes no other run
        workers_brevo.wait_for_requests(FIRST_BATCH, path=DELIVERIES, finished=True)
        workers_brevo.clear_faults()
        assert workers.pages.run(run_id)["status"] == "STARTED", "it could not tell"
        with workers.machine("brevo"):
            let_minutes_pass(workers, 3)
            workers.pages.dry_tick()
            workers.pages.wait(run_id, "FAILURE")
            retry_id = wait_until(lambda: workers.pages.retry_of(run_id), "Dagster retries the run")
            workers.pages.wait(retry_id, "SUCCESS")
    assert workers.people.states() == {"synced": CONTACTS}
    assert max(sends(workers_brevo).values()) <= 2


def test_a_machine_cut_off_from_the_crm_pauses_sending_for_all_and_loses_nothing(
    workers: Workers, workers_brevo: BrevoSandbox
) -> None:
    workers.people.add(30, name=NAME)
    with workers.machine("brevo") as lost:
        lost.brevo.pull()
        run_id = workers.pages.launch()
        wait_until(lambda: workers.pages.run(run_id)["status"] in ENDED, "the run has ended")
        assert workers.people.states() == {"queued": 30}
        reason = workers.pages.dry_tick() or ""
        assert reason.startswith("Sending is paused"), reason
    assert workers_brevo.requests(path=DELIVERIES) == []
    assert "outcome" in workers.pages.run(run_id)["tags"]
