"""The migration that lets the ledger say that an outcome is unknown."""

import pytest
import sqlalchemy as sa

from crm_pipelines.database import connecting, migrating
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.integration.database.test_database import upgrade_to

FORMER_ENTRY = """
INSERT INTO crm_attempts (contact_id, crm, claim_no, run_id, revision, outcome, started_at)
SELECT id, 'brevo', :claim_no, 'run-1', 1, :outcome, now() FROM crm_contacts"""
FORMER_RELEASE = """
UPDATE crm_syncs SET state = 'queued', claimed_by = NULL, lease_until = NULL, delivery_started_at = NULL
 WHERE state = 'claimed'"""


def test_what_a_former_version_wrote_stays_and_what_it_writes_is_taken(empty_database_url: str) -> None:
    upgrade_to(empty_database_url, "0021")
    engine = connecting.create_engine(empty_database_url)
    try:
        people = People(engine)
        [contact_id] = people.add()
        people.run("UPDATE crm_syncs SET state = 'claimed', claim_no = 1, claimed_by = 'run-1', lease_until = now()")
        people.run(FORMER_ENTRY, claim_no=1, outcome="retry")
        with pytest.raises(sa.exc.IntegrityError):
            people.run(FORMER_ENTRY, claim_no=2, outcome="unknown")
        assert "0022" in migrating.upgrade(empty_database_url)
        people.run(FORMER_ENTRY, claim_no=2, outcome="synced")
        people.run(FORMER_ENTRY, claim_no=3, outcome="unknown")
        with pytest.raises(sa.exc.IntegrityError):
            people.run(FORMER_ENTRY, claim_no=4, outcome="nonsense")
        assert people.run(FORMER_RELEASE) == 1
        people.run("UPDATE crm_contacts SET name = 'New'")
        assert people.sync(contact_id)["state"] == "queued"
        [check] = people.all("SELECT convalidated FROM pg_constraint WHERE conname = 'crm_attempts_outcome_check'")
        assert check["convalidated"]
    finally:
        engine.dispose()
