"""Contacts that were delivered with another mapping: they are counted, and exactly those are queued for it."""

from uuid import UUID

import pytest
import sqlalchemy as sa

from crm_pipelines.contacts import stale
from crm_pipelines.contacts.selection import Who, select
from crm_pipelines.contacts.stale import count_stale, stale_in_words
from crm_pipelines.database.sql import load_statements
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline

NOW = "5555"


@pytest.fixture
def delivered(people: People) -> dict[str, UUID]:
    """Contacts by the mapping that they were sent with, on both sides of the present one."""
    named = dict(zip(("older", "newer", "present", "unknown", "failed"), people.add(5), strict=True))
    people.run("UPDATE crm_syncs SET state = 'synced', synced_revision = revision, mapping_version = :now", now=NOW)
    for name, version in (("older", "1111"), ("newer", "9999"), ("unknown", None)):
        people.run("UPDATE crm_syncs SET mapping_version = :v WHERE contact_id = :id", v=version, id=named[name])
    people.run(
        "UPDATE crm_syncs SET state = 'failed', last_error_kind = 'outage', mapping_version = '1111' "
        "WHERE contact_id = :id",
        id=named["failed"],
    )
    return named


def test_those_of_another_mapping_are_counted_and_queued_and_nobody_else(
    people: People, delivered: dict[str, UUID]
) -> None:
    assert count_stale(people.engine, "brevo", NOW) == 2
    done = select(people.engine, "brevo", Who(stale=NOW))
    assert done.selected == 2
    queued = people.all("SELECT contact_id FROM crm_syncs WHERE state = 'queued'")
    assert {row["contact_id"] for row in queued} == {delivered["older"], delivered["newer"]}
    assert count_stale(people.engine, "brevo", NOW) == 0
    assert count_stale(people.engine, "hubspot", NOW) == 0


def test_they_are_counted_up_to_a_number_and_told_in_a_sentence(
    people: People, delivered: dict[str, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert delivered
    again = "`crm-pipelines contacts select brevo --stale` sends"
    assert stale_in_words("brevo", 0) == ""
    assert stale_in_words("brevo", 1) == f"1 delivered contact was sent with another mapping. {again} it again."
    assert stale_in_words("brevo", 2) == f"2 delivered contacts were sent with another mapping. {again} them again."
    monkeypatch.setattr(stale, "MOST_COUNTED", 1)
    assert count_stale(people.engine, "brevo", NOW) == 2, "one more, so that it can be told"
    assert stale_in_words("brevo", 2).startswith("More than 1 delivered contacts were sent with another mapping.")


def test_among_many_of_the_present_mapping_they_are_found_by_an_index(people: People) -> None:
    people.run("INSERT INTO crm_contacts (email) SELECT 'p' || n || '@example.com' FROM generate_series(1, 3000) n")
    people.run(
        "INSERT INTO crm_syncs (contact_id, crm, state, contact_revision, synced_revision, mapping_version) "
        "SELECT id, 'brevo', 'synced', 1, 1, :now FROM crm_contacts",
        now=NOW,
    )
    people.run("ANALYZE crm_syncs")
    statement = load_statements("contacts/selection")["count_stale"]
    with people.engine.connect() as connection:
        plan = connection.execute(
            sa.text(f"EXPLAIN {statement.text}"), {"crm": "brevo", "stale": NOW, "most": 10}
        ).scalars()
        assert "crm_syncs_mapping_idx" in "\n".join(plan)


def test_a_run_notes_the_mapping_and_says_who_was_sent_with_another_one(people: People, pipeline: Pipeline) -> None:
    people.add(3)
    assert pipeline.run().success
    [row] = people.all("SELECT DISTINCT mapping_version FROM crm_syncs")
    assert count_stale(people.engine, "brevo", row["mapping_version"]) == 0
    people.run("UPDATE crm_syncs SET mapping_version = 'former'")
    assert pipeline.run().success
    [run, _] = pipeline.instance.get_runs()
    told = [record.message for record in pipeline.instance.all_logs(run.run_id)]
    assert stale_in_words("brevo", 3) in told
