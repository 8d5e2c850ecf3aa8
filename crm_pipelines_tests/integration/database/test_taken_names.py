"""A database in which somebody else has names that we need: told in a sentence, before anything is made there."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from crm_pipelines.database import connecting, migrating
from crm_pipelines.database.taken_names import NamesTaken
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.integration.database.test_database import upgrade_to
from crm_pipelines_tests.patience import PATIENCE

_RELATIONS = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY relname"


@pytest.fixture
def theirs(empty_database_url: str) -> Iterator[People]:
    """The database as somebody else uses it."""
    engine = connecting.create_engine(empty_database_url)
    yield People(engine)
    engine.dispose()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("CREATE TABLE contacts (id int)", "a table contacts in"),
        ("CREATE VIEW contacts AS SELECT 1 AS id", "a view contacts in"),
        ("CREATE MATERIALIZED VIEW crm_gates AS SELECT 1 AS id", "a materialized view crm_gates in"),
        ("CREATE TYPE crm_syncs AS ENUM ('a')", "a type crm_syncs in"),
        ("CREATE SEQUENCE crm_contacts", "a sequence crm_contacts in"),
        ("CREATE TABLE t (id int); CREATE INDEX crm_syncs_due_idx ON t (id)", "an index crm_syncs_due_idx in"),
        (
            "CREATE FUNCTION contacts_insert(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
            "a function contacts_insert in",
        ),
        ("CREATE TABLE contacts (id int); CREATE TABLE crm_tokens (id int)", "a table contacts and 1 other name that"),
    ],
)
def test_nothing_is_made_where_a_name_of_ours_is_somebody_elses(
    empty_database_url: str, theirs: People, made: str, said: str
) -> None:
    theirs.run(made)
    before = theirs.all(_RELATIONS)
    with pytest.raises(NamesTaken) as refused:
        migrating.upgrade(empty_database_url)
    assert f"The database already has {said}" in str(refused.value)
    assert "in the schema public, not made by crm-pipelines, so nothing was created" in str(refused.value)
    assert theirs.all(_RELATIONS) == before


def test_the_command_says_it_in_one_sentence(empty_database_url: str, theirs: People) -> None:
    theirs.run("CREATE TABLE contacts (id int)")
    done = subprocess.run(
        [sys.executable, "-m", "crm_pipelines", "db", "upgrade"],
        env=os.environ | {"CRM_DATABASE_URL": empty_database_url},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert "already has a table contacts in the schema public" in done.stderr


def test_names_in_another_schema_are_in_nobodys_way(empty_database_url: str, theirs: People) -> None:
    theirs.run("CREATE SCHEMA theirs; CREATE TABLE theirs.contacts (id int)")
    assert migrating.upgrade(empty_database_url)


def test_beside_somebody_elses_contacts_a_schema_of_ones_own_takes_ours(
    empty_database_url: str, theirs: People
) -> None:
    theirs.run("CREATE TABLE contacts (id int); CREATE SCHEMA crm")
    assert migrating.upgrade(f"{empty_database_url}?options=-csearch_path%3Dcrm")


@pytest.mark.parametrize("revision", ["0001", "0013", "0018"])
def test_what_former_migrations_made_is_ours(empty_database_url: str, revision: str) -> None:
    upgrade_to(empty_database_url, revision)
    assert migrating.upgrade(empty_database_url)


def test_an_upgrade_that_found_a_name_taken_in_its_midst_says_it_and_goes_on_once_the_name_is_free(
    empty_database_url: str, theirs: People
) -> None:
    upgrade_to(empty_database_url, "0001")
    theirs.run("CREATE TABLE contacts (id int)")
    with pytest.raises(NamesTaken, match="so nothing more was created"):
        migrating.upgrade(empty_database_url)
    theirs.run("ALTER TABLE contacts RENAME TO addresses")
    assert migrating.upgrade(empty_database_url)[0] == "0002"
