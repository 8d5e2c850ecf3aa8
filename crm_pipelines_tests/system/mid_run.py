"""A run that is caught in the middle of its first batch."""

from collections import Counter

from crm_pipelines_tests.fixtures.dagster_pages import until
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.fixtures.stack import NAME, Stack

BATCH = 10
"""Contacts in a batch (BREVO_SYNC_SCHEDULER_BATCH_SIZE)."""

CONTACTS = 25
ANSWERED = 4


def begin_run(stack: Stack, brevo_sandbox: BrevoSandbox, *, action: str = "hold") -> str:
    """A run in the middle of its first batch: some of its contacts are in the ledger, the others wait for an answer."""
    stack.people.add(CONTACTS, name=NAME)
    brevo_sandbox.fault("latency", path="contacts", times=ANSWERED)
    brevo_sandbox.fault(action, path="contacts")
    run_id = stack.pages.launch()
    brevo_sandbox.wait_for_requests(BATCH, path="contacts")
    until(lambda: _answers(stack, run_id) == ANSWERED, "the answers that have come are in the ledger")
    return run_id


def _answers(stack: Stack, run_id: str) -> int:
    [row] = stack.people.all("SELECT count(*) AS n FROM crm_attempts WHERE run_id = :id", id=run_id)
    return int(row["n"])


def sends(brevo_sandbox: BrevoSandbox) -> Counter[str]:
    """How many requests came for each contact."""
    return Counter(request["ext_id"] for request in brevo_sandbox.requests(path="contacts"))


def uncharged(stack: Stack) -> bool:
    """Whether no contact was charged an attempt or a crash."""
    [row] = stack.people.all("SELECT max(attempts) AS attempts, max(crashes) AS crashes FROM crm_syncs")
    return row == {"attempts": 0, "crashes": 0}
