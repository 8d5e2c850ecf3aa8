"""`make up` at work: pages, ticks, runs that are cancelled or whose worker dies, and a key that dies."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from crm_pipelines_tests.fixtures.pipeline import API_KEY
from crm_pipelines_tests.fixtures.sandbox import DELIVERIES, BrevoSandbox
from crm_pipelines_tests.fixtures.stack import NAME, Stack
from crm_pipelines_tests.fixtures.traces import command_lines, traces_in_files, traces_in_tables
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


def test_the_pages_know_the_job_its_schedule_its_sensors_and_its_assets(stack: Stack) -> None:
    stack.pages.start_schedule()
    known = stack.pages.repository()
    assert "brevo_sync" in {job["name"] for job in known["jobs"]}
    schedules = {one["name"]: one["scheduleState"]["status"] for one in known["schedules"]}
    assert schedules["brevo_sync_schedule"] == "RUNNING"
    assert schedules.keys() >= {"brevo_fidelity_schedule", "daily_report_schedule", "prune_history_schedule"}
    assert {one["name"]: one["sensorState"]["status"] for one in known["sensors"]} == {
        "brevo_error_backlog_sensor": "RUNNING",
        "run_failure_alert_sensor": "RUNNING",
        "brevo_checks_sensor": "RUNNING",
        "brevo_follow_up_sensor": "RUNNING",
    }
    assets = {"/".join(node["assetKey"]["path"]): node for node in known["assetNodes"]}
    assert set(assets) >= {"contacts", "brevo/queue", "brevo/contacts", "brevo/daily_report"}
    assert {check["name"] for check in assets["brevo/contacts"]["assetChecksOrError"]["checks"]} == {
        "sums_add_up",
        "error_backlog",
        "attempts_succeed",
    }


def test_dagsters_files_go_to_dagster_home_and_nothing_to_the_project(stack: Stack) -> None:
    assert (stack.home / "logs").is_dir()
    assert {path.name for path in stack.project.iterdir()} == {"crm_pipelines", "dagster.yaml"}


def test_a_run_reports_numbers_that_dagster_can_plot(stack: Stack) -> None:
    stack.people.add(12, name=NAME)
    run_id = stack.pages.launch()
    stack.pages.wait(run_id, "SUCCESS")
    assert stack.pages.dry_tick() == "Nothing is due."
    latest = stack.pages.materializations("brevo", "contacts")[0]
    assert latest["runId"] == run_id
    metadata = latest["metadata"]
    assert (metadata["claimed"], metadata["synced"], metadata["queue_depth"]) == (12, 12, 0)
    assert metadata["duration_seconds"] > 0
    assert metadata["requests_per_second"] > 0


def test_the_api_is_up_with_a_token_in_a_file_and_has_a_run_started_that_delivers_one_contact(stack: Stack) -> None:
    file = stack.data / "api-token"
    assert file.stat().st_mode & 0o777 == 0o600
    headers = {"Authorization": f"Bearer {file.read_text(encoding='utf-8').strip()}"}
    contact, _ = stack.people.add(2, name=NAME, select=False)
    body = {"contact_id": str(contact), "crm": "brevo"}
    answer = requests.post(f"{stack.api_url}/contacts/crm/sync/trigger", json=body, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 202, answer.text
    stack.pages.wait(answer.json()["run_id"], "SUCCESS")
    assert stack.people.states() == {"synced": 1}
    health = requests.get(f"{stack.api_url}/crm/health", headers=headers, timeout=PATIENCE).json()
    checks = {check["subject"]: check["ok"] for check in health["crms"][0]["checks"]}
    assert checks["daemon SCHEDULER"]
    assert checks["runs of brevo_sync"]


def test_thirty_triggers_behind_a_run_make_one_more_run_that_delivers_them_all(
    stack: Stack, stack_sandbox: BrevoSandbox
) -> None:
    stack_sandbox.fault("hold", path=DELIVERIES)
    stack.people.add(name=NAME)
    stack.pages.wait_for_idle()
    before = len(stack.pages.runs())
    running = stack.pages.launch()
    stack_sandbox.wait_for_requests(1, path=DELIVERIES)
    token = (stack.data / "api-token").read_text(encoding="utf-8").strip()

    def trigger(contact_id: object) -> str:
        answer = requests.post(
            f"{stack.api_url}/contacts/crm/sync/trigger",
            json={"contact_id": str(contact_id), "crm": "brevo"},
            headers={"Authorization": f"Bearer {token}"},
            timeout=PATIENCE,
        )
        run_id: str = answer.json()["run_id"]
        return run_id

    with ThreadPoolExecutor(4) as pool:
        told = set(pool.map(trigger, stack.people.add(30, name=NAME, select=False)))
    assert len(told) == 1
    stack_sandbox.clear_faults()
    stack_sandbox.release()
    stack.pages.wait(running, "SUCCESS")
    stack.pages.wait(told.pop(), "SUCCESS")
    assert stack.people.states() == {"synced": 31}
    assert len(stack.pages.runs()) == before + 2


def test_a_killed_worker_is_retried_once_and_only_what_it_was_sending_is_sent_again_and_charged(
    stack: Stack, stack_sandbox: BrevoSandbox
) -> None:
    before = {run["runId"] for run in stack.pages.runs()}
    run_id = begin_run(stack, stack_sandbox, NEVER_ANSWER)
    stack.by_role("run").kill()
    stack.people.expire_leases()
    stack.pages.wait(run_id, "FAILURE")

    retry_id = wait_until(lambda: stack.pages.retry_of(run_id), "Dagster retries the run")
    stack_sandbox.wait_for_requests(FIRST_BATCH + 1, path=DELIVERIES)
    assert stack.people.states() == {"synced": ANSWERED, "claimed": CONTACTS - ANSWERED}
    assert stack.people.all("SELECT DISTINCT claimed_by, crashes FROM crm_syncs WHERE state = 'claimed'") == [
        {"claimed_by": retry_id, "crashes": 1}
    ], "those of the second batch had their crash before"
    stack_sandbox.clear_faults()
    stack_sandbox.release()
    assert stack.pages.wait(retry_id, "SUCCESS")["tags"]["dagster/retry_strategy"] == "ALL_STEPS"

    assert stack.people.states() == {"synced": CONTACTS}
    assert Counter(sends(stack_sandbox).values()) == {
        1: ANSWERED + SECOND_BATCH,
        2: FIRST_BATCH - ANSWERED,
    }, "only what was under way is sent again"
    assert {run["runId"] for run in stack.pages.runs()} - before == {run_id, retry_id}


@pytest.mark.parametrize(("how", "status"), [("the button Terminate", "CANCELED"), ("SIGTERM", "FAILURE")])
def test_a_run_that_is_stopped_gives_its_claims_back_at_once_and_charges_nobody(
    stack: Stack, stack_sandbox: BrevoSandbox, how: str, status: str
) -> None:
    run_id = begin_run(stack, stack_sandbox, ANSWER_LATE)
    if how == "SIGTERM":
        stack.by_role("run").terminate()
    else:
        stack.pages.terminate(run_id)
    stack.pages.wait(run_id, status)
    stack_sandbox.clear_faults()
    assert_given_back(stack, run_id)
    stack.pages.wait(stack.pages.launch(), "SUCCESS")
    stack.pages.wait_for_idle()  # a retry too, where Dagster sees no reason for the stop
    assert stack.people.states() == {"synced": CONTACTS}
    assert set(sends(stack_sandbox).values()) == {1}


def test_of_two_runs_at_once_one_waits_the_schedule_skips_and_nobody_is_sent_twice(
    stack: Stack, stack_sandbox: BrevoSandbox
) -> None:
    stack.people.add(FIRST_BATCH, name=NAME)
    stack_sandbox.fault("hold", path=DELIVERIES)
    both = [stack.pages.launch() for _ in range(2)]
    stack_sandbox.wait_for_requests(FIRST_BATCH, path=DELIVERIES)
    status = {run_id: stack.pages.run(run_id)["status"] for run_id in both}
    assert sorted(status.values()) == ["QUEUED", "STARTED"]
    assert stack.pages.dry_tick() in {f"Run {run_id} is still active." for run_id in both}
    stack_sandbox.clear_faults()
    stack_sandbox.release()
    for run_id in both:
        stack.pages.wait(run_id, "SUCCESS")
    assert stack.people.states() == {"synced": FIRST_BATCH}
    assert set(sends(stack_sandbox).values()) == {1}


def test_a_dead_key_fails_one_run_tells_people_once_and_is_tried_by_ticks_until_it_works_again(
    stack: Stack, stack_sandbox: BrevoSandbox
) -> None:
    stack.people.add(CONTACTS, name=NAME)
    stack_sandbox.configure(revoked_keys=[API_KEY])
    logged = len(stack.log())
    run_id = stack.pages.launch()
    stack.pages.wait(run_id, "FAILURE")
    [reason] = stack.pages.failures(run_id)
    assert reason.startswith("brevo: ")
    assert "key" in reason.lower()
    assert stack.people.states() == {"queued": CONTACTS}
    assert stack.people.all("SELECT sum(attempts + crashes) AS n FROM crm_syncs") == [{"n": 0}]

    stack.pages.start_schedule()
    tick = stack.pages.next_tick()
    assert (tick["status"], tick["runIds"]) == ("SKIPPED", [])
    assert tick["skipReason"].startswith("Sending is paused until the key is accepted: ")
    said = "brevo.gate.credentials: Brevo refuses the key"
    wait_until(lambda: said in stack.log()[logged:], "people are told of the key")

    stack_sandbox.configure(revoked_keys=[])
    assert stack.pages.dry_tick() is None, "the probe of a tick opens the gate"
    stack.pages.wait(stack.pages.launch(), "SUCCESS")
    assert stack.people.states() == {"synced": CONTACTS}
    assert stack.log()[logged:].count(said) == 1


def test_nothing_that_outlives_a_run_holds_an_address_a_name_or_the_key(
    stack: Stack, stack_sandbox: BrevoSandbox
) -> None:
    stack.people.add(3, name=NAME)
    [[delivered], [refused], [broken]] = [stack.people.add(name=NAME, email=f"{one}@example.com") for one in "abc"]
    stack_sandbox.fault("status", email="b@example.com", status=400, body={"message": f"b@example.com {API_KEY}"})
    stack_sandbox.fault("status", email="c@example.com", status=500, body={"message": f"c@example.com {API_KEY}"})
    run_id = stack.pages.launch()
    stack.pages.wait(run_id, "SUCCESS")
    states = {contact: stack.people.sync(contact)["state"] for contact in (delivered, refused, broken)}
    assert list(states.values()) == ["synced", "failed", "queued"]

    words = ["@example.com", *NAME.split(), API_KEY]
    assert not [word for word in words if word.lower() in stack.pages.shown(run_id).lower()]
    assert traces_in_tables(stack.dagster_records, words) == []
    assert traces_in_files(stack.home, words) == []
    kept = [path for path in (stack.home / "storage").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in [*kept, stack.data / "up.log"] if path.stat().st_mode & 0o077]
    assert not [word for word in words if word in command_lines(stack.processes())]
    holders = [stack.data / "postgres" / "data"]  # the contacts themselves
    assert traces_in_files(stack.data, words, except_in=holders) == []
    assert "Batch 1: 6 of 6 contacts handled" in stack.log(), "this is where it would be"
