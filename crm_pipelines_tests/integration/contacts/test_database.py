"""The connection to the contacts database and its migrations."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from crm_pipelines.contacts import database
from crm_pipelines.contacts.database import DatabaseUnreachable, SchemaOutdated
from crm_pipelines_tests.fixtures.people import People


def test_an_upgrade_creates_the_tables_and_repeating_it_changes_nothing(empty_database_url: str) -> None:
    assert database.upgrade(empty_database_url)[0] == "0001"
    assert database.upgrade(empty_database_url) == []


def test_tables_of_a_newer_version_are_left_as_they_are_and_can_be_used(people: People) -> None:
    with people.engine.begin() as connection:
        connection.execute(sa.text("UPDATE crm_pipelines_migration SET version_num = '9999'"))
    assert database.upgrade(people.engine.url.render_as_string(hide_password=False)) == []
    database.require_current_schema(people.engine)


def test_two_upgrades_at_once_wait_for_each_other(empty_database_url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        applied = list(pool.map(lambda _: database.upgrade(empty_database_url), range(2)))
    assert sorted(map(len, applied))[0] == 0


def test_a_missing_migration_is_named_with_the_command_that_adds_it(empty_database_url: str) -> None:
    engine = database.create_engine(empty_database_url)
    try:
        with pytest.raises(SchemaOutdated, match=r"0001.*crm-pipelines db upgrade"):
            database.require_current_schema(engine)
    finally:
        engine.dispose()


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    url = "postgresql+psycopg://somebody:s3cret@127.0.0.1:1/contacts"
    with pytest.raises(DatabaseUnreachable, match=r"127\.0\.0\.1:1/contacts") as refused:
        database.upgrade(url)
    assert "s3cret" not in str(refused.value)


def test_a_database_error_quotes_no_row(people: People) -> None:
    people.add(email="zebedee@example.com", name="Zebedee")
    with pytest.raises(sa.exc.IntegrityError) as refused:
        people.add(email="zebedee@example.com", name="Quux")
    text = f"{refused.value} {refused.value.orig}"
    assert "crm_contacts_email_key" in text
    for value in ("zebedee", "Zebedee", "Quux"):
        assert value not in text
