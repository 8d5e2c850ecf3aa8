"""`make up` at its end, however that comes: nothing is left behind, and the next start goes on where it was."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.fixtures.stack import NAME, Stack
from crm_pipelines_tests.patience import PATIENCE, wait_until
from crm_pipelines_tests.system.mid_run import (
    ANSWER_LATE,
    CONTACTS,
    NEVER_ANSWER,
    assert_given_back,
    begin_run,
    sends,
)

# Whoever is killed cannot hurry the programs below it: their guards give each up to 40 s (local/up.py).
KILLED_SECONDS = 120


def test_ctrl_c_in_the_middle_of_a_run_ends_all_in_order_and_gives_the_claims_back(
    stack: Stack, stack_sandbox: BrevoSandbox
) -> None:
    run_id = begin_run(stack, stack_sandbox, ANSWER_LATE)
    stack.interrupt()
    assert stack.wait(PATIENCE) == 0
    assert stack.left_behind(0) == []
    stack_sandbox.clear_faults()

    stack.start()
    assert stack.pages.run(run_id)["status"] == "CANCELED"
    assert_given_back(stack, run_id)
    stack.pages.wait(stack.pages.launch(), "SUCCESS")
    assert stack.people.states() == {"synced": CONTACTS}
    assert set(sends(stack_sandbox).values()) == {1}


def test_after_a_power_cut_contacts_are_delivered_within_two_ticks(stack: Stack, stack_sandbox: BrevoSandbox) -> None:
    run_id = begin_run(stack, stack_sandbox, NEVER_ANSWER)
    stack.cut_power()
    assert stack.left_behind(0) == []
    stack_sandbox.clear_faults()
    stack_sandbox.release()

    stack.start()
    assert stack.pages.run(run_id)["status"] == "STARTED", "Dagster has not noticed"
    let_minutes_pass(stack, 3)
    stack.people.add(name=NAME)
    since = time.time()
    stack.pages.start_schedule()
    wait_until(lambda: stack.people.states() == {"synced": CONTACTS + 1}, "all are delivered")
    assert len(stack.pages.ticks(since=since)) <= 2
    stack.pages.stop_schedule()
    stack.pages.wait_for_idle()
    assert stack.pages.run(run_id)["status"] == "FAILURE"
    assert max(sends(stack_sandbox).values()) <= 2


def let_minutes_pass(stack: Stack, minutes: int) -> None:
    """Put back all that is measured against the clock after a worker's death."""
    ago = {"ago": f"{minutes} min"}
    stack.people.run("UPDATE crm_syncs SET lease_until = lease_until - CAST(:ago AS interval)", **ago)
    stack.people.run("UPDATE crm_attempts SET finished_at = finished_at - CAST(:ago AS interval)", **ago)
    with stack.dagster_records.begin() as connection:
        connection.execute(sa.text("UPDATE runs SET start_time = start_time - 60 * :minutes"), {"minutes": minutes})


@pytest.mark.parametrize("role", ["code", "daemon"])
def test_when_a_part_of_dagster_dies_up_stops_all_and_says_which(stack: Stack, role: str) -> None:
    stack.by_role(role).kill()
    assert stack.wait(PATIENCE) == 1
    assert f"{role} has ended by itself with exit code 137; " in stack.terminal()
    assert stack.left_behind(0) == []


def test_without_a_key_up_starts_the_sandboxes_and_killed_it_leaves_nothing_behind_not_even_postgres(
    stack_down: Stack,
) -> None:
    stack_down.start(BREVO_API_KEY="", CRM_DESTINATIONS="brevo,brevo_eu:brevo,hubspot")
    assert "Brevo: the local sandbox, http://127.0.0.1:" in stack_down.terminal()
    assert "Brevo (brevo_eu): none. BREVO_EU_API_KEY is not set: " in stack_down.terminal()
    assert "HubSpot: the local sandbox, http://127.0.0.1:" in stack_down.terminal()
    stack_down.tidy()
    stack_down.people.add(3, name=NAME)
    stack_down.pages.wait(stack_down.pages.launch(), "SUCCESS")
    assert len(stack_down.brevo_sandbox.contacts()) == 3
    wait_until(lambda: not stack_down.has_worker(), "the code server knows that the run's worker has ended")
    stack_down.kill()
    stack_down.wait(PATIENCE)
    assert stack_down.left_behind(KILLED_SECONDS) == []


def test_a_taken_port_is_one_sentence_and_exit_code_1(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        command = [sys.executable, "-m", "crm_pipelines", "up", "--port", str(port)]
        environment = {**os.environ, "CRM_PIPELINES_DATA_DIR": str(tmp_path)}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert ended.returncode == 1
    assert ended.stdout == ""
    [sentence] = ended.stderr.splitlines()
    assert sentence.startswith(f"Error: Port {port}, meant for Dagster's web page, is taken by")
    assert not list(tmp_path.iterdir()), "nothing was started"
