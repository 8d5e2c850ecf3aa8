"""The checker finds what is planted: without this, its silence would prove nothing."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from crm_pipelines_tests.checker import assert_invariants, violations
from crm_pipelines_tests.ends import BrevoEnd
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import API_KEY, Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.patience import PATIENCE

_UNCHECKED = "ALTER TABLE crm_syncs DROP CONSTRAINT IF EXISTS synced_is_current"


@pytest.fixture
def delivered(account: BrevoSandbox, crew: list[Any], people: People, pipeline: Pipeline) -> list[Any]:
    """Twelve contacts, all of them synced."""
    assert pipeline.run().counts == {"claimed": 12, "synced": 12}
    return crew


def test_a_plain_run_has_no_violations(delivered: list[Any], engine: sa.Engine, account: BrevoSandbox) -> None:
    assert_invariants(engine, account, most_sends=1)


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("UPDATE crm_syncs SET state = 'queued'", "lost, since all is quiet"),
        ("UPDATE crm_syncs SET state = 'claimed', claimed_by = 'dead', lease_until = now()", "claimed by dead"),
        ("UPDATE crm_syncs SET state = 'failed', last_error_kind = 'x'", "given up without a reason"),
        ("UPDATE crm_syncs SET crashes = 1", "but no worker died of it"),
        ("UPDATE crm_syncs SET claim_no = claim_no + 1", "did not come to this"),
        ("UPDATE crm_syncs SET revision = revision + 1", "was never delivered"),
        ("UPDATE crm_syncs SET payload_hash = '\\x00'", "not that of the confirmed delivery"),
        ("UPDATE crm_attempts SET applied_at = NULL", "did not come to this"),
        ("DELETE FROM crm_attempts", "did not come to this"),
        ("UPDATE crm_attempts SET outcome = 'rejected'", "but to rejected"),
    ],
)
def test_what_is_wrong_in_the_tables_is_found(
    planted: str, found: str, delivered: list[Any], people: People, engine: sa.Engine, account: BrevoSandbox
) -> None:
    people.run(_UNCHECKED)
    people.run(f"{planted} WHERE contact_id = :id", id=delivered[3])
    sentences = list(violations(engine, BrevoEnd(account)))
    assert any(found in sentence and str(delivered[3]) in sentence for sentence in sentences), sentences


def test_an_edit_that_the_trigger_missed_is_found(
    delivered: list[Any], people: People, engine: sa.Engine, account: BrevoSandbox
) -> None:
    people.run("ALTER TABLE crm_contacts DISABLE TRIGGER crm_contacts_requeue")
    people.run("UPDATE crm_contacts SET has_gmail = NULL WHERE id = :id", id=delivered[3])
    sentences = list(violations(engine, BrevoEnd(account)))
    assert any("is not delivered" in sentence for sentence in sentences)
    assert any("other values of HAS_GMAIL" in sentence for sentence in sentences)


def test_a_value_that_the_crm_lacks_has_otherwise_or_has_too_much_is_found(
    delivered: list[Any], engine: sa.Engine, account: BrevoSandbox
) -> None:
    account.seed({"email": "crew1@example.com", "attributes": {"FIRSTNAME": "Older"}, "updateEnabled": True})
    account.seed({"email": "crew2@example.com", "attributes": {"PAGE_ID": "surplus"}, "updateEnabled": True})
    sentences = "\n".join(violations(engine, BrevoEnd(account)))
    assert "other values of FIRSTNAME" in sentences
    assert "other values of PAGE_ID" in sentences


def test_a_contact_that_the_crm_does_not_have_is_found(
    delivered: list[Any], people: People, engine: sa.Engine, account: BrevoSandbox
) -> None:
    account.reset()
    assert sum("the CRM does not have it" in sentence for sentence in violations(engine, BrevoEnd(account))) == 12
    assert "the ledger knows 12 deliveries, the CRM only 0" in list(violations(engine, BrevoEnd(account)))


def test_a_second_send_and_overlapping_ones_are_found(
    delivered: list[Any], engine: sa.Engine, account: BrevoSandbox
) -> None:
    body = {"email": "crew3@example.com", "ext_id": str(delivered[3]), "updateEnabled": True}
    account.fault("hold_after", times=1)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(post, account, body)
        account.wait_for_requests(13)
        post(account, body)
        account.release()
        held.result(PATIENCE)
    sentences = "\n".join(violations(engine, BrevoEnd(account), most_sends=1))
    assert "overlap" in sentences
    assert "sent 3 times" in sentences


def post(account: BrevoSandbox, body: dict[str, Any]) -> None:
    requests.post(
        f"{account.url}/contacts", json=body, headers={"api-key": API_KEY}, timeout=PATIENCE
    ).raise_for_status()
