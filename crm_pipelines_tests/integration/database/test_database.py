"""The connection to the contacts database and its migrations."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic import command

from crm_pipelines.database import connecting, migrating
from crm_pipelines.database.connection_problems import DatabaseUnreachable
from crm_pipelines.database.migrating import SchemaOutdated, TablesInUse
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.patience import PATIENCE, wait_until


def test_an_upgrade_creates_the_tables_and_repeating_it_changes_nothing(empty_database_url: str) -> None:
    assert migrating.upgrade(empty_database_url)[0] == "0001"
    assert migrating.upgrade(empty_database_url) == []


def test_tables_of_a_newer_version_are_left_as_they_are_and_can_be_used(people: People) -> None:
    with people.engine.begin() as connection:
        connection.execute(sa.text("UPDATE crm_pipelines_migration SET version_num = '9999'"))
    assert migrating.upgrade(people.engine.url.render_as_string(hide_password=False)) == []
    migrating.require_current_schema(people.engine)


def test_two_upgrades_at_once_wait_for_each_other(empty_database_url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        applied = list(pool.map(lambda _: migrating.upgrade(empty_database_url), range(2)))
    assert sorted(map(len, applied))[0] == 0


def upgrade_to(url: str, revision: str) -> None:
    """The tables of a former version."""
    engine = connecting.create_engine(url)
    with engine.connect() as connection:
        config = migrating._config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
    engine.dispose()


@pytest.mark.parametrize("revision", ["0008", "0013", "0016", "0019", "0021"])
def test_while_an_upgrade_waits_for_somebodys_transaction_the_statements_of_others_go_on(
    empty_database_url: str, revision: str
) -> None:
    upgrade_to(empty_database_url, revision)
    people = People(connecting.create_engine(empty_database_url))
    held, other = people.add(2)
    waiting = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "AND application_name = 'crm-pipelines db upgrade'"
    )
    with ThreadPoolExecutor(1) as pool, people.engine.connect() as somebody:
        somebody.execute(sa.text("UPDATE crm_contacts SET name = 'Held' WHERE id = :id"), {"id": held})
        upgrading = pool.submit(migrating.upgrade, empty_database_url)
        try:
            wait_until(lambda: people.all(waiting), "the upgrade waits for the transaction", poll_seconds=0.01)
            with people.engine.begin() as connection:
                connection.execute(sa.text(f"SET LOCAL statement_timeout = '{PATIENCE / 5}s'"))
                connection.execute(sa.text("SELECT crm_select('brevo', ARRAY[CAST(:id AS uuid)])"), {"id": other})
                connection.execute(sa.text("UPDATE crm_contacts SET name = 'Free' WHERE id = :id"), {"id": other})
            assert not upgrading.done()
        finally:
            somebody.rollback()
        assert upgrading.result(PATIENCE)
    migrating.require_current_schema(people.engine)
    people.engine.dispose()


def test_an_index_whose_building_was_broken_off_is_built_anew(empty_database_url: str) -> None:
    upgrade_to(empty_database_url, "0013")
    people = People(connecting.create_engine(empty_database_url))
    people.run("CREATE INDEX crm_contacts_edited_idx ON crm_contacts (updated_at)")
    people.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'crm_contacts_edited_idx'::regclass")
    migrating.upgrade(empty_database_url)
    valid = "SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = 'crm_contacts_edited_idx'::regclass"
    assert people.all(valid) == [{"valid": True}]
    people.engine.dispose()


@pytest.mark.parametrize("index", ["crm_syncs_mapping_idx", "crm_contacts_search_idx"])
def test_an_upgrade_that_died_while_it_built_an_index_is_repeated(empty_database_url: str, index: str) -> None:
    upgrade_to(empty_database_url, "0029")
    people = People(connecting.create_engine(empty_database_url))
    people.run("UPDATE crm_pipelines_migration SET version_num = '0028'")
    people.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = CAST(:index AS regclass)", index=index)
    migrating.upgrade(empty_database_url)
    valid = "SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = CAST(:index AS regclass)"
    assert people.all(valid, index=index) == [{"valid": True}]
    people.engine.dispose()


def test_an_upgrade_that_never_gets_its_locks_says_what_to_do(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "_PATIENCE_SECONDS", 0)
    upgrade_to(empty_database_url, "0008")
    people = People(connecting.create_engine(empty_database_url))
    with people.engine.connect() as somebody:
        somebody.execute(sa.text("LOCK TABLE crm_syncs"))
        with pytest.raises(TablesInUse, match="Somebody's transaction"):
            migrating.upgrade(empty_database_url)
    people.engine.dispose()


def test_what_an_empty_database_lacks_is_said_with_the_command_that_adds_it(empty_database_url: str) -> None:
    engine = connecting.create_engine(empty_database_url)
    try:
        with pytest.raises(SchemaOutdated, match=r"lacks the tables of crm-pipelines\..*crm-pipelines db upgrade"):
            migrating.require_current_schema(engine)
    finally:
        engine.dispose()


@pytest.mark.parametrize(("at", "lacks"), [("0031", "migration 0032"), ("0026", "migrations 0027 to 0032")])
def test_a_missing_migration_is_named_with_the_command_that_adds_it(engine: sa.Engine, at: str, lacks: str) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE crm_pipelines_migration SET version_num = :at"), {"at": at})
    with pytest.raises(SchemaOutdated, match=f"lacks {lacks}\\. Run `crm-pipelines db upgrade`"):
        migrating.require_current_schema(engine)


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    url = "postgresql+psycopg://somebody:s3cret@127.0.0.1:1/contacts"
    with pytest.raises(DatabaseUnreachable, match=r"127\.0\.0\.1:1/contacts") as refused:
        migrating.upgrade(url)
    assert "s3cret" not in str(refused.value)


def test_a_database_error_quotes_no_row(people: People) -> None:
    people.add(email="zebedee@example.com", name="Zebedee")
    with pytest.raises(sa.exc.IntegrityError) as refused:
        people.add(email="zebedee@example.com", name="Quux")
    text = f"{refused.value} {refused.value.orig}"
    assert "crm_contacts_email_key" in text
    for value in ("zebedee", "Zebedee", "Quux"):
        assert value not in text


@pytest.mark.parametrize("delivered", [True, False])
def test_the_migration_takes_as_settled_where_something_was_delivered(empty_database_url: str, delivered: bool) -> None:
    url = empty_database_url
    upgrade_to(url, "0026")
    engine = connecting.create_engine(url)
    people = People(engine)
    people.add()
    people.run("UPDATE crm_gates SET account = 'ours'")
    if delivered:
        people.run("UPDATE crm_syncs SET state = 'synced', synced_revision = revision, synced_at = now()")
    migrating.upgrade(url)
    gates = {crm: GateKeeper(engine, crm).read().accepts("mapping-1") for crm in ("brevo", "hubspot")}
    engine.dispose()
    assert gates == {"brevo": delivered, "hubspot": False}
