"""A contact goes to a workflow, what it found comes back, and goes on to Brevo: once, and not round in circles."""

import itertools
import threading
from typing import Any
from uuid import UUID

import dagster as dg
import pytest

from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.fixtures.workflows import Webhook, Workflow
from crm_pipelines_tests.patience import PATIENCE

PHONE = "+12025550143"


@pytest.fixture
def enriching(
    brevo_environment: BrevoSandbox, webhook: Webhook, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> Webhook:
    """A workflow that finds something else each time, and may overwrite what it found before."""
    monkeypatch.setenv("N8N_WEBHOOK_URL", webhook.url)
    monkeypatch.setenv("N8N_RATE_LIMIT_PER_SECOND", "500")
    numbers = itertools.count(1)

    def work(told: dict[str, Any]) -> None:
        number = next(numbers)
        found = {"phone": PHONE, "company": {"name": f"Company {number}"}}
        workflow.tell(UUID(told["contact_id"]), f"execution-{number}", minutes=number / 60, enriched_data=found)

    webhook.work = work
    return webhook


@pytest.fixture
def brevo(brevo_environment: BrevoSandbox, in_memory: dg.DagsterInstance) -> Pipeline:
    return Pipeline(in_memory, "brevo")


@pytest.fixture
def n8n(enriching: Webhook, in_memory: dg.DagsterInstance) -> Pipeline:
    return Pipeline(in_memory, "n8n")


@pytest.fixture
def ada(people: People) -> UUID:
    """Selected for both."""
    [contact] = people.add(email="ada@example.com")
    people.run("SELECT crm_select('n8n', ARRAY[CAST(:id AS uuid)])", id=contact)
    return contact


def held_by(brevo: BrevoSandbox) -> dict[str, Any]:
    """The attributes of the one contact."""
    [contact] = brevo.contacts()
    attributes: dict[str, Any] = contact["attributes"]
    return attributes


def test_what_the_workflow_found_goes_to_brevo_and_the_workflow_is_not_asked_again(
    ada: UUID, people: People, brevo: Pipeline, n8n: Pipeline, enriching: Webhook, brevo_environment: BrevoSandbox
) -> None:
    assert brevo.run().counts == {"claimed": 1, "synced": 1}
    assert "SMS" not in held_by(brevo_environment)
    assert n8n.run().counts == {"claimed": 1, "synced": 1}, "though the answer came during the delivery"
    assert brevo.run().counts == {"claimed": 1, "synced": 1}
    assert held_by(brevo_environment)["SMS"] == PHONE.removeprefix("+")
    for pipeline in (n8n, brevo) * 2:
        assert pipeline.run().counts == {}
    assert len(enriching.told) == 1
    people.run("UPDATE crm_contacts SET phone_number = '+12025550199'")
    for _ in range(3):
        n8n.run()
    assert [told.get("phone_number") for told in enriching.told] == [None, "+12025550199"], "a user's edit goes there"
    assert people.all("SELECT custom_fields ->> 'company' AS company FROM crm_contacts") == [{"company": "Company 2"}]
    assert people.sync(ada)["state"] == "queued", "and what was overwritten goes to Brevo"


@pytest.mark.parametrize("during", [True, False])
def test_a_user_who_takes_back_what_the_workflow_found_is_news_to_it(
    ada: UUID, workflow: Workflow, people: People, n8n: Pipeline, enriching: Webhook, during: bool
) -> None:
    if not during:
        enriching.work = lambda _: None
    assert n8n.run().counts == {"claimed": 1, "synced": 1}
    if not during:
        workflow.tell(ada, enriched_data={"phone": PHONE})
    assert people.all("SELECT phone_number FROM crm_contacts") == [{"phone_number": PHONE}]
    enriching.work = lambda _: None
    people.run("UPDATE crm_contacts SET phone_number = NULL, custom_fields = '{}'")
    assert n8n.run().counts == {"claimed": 1, "synced": 1}
    assert n8n.run().counts == {}
    assert [told.get("phone_number") for told in enriching.told] == [None, None]


def test_what_is_found_while_brevo_is_told_of_the_contact_arrives_there(
    ada: UUID, workflow: Workflow, brevo: Pipeline, brevo_environment: BrevoSandbox
) -> None:
    brevo_environment.fault("hold", times=1, method="POST", path="/contacts$")
    run = threading.Thread(target=brevo.run)
    run.start()
    brevo_environment.wait_for_requests(1, method="POST", path="/contacts$")
    workflow.tell(ada, enriched_data={"phone": PHONE})
    assert brevo_environment.release() == 1
    run.join(PATIENCE)
    assert brevo.run().counts == {"claimed": 1, "synced": 1}
    assert held_by(brevo_environment)["SMS"] == PHONE.removeprefix("+")
