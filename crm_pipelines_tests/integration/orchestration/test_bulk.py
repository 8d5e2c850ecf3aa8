"""Bulk imports: what is Complete was seen at the CRM, and whatever becomes of an import, its contacts get on."""

from typing import Any

import pytest

from crm_pipelines.delivery import planning
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox


@pytest.fixture(autouse=True)
def _small_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREVO_BULK_THRESHOLD", "20")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run looks once at what it has sent, and waits no longer."""
    monkeypatch.setattr(planning, "IMPORT_PATIENCE", planning.timedelta())


def add(people: People, count: int, **columns: Any) -> None:
    """Many contacts by one statement, queued."""
    names = "".join(f", {name}" for name in columns)
    values = "".join(f", :{name}" for name in columns)
    people.run(
        f"INSERT INTO crm_contacts (email, name{names}) "
        f"SELECT 'bulk' || n || '@example.com', 'Ada Lovelace ' || n{values} FROM generate_series(1, :count) n",
        count=count,
        **columns,
    )
    people.run("SELECT crm_select('brevo', array_agg(id)) FROM crm_contacts")


def poll_again(people: People) -> None:
    """Let the time between two looks at the CRM's imports be over."""
    people.run("UPDATE crm_gates SET next_poll_at = now()")


def imports(people: People) -> list[tuple[str, str | None]]:
    rows = people.all("SELECT state, ended_as FROM crm_bulk_imports ORDER BY created_at")
    return [(row["state"], row["ended_as"]) for row in rows]


def test_5000_contacts_arrive_by_import_and_each_was_seen(
    people: People, pipeline: Pipeline, brevo_sandbox: BrevoSandbox
) -> None:
    add(people, 5000)
    run = pipeline.run()
    assert run.success, run.problem
    assert run.counts == {"claimed": 5000, "synced": 5000}
    assert people.states() == {"synced": 5000}
    assert len(brevo_sandbox.requests(method="POST", path="/contacts/import")) == 1
    assert brevo_sandbox.requests(method="POST", path="/contacts$") == []
    assert len(brevo_sandbox.requests(path="/processes")) == 1
    assert {one["email"] for one in brevo_sandbox.contacts()} == {
        row["email"] for row in people.all("SELECT email FROM crm_contacts")
    }
    [row] = people.all(
        "SELECT count(*) AS n, count(remote_id) AS ids, count(payload_hash) AS hashes, count(last_attempt_at) AS attempts "
        "FROM crm_syncs WHERE remote_key IS NOT NULL AND sent_attributes @> '{FIRSTNAME,LASTNAME}'"
    )
    assert row == {"n": 5000, "ids": 5000, "hashes": 5000, "attempts": 5000}
    assert people.all("SELECT count(*) AS n FROM crm_bulk_rows") == [{"n": 0}]
    assert imports(people) == [("ended", "proved")]
    [check] = run.result.get_asset_check_evaluations()
    assert check.passed
    people.run("SELECT crm_select('brevo', array_agg(contact_id)) FROM crm_syncs")
    assert pipeline.run().counts["claimed"] == 5000, "a second import uses the list that the first one made"
    assert [one["name"] for one in brevo_sandbox.state()["lists"]] == ["Your first list", "crm-pipelines"]
