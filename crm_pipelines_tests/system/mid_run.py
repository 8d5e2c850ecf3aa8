"""A run that is caught in the middle of its first batch, while the second one waits."""

from collections import Counter
from typing import Any, Protocol

from crm_pipelines_tests.fixtures.dagster_pages import DagsterPages
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import DELIVERIES, BrevoSandbox
from crm_pipelines_tests.fixtures.stack import NAME
from crm_pipelines_tests.patience import wait_until

FIRST_BATCH = 20
ANSWERED = 4
SECOND_BATCH = 5
CONTACTS = FIRST_BATCH + SECOND_BATCH

ANSWER_LATE = {"action": "latency", "seconds": 5}
"""Later than any signal arrives."""
NEVER_ANSWER = {"action": "hold_after"}


class Deployment(Protocol):
    """Whatever runs our job: `make up`, or workers on several machines."""

    people: People
    pages: DagsterPages


def begin_run(stack: Deployment, brevo_sandbox: BrevoSandbox, fault: dict[str, Any]) -> str:
    """Some contacts of the first batch are in the ledger, the others wait for an answer: `fault` says how long.

    The second batch is one of crash suspects, which always come in a batch of their own. On a slow machine the first
    answers that are late may be in the ledger, too.
    """
    stack.people.add(SECOND_BATCH, name=NAME)
    stack.people.run("UPDATE crm_syncs SET crashes = 1")
    stack.people.add(FIRST_BATCH, name=NAME)
    brevo_sandbox.fault("latency", path=DELIVERIES, times=ANSWERED)
    brevo_sandbox.fault(path=DELIVERIES, **fault)
    run_id = stack.pages.launch()
    brevo_sandbox.wait_for_requests(FIRST_BATCH, path=DELIVERIES)
    wait_until(lambda: _answers(stack, run_id) >= ANSWERED, "the answers that have come are in the ledger")
    return run_id


def _answers(stack: Deployment, run_id: str) -> int:
    [row] = stack.people.all("SELECT count(*) AS n FROM crm_attempts WHERE run_id = :id", id=run_id)
    return int(row["n"])


def sends(brevo_sandbox: BrevoSandbox) -> Counter[str]:
    """How many requests changed each contact; those that only look, or are refused, change nothing."""
    return Counter(
        request["ext_id"]
        for request in brevo_sandbox.requests(path=DELIVERIES)
        if request["ext_id"] and request["applied"]
    )


def assert_given_back(stack: Deployment, run_id: str) -> None:
    """The stopped run holds no claim any more, what it had begun is delivered, and nobody is charged.

    How far it got depends on the machine: a signal takes its time, crash suspects go on one by one meanwhile, and a
    retry may have begun.
    """
    assert stack.people.all("SELECT contact_id FROM crm_syncs WHERE claimed_by = :id", id=run_id) == []
    assert stack.people.states()["synced"] >= FIRST_BATCH
    charges = "SELECT coalesce(sum(attempts), 0) AS attempts, coalesce(max(crashes), 1) AS crashes FROM crm_syncs"
    assert stack.people.all(f"{charges} WHERE state <> 'synced'") == [{"attempts": 0, "crashes": 1}], (
        "the crash that begin_run gave them"
    )
