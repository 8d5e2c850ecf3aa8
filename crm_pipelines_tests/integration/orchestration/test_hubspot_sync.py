"""HubSpot's job against a real Postgres and the sandbox: many contacts in few requests, each with its own fate."""

from datetime import timedelta

import dagster as dg
import pytest
import sqlalchemy as sa

from crm_pipelines.crms.fingerprints import credentials_fingerprint
from crm_pipelines.delivery.account.opening import open_account
from crm_pipelines.delivery.account.preflight import provision_account
from crm_pipelines.delivery.pace import pacing
from crm_pipelines.destinations.gates import SANDBOX, GateKeeper
from crm_pipelines.orchestration.sync import ops
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import HubSpotSandbox
from crm_pipelines_tests.integration.orchestration.standings import alert_on

KEY = "pat-eu1-of-a-test"
WRITES = r"/batch/(upsert|update)$"


@pytest.fixture
def hubspot(
    monkeypatch: pytest.MonkeyPatch, database_url: str, engine: sa.Engine, hubspot_sandbox: HubSpotSandbox
) -> HubSpotSandbox:
    """As after the first run: the key is known to open the account of the database, which has all properties."""
    monkeypatch.setenv("CRM_DATABASE_URL", database_url)
    monkeypatch.setenv("CRM_DESTINATIONS", "hubspot")
    monkeypatch.setenv("HUBSPOT_API_KEY", KEY)
    monkeypatch.setenv("HUBSPOT_API_BASE_URL", hubspot_sandbox.url)
    monkeypatch.setenv("HUBSPOT_RATE_LIMIT_PER_SECOND", "500")
    monkeypatch.setattr(pacing, "_BLOCK_SECONDS", 0.05)
    GateKeeper(engine, "hubspot").bind_account(SANDBOX, credentials_fingerprint("hubspot", KEY, hubspot_sandbox.url))
    with open_account(load_settings(), "hubspot", engine) as account:
        provision_account(account, dry_run=False)
    return hubspot_sandbox


@pytest.fixture
def people(engine: sa.Engine) -> People:
    return People(engine, "hubspot")


@pytest.fixture
def pipeline(hubspot: HubSpotSandbox, in_memory: dg.DagsterInstance) -> Pipeline:
    return Pipeline(in_memory, "hubspot")


def failed(people: People) -> list[str]:
    rows = people.all("SELECT last_error FROM crm_syncs WHERE crm = 'hubspot' AND state = 'failed'")
    return [row["last_error"] for row in rows]


def test_a_thousand_contacts_take_at_most_twelve_writes_and_a_second_run_makes_none(
    people: People, pipeline: Pipeline, hubspot: HubSpotSandbox
) -> None:
    people.add(1000)
    run = pipeline.run()
    assert run.counts == {"claimed": 1000, "synced": 1000}
    assert len(hubspot.requests(path=WRITES)) <= 12
    ids = {one["id"]: one["properties"]["email"] for one in hubspot.contacts()}
    told = people.all("SELECT hubspot_contact_id AS id, email FROM contacts")
    assert {row["id"]: row["email"] for row in told} == ids
    before = len(hubspot.requests(path="/objects/"))
    assert pipeline.run().counts == {}
    people.run("UPDATE crm_syncs SET state = 'queued', run_at = now()")
    assert pipeline.run().counts == {"claimed": 1000, "unchanged": 1000}
    assert len(hubspot.requests(path="/objects/")) == before


@pytest.mark.parametrize("traces", [True, False], ids=["told one by one", "refused as a whole"])
def test_of_a_hundred_one_is_refused_in_hubspots_words_and_the_others_arrive(
    people: People, pipeline: Pipeline, hubspot: HubSpotSandbox, traces: bool
) -> None:
    people.add(99)
    people.add(email="not.wanted@example.com")
    if traces:
        hubspot.configure(refused={"not.wanted@example.com": "Nobody wants this one"})
    else:
        body = {"status": "error", "category": "VALIDATION_ERROR", "message": "Nobody wants this one"}
        hubspot.fault("status", email="not.wanted@example.com", path=WRITES, status=400, body=body)
    run = pipeline.run()
    assert run.counts == {"claimed": 100, "synced": 99, "failed": 1}
    [error] = failed(people)
    assert "Nobody wants this one" in error
    assert "not.wanted" not in error
    assert len(hubspot.contacts()) == 99
    assert len(hubspot.requests(path=WRITES)) <= (1 if traces else 14)


def test_a_changed_address_changes_the_contact_at_hubspot(
    people: People, pipeline: Pipeline, hubspot: HubSpotSandbox
) -> None:
    people.add(3)
    pipeline.run()
    ids = {one["id"] for one in hubspot.contacts()}
    people.run("UPDATE crm_contacts SET email = 'new.' || email")
    assert pipeline.run().counts == {"claimed": 3, "synced": 3}
    assert {one["id"] for one in hubspot.contacts()} == ids
    assert all(one["properties"]["email"].startswith("new.") for one in hubspot.contacts())


@pytest.mark.parametrize(
    ("ahead", "reason"), [(True, "allowance of requests is used up"), (False, "reached your daily limit")]
)
def test_the_daily_limit_parks_all_contacts_uncharged_with_that_reason_and_one_alert(
    people: People, pipeline: Pipeline, hubspot: HubSpotSandbox, engine: sa.Engine, ahead: bool, reason: str
) -> None:
    if ahead:
        hubspot.configure(per_day=1)
    else:
        body = {"status": "error", "message": "You have reached your daily limit.", "policyName": "DAILY"}
        hubspot.fault("status", path=WRITES, status=429, body=body)
    people.add(300)
    pipeline.run()
    states = people.states()
    assert states.pop("synced", 0) <= 100
    assert set(states) == {"queued"}
    assert people.all("SELECT * FROM crm_syncs WHERE state = 'queued' AND attempts > 0") == []
    gate = GateKeeper(engine, "hubspot").read()
    assert gate.paused
    finding = alert_on(engine, "hubspot")
    assert finding is not None
    assert finding.key == "hubspot.gate.allowance"
    assert reason in finding.reasons()[0].text
    before = len(hubspot.requests())
    pipeline.run()
    assert len(hubspot.requests()) == before


def test_the_fidelity_check_reads_a_hundred_contacts_in_one_request_and_finds_what_was_changed_there(
    people: People, pipeline: Pipeline, hubspot: HubSpotSandbox, engine: sa.Engine
) -> None:
    people.add(100)
    since = people.now()
    pipeline.run()
    for one in hubspot.contacts()[:10]:
        hubspot.seed({"email": one["properties"]["email"], "firstname": "Changed"})
    before = len(hubspot.requests(path="/batch/read$"))
    with open_account(load_settings(), "hubspot", engine) as account:
        reader = account.fidelity_reader()
        assert reader is not None
        found = reader.read(since, 100)
    assert (found.compared, found.unread) == (100, 0)
    assert len(hubspot.requests(path="/batch/read$")) - before == 1
    assert (found.percent("email"), found.percent("firstname")) == (100, 90)
    assert found.low == ["firstname"]


def test_one_request_of_the_fidelity_check_that_fails_is_one_failure_and_the_check_goes_on(
    people: People, pipeline: Pipeline, hubspot: HubSpotSandbox, engine: sa.Engine
) -> None:
    people.add(200)
    since = people.now()
    pipeline.run()
    hubspot.fault("status", path="/batch/read$", status=503, times=1)
    with open_account(load_settings(), "hubspot", engine) as account:
        reader = account.fidelity_reader()
        assert reader is not None
        found = reader.read(since, 200)
    assert (found.compared, found.unread, found.halted) == (100, 100, None)


def test_suspects_go_alone_so_a_run_takes_only_as_many_as_it_has_time_for_requests(
    people: People, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    suspects = people.add(30)
    people.run("UPDATE crm_syncs SET crashes = 1 WHERE contact_id = ANY (:ids)", ids=suspects)
    # Time for 31 requests: each of them may need a look, a write, and one for the list.
    monkeypatch.setattr(ops, "sending_budget", lambda _: timedelta(seconds=31 / 500))
    assert pipeline.run().counts == {"claimed": 10, "synced": 10}
    people.add(150)
    assert pipeline.run().counts == {"claimed": 160, "synced": 160}


def test_who_was_once_given_the_address_of_another_contact_is_not_written_over_that_one(
    people: People, pipeline: Pipeline, hubspot: HubSpotSandbox
) -> None:
    [holder] = people.add(email="x@example.com", name="Ada Holder")
    pipeline.run()
    people.run("UPDATE crm_contacts SET email = 'y@example.com' WHERE id = :id", id=holder)
    people.run("UPDATE crm_syncs SET run_at = now() + interval '1 hour' WHERE contact_id = :id", id=holder)
    [other] = people.add(email="x@example.com", name="Grace Other")
    pipeline.run()
    people.run("UPDATE crm_contacts SET email = 'z@example.com' WHERE id = :id", id=other)
    people.run("UPDATE crm_syncs SET run_at = now() WHERE contact_id = :id", id=other)
    # As a former version noted it, though it was never sent under that address.
    people.run("UPDATE crm_syncs SET maybe_keys = ARRAY['x@example.com'] WHERE contact_id = :id", id=other)
    pipeline.run()
    assert people.sync(other)["state"] == "synced"
    assert people.sync(other)["remote_id"] != people.sync(holder)["remote_id"]
    held = hubspot.contact("x@example.com")
    assert held is not None
    assert held["firstname"] == "Ada"


@pytest.mark.parametrize("first_try", ["was lost", "came to nothing", "was not made"])
def test_an_address_that_was_never_sent_finds_nobody(
    people: People, pipeline: Pipeline, hubspot: HubSpotSandbox, first_try: str
) -> None:
    [stranger] = hubspot.seed({"email": "boss@example.com", "firstname": "Bianca"})
    [contact] = people.add(email="first@example.com", name="Ada")
    if first_try == "was not made":
        people.run("UPDATE crm_syncs SET claim_no = 1")  # claimed, and given back
        people.run("UPDATE crm_contacts SET email = 'boss@example.com'")
    else:
        hubspot.fault("reset_after" if first_try == "was lost" else "reset_before", path=WRITES, times=1)
        pipeline.run()
        people.run("UPDATE crm_contacts SET email = 'boss@example.com'")
    people.run("UPDATE crm_contacts SET email = 'last@example.com'")
    people.make_due()
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    held = {one["properties"]["email"]: (one["id"], one["properties"]["firstname"]) for one in hubspot.contacts()}
    assert held.pop("boss@example.com") == (str(stranger), "Bianca")
    assert held == {"last@example.com": (people.sync(contact)["remote_id"], "Ada")}
