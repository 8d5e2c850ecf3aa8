"""`make up` with a process per step (BREVO_SYNC_PROCESSES): what the death of a run's worker leaves alive."""

import psutil

from crm_pipelines_tests.fixtures.sandbox import DELIVERIES, BrevoSandbox
from crm_pipelines_tests.fixtures.stack import Stack
from crm_pipelines_tests.patience import wait_until
from crm_pipelines_tests.system.mid_run import CONTACTS, begin_run, sends


def worker_of_the_run(stack: Stack) -> psutil.Process:
    """The process that Dagster knows; the steps are its descendants."""
    [worker] = [one for one in stack.by_role("code").children() if "resource_tracker" not in " ".join(one.cmdline())]
    return worker


def test_steps_that_outlive_their_killed_run_deliver_what_they_have_and_nobody_else_sends_it(
    stack_down: Stack, stack_sandbox: BrevoSandbox
) -> None:
    stack = stack_down
    # At 15 requests/s a step sends with 15 threads: one of the first batch is not sent before another has its answer.
    stack.start(BREVO_SYNC_PROCESSES="2", BREVO_RATE_LIMIT_PER_SECOND="15")
    try:
        stack.tidy()
        run_id = begin_run(stack, stack_sandbox, {"action": "hold"})
        worker = worker_of_the_run(stack)
        steps = worker.children(recursive=True)
        worker.kill()
        under_way = len(stack_sandbox.requests(path=DELIVERIES))
        stack.pages.wait(run_id, "FAILURE")
        assert any(step.is_running() for step in steps), "Dagster says that the run is over, and they go on"
        stack_sandbox.clear_faults()
        stack_sandbox.release()
        stack.pages.wait_for_idle()
        stack.pages.wait(stack.pages.launch(), "SUCCESS")
        wait_until(lambda: stack.people.states() == {"synced": CONTACTS}, "all are delivered")
        assert under_way < CONTACTS
        assert set(sends(stack_sandbox).values()) == {1}
    finally:
        stack.cut_power()
