"""Mautic's job against a real Postgres and the sandbox: fifty contacts in a request, each with its own fate."""

import dagster as dg
import pytest
import sqlalchemy as sa

from crm_pipelines.crms.fingerprints import credentials_fingerprint
from crm_pipelines.delivery.account.opening import open_account
from crm_pipelines.delivery.account.preflight import provision_account
from crm_pipelines.delivery.pace import pacing
from crm_pipelines.destinations.gates import SANDBOX, GateKeeper
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import MauticSandbox
from crm_pipelines_tests.integration.orchestration.standings import alert_on

CLIENT, SECRET = "1_of_a_test", "a-client-secret-of-a-test"
WRITES = "/contacts/batch/"


@pytest.fixture
def mautic(
    monkeypatch: pytest.MonkeyPatch, database_url: str, engine: sa.Engine, mautic_sandbox: MauticSandbox
) -> MauticSandbox:
    """As after the first run: the credentials are known to open the account of the database, which has all fields."""
    monkeypatch.setenv("CRM_DATABASE_URL", database_url)
    monkeypatch.setenv("CRM_DESTINATIONS", "mautic")
    monkeypatch.setenv("MAUTIC_BASE_URL", mautic_sandbox.url)
    monkeypatch.setenv("MAUTIC_CLIENT_ID", CLIENT)
    monkeypatch.setenv("MAUTIC_CLIENT_SECRET", SECRET)
    monkeypatch.setenv("MAUTIC_RATE_LIMIT_PER_SECOND", "500")
    monkeypatch.setattr(pacing, "_BLOCK_SECONDS", 0.05)
    key = credentials_fingerprint("mautic", f"{CLIENT} {SECRET}", mautic_sandbox.url)
    GateKeeper(engine, "mautic").bind_account(SANDBOX, key, move=False)
    with open_account(load_settings(), "mautic", engine) as account:
        provision_account(account, dry_run=False)
    return mautic_sandbox


@pytest.fixture
def people(engine: sa.Engine) -> People:
    return People(engine, "mautic")


@pytest.fixture
def pipeline(mautic: MauticSandbox, in_memory: dg.DagsterInstance) -> Pipeline:
    return Pipeline(in_memory, "mautic")


def failed(people: People) -> list[str]:
    rows = people.all("SELECT last_error FROM crm_syncs WHERE crm = 'mautic' AND state = 'failed'")
    return [row["last_error"] for row in rows]


def test_a_thousand_contacts_take_twenty_writes_and_a_second_run_makes_none(
    people: People, pipeline: Pipeline, mautic: MauticSandbox
) -> None:
    people.add(1000)
    assert pipeline.run().counts == {"claimed": 1000, "synced": 1000}
    assert len(mautic.requests(path=WRITES)) == 20
    ids = {str(one["id"]): one["fields"]["all"]["email"] for one in mautic.contacts()}
    told = people.all("SELECT mautic_contact_id AS id, email FROM contacts")
    assert {row["id"]: row["email"] for row in told} == ids
    before = len(mautic.requests(path="/contacts"))
    assert pipeline.run().counts == {}
    people.run("UPDATE crm_syncs SET state = 'queued', run_at = now()")
    assert pipeline.run().counts == {"claimed": 1000, "unchanged": 1000}
    assert len(mautic.requests(path="/contacts")) == before


def test_of_fifty_one_is_refused_in_mautics_words_and_the_others_arrive(
    people: People, pipeline: Pipeline, mautic: MauticSandbox
) -> None:
    people.add(49)
    people.add(email="not.wanted@example.com")
    mautic.configure(refused={"not.wanted@example.com": "Nobody wants this one"})
    assert pipeline.run().counts == {"claimed": 50, "synced": 49, "failed": 1}
    [error] = failed(people)
    assert "Nobody wants this one" in error
    assert "not.wanted" not in error
    assert len(mautic.contacts()) == 49


def test_a_batch_that_dies_in_the_middle_leaves_nobody_out_and_nobody_twice(
    people: People, pipeline: Pipeline, mautic: MauticSandbox
) -> None:
    mautic.configure(dies_after_rows=20)
    people.add(50)
    assert pipeline.run().counts == {"claimed": 50, "retrying": 50}
    assert len(mautic.contacts()) == 20
    people.run("UPDATE crm_syncs SET run_at = now()")
    assert pipeline.run().counts == {"claimed": 50, "synced": 50}
    assert len(mautic.contacts()) == 50


def test_a_wrong_secret_charges_nobody_and_is_one_alert_that_says_what_to_do(
    people: People, pipeline: Pipeline, mautic: MauticSandbox, engine: sa.Engine
) -> None:
    mautic.configure(keys=["another"])
    people.add(60)
    pipeline.run()
    assert people.states() == {"queued": 60}
    assert people.all("SELECT * FROM crm_syncs WHERE attempts > 0") == []
    finding = alert_on(engine, "mautic")
    assert finding is not None
    assert "MAUTIC_CLIENT_SECRET" in finding.reasons()[0].text
    assert SECRET not in repr(finding)
    assert mautic.contacts() == []


def test_a_changed_address_changes_the_contact_and_one_that_is_taken_merges_nobody(
    people: People, pipeline: Pipeline, mautic: MauticSandbox
) -> None:
    mautic.configure(checks_unique=False)
    [ada] = people.add(email="ada@example.com", name="Ada")
    [eve] = people.add(email="eve@example.com", name="Eve")
    pipeline.run()
    mautic.seed({"email": "bob@example.com", "firstname": "Bob"})
    people.run("UPDATE crm_contacts SET email = 'ada.new@example.com' WHERE id = :id", id=ada)
    people.run("UPDATE crm_contacts SET email = 'bob@example.com' WHERE id = :id", id=eve)
    assert pipeline.run().counts == {"claimed": 2, "synced": 1, "failed": 1}
    assert people.sync(eve)["last_error_kind"] == "duplicate_address"
    found = {one["fields"]["all"]["email"]: one["fields"]["all"]["firstname"] for one in mautic.contacts()}
    assert found == {"ada.new@example.com": "Ada", "eve@example.com": "Eve", "bob@example.com": "Bob"}


def test_a_score_that_became_zero_is_blank_and_told_and_no_alarm_of_the_fidelity_check(
    people: People, pipeline: Pipeline, mautic: MauticSandbox, engine: sa.Engine
) -> None:
    custom = '{"score": 7, "vip": true}'
    [ada] = people.add(email="ada@example.com")
    people.run("UPDATE crm_contacts SET custom_fields = :custom WHERE id = :id", custom=custom, id=ada)
    with open_account(load_settings(), "mautic", engine) as account:
        provision_account(account, dry_run=False)
    pipeline.run()
    since = people.now()
    zero = '{"score": 0, "vip": false}'
    people.run("UPDATE crm_contacts SET custom_fields = :custom WHERE id = :id", custom=zero, id=ada)
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    held = mautic.contact("ada@example.com")
    assert held is not None
    assert (held.get("score"), held["vip"]) == (None, 0)
    told = people.all("SELECT warnings FROM crm_attempts WHERE contact_id = :id ORDER BY id", id=ada)
    assert "score was left out" in str(told[-1])
    with open_account(load_settings(), "mautic", engine) as account:
        reader = account.fidelity_reader()
        assert reader is not None
        found = reader.read(since, 10)
    assert found.low == []
