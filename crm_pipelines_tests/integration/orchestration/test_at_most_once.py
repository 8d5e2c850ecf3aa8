"""Runs to a CRM at which nothing must be sent twice, whose answers get lost."""

import pytest

from crm_pipelines.queue.ledger import Ledger
from crm_pipelines.statistics.failures import FailureWatcher
from crm_pipelines_tests.at_most_once import at_most_once
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import DELIVERIES, BrevoSandbox


@pytest.fixture(autouse=True)
def _at_most_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_most_once(monkeypatch)


def test_a_run_whose_answers_were_lost_adds_up_and_tells_of_it(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    people.add(12)
    brevo_sandbox.fault("reset_after", times=2, path=DELIVERIES)
    run = pipeline.run()
    assert run.success
    assert run.counts == {"claimed": 12, "synced": 10, "failed": 2}
    assert "| unknown | 2 |" in run.metadata["reasons"]
    figures = FailureWatcher(people.engine, "brevo").figures()
    assert (figures.failed, figures.failed_attempts) == (2, 2)
    [reason] = FailureWatcher(people.engine, "brevo").reasons_of_contacts("failed")
    assert (reason.contacts, "It may have arrived" in reason.text) == (2, True)
    [parked] = Ledger(people.engine, "brevo").parked()
    assert (parked["status"], parked["kind"], parked["contacts"]) == ("Error", "unknown", 2)


def test_runs_to_come_send_nothing_of_what_may_have_arrived(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    [contact_id] = people.add()
    brevo_sandbox.fault("reset_after", times=1, path=DELIVERIES)
    pipeline.run()
    people.run("UPDATE crm_contacts SET name = 'New'")
    people.add(2)
    assert pipeline.run().counts == {"claimed": 2, "synced": 2}
    assert pipeline.run(contact_ids=[str(contact_id)]).counts == {}
    sent = [one["ext_id"] for one in brevo_sandbox.requests(path=DELIVERIES)]
    assert sent.count(str(contact_id)) == 1
