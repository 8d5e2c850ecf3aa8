"""The workflow that we give to users, in a real n8n: as it comes, and all the way back into another CRM."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from crm_pipelines.destinations.registered import register
from crm_pipelines_tests.fixtures.api import Api
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.judges.conftest import SECRET
from crm_pipelines_tests.judges.running import N8n
from crm_pipelines_tests.judges.workflows import Credentials, new_path
from crm_pipelines_tests.patience import PATIENCE, wait_until

SAMPLE = Path(__file__).parents[2] / "samples" / "n8n" / "enrich-contact.json"
FOUND = "+1 202 555 0143"
BACK = "/webhooks/n8n/enrichment-complete"


@pytest.fixture
def set_up(n8n: N8n, bearer: Credentials) -> Callable[..., str]:
    """Does what the sample's note says, and publishes it; returns its path."""

    def publish(api_url: str, *, phone: str = "") -> str:
        path = new_path()
        sample = json.loads(SAMPLE.read_text(encoding="utf-8"))
        nodes: dict[str, dict[str, Any]] = {node["name"]: node for node in sample["nodes"]}
        nodes["Webhook"]["credentials"] = nodes["Send back"]["credentials"] = bearer
        nodes["Signature"]["credentials"] = n8n.credential("crypto", hmacSecret=SECRET)
        nodes["Webhook"]["parameters"]["path"] = nodes["Webhook"]["webhookId"] = path
        assert nodes["Send back"]["parameters"]["url"].endswith(f"/api/v3{BACK}")
        nodes["Send back"]["parameters"]["url"] = f"{api_url}{BACK}"
        [assignment] = nodes["Find out"]["parameters"]["assignments"]["assignments"]
        assignment["value"] = phone
        n8n.publish(sample)
        return path

    return publish


def test_a_request_without_our_signature_is_refused(n8n: N8n, set_up: Callable[..., str]) -> None:
    path = set_up("http://127.0.0.1:9/api/v3")
    headers = {"Authorization": f"Bearer {SECRET}", "X-Timestamp": "1", "X-Signature": "0" * 64}
    answer = requests.post(n8n.webhook(path), json={"contact_id": "1"}, headers=headers, timeout=PATIENCE)
    assert (answer.status_code, answer.json()["ok"]) == (401, False)


def test_what_a_workflow_finds_out_about_a_contact_reaches_the_other_crms_and_does_not_ask_the_workflow_again(
    engine: sa.Engine,
    brevo_environment: BrevoSandbox,
    set_up: Callable[..., str],
    pipeline_to: Callable[..., Pipeline],
    serve_api: Callable[..., Api],
    monkeypatch: pytest.MonkeyPatch,
    pipeline: Pipeline,
) -> None:
    register(engine, "n8n", "n8n")
    pipeline_to("not-known-yet")  # the API needs the secret
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo,n8n")
    api = serve_api()
    to_n8n = pipeline_to(set_up(api.url, phone=FOUND))
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo,n8n")
    people = People(engine)
    [contact] = people.add(email="ada@example.com", name="Ada Lovelace")
    people.run("SELECT crm_select('n8n', ARRAY[CAST(:id AS uuid)])", id=contact)

    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert "SMS" not in held(brevo_environment)["attributes"]
    assert to_n8n.run().counts == {"claimed": 1, "synced": 1}
    wait_until(lambda: people.all("SELECT 1 FROM crm_enrichments"), "the workflow has sent what it found")

    assert people.all("SELECT phone_number FROM crm_contacts") == [{"phone_number": "+12025550143"}]
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    assert held(brevo_environment)["attributes"]["SMS"] == "12025550143"
    assert to_n8n.run().counts == {}, "the workflow is not asked about what it has told"
    [row] = people.all("SELECT n8n_sync_status, n8n_contact_id FROM contacts")
    assert row == {"n8n_sync_status": "Complete", "n8n_contact_id": str(contact)}


def held(sandbox: BrevoSandbox) -> dict[str, Any]:
    contact = sandbox.contact("ada@example.com")
    assert contact is not None
    return contact
