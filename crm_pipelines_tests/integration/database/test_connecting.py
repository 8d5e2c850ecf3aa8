"""The contacts database directly, behind a pooler, in a schema of its own; what is said when it cannot be reached."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from crm_pipelines.database import connecting, connection_problems, migrating
from crm_pipelines.database.connecting import Connector, make_engine
from crm_pipelines.database.connection_problems import DatabaseUnreachable
from crm_pipelines.database.migrating import PoolerInTheWay
from crm_pipelines.database.retrying import is_passing, with_retries
from crm_pipelines.files import import_contacts
from crm_pipelines.local.databases import dagster_storage_url
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.poolers import error_message, has_pgbouncer, pgbouncer, pooler, refusing

PASSWORD = "zebra-quux"
_AS_PGBOUNCER = "unsupported startup parameter: options"
_AS_NEON = "unsupported startup parameter in options: statement_timeout"
_AS_RDS = "Feature not supported: RDS Proxy currently doesn't support command-line options."


def problem(url: sa.URL | str) -> str:
    text = url if isinstance(url, str) else url.render_as_string(hide_password=False)
    with pytest.raises(DatabaseUnreachable) as refused:
        migrating.upgrade(text)
    said = str(refused.value)
    assert PASSWORD not in said
    assert said.startswith("The contacts database at ")
    assert said.count("\n") == 0
    return said


@pytest.fixture
def url(database_url: str) -> sa.URL:
    return sa.make_url(database_url)


@pytest.fixture
def role(url: sa.URL, engine: sa.Engine) -> Iterator[Callable[[str], sa.URL]]:
    """A role with these attributes, as a URL of the database."""
    name = f"somebody_{secrets.token_hex(4)}"

    def made(attributes: str) -> sa.URL:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE ROLE {name} {attributes} PASSWORD '{PASSWORD}'")
        return url.set(username=name, password=PASSWORD)

    yield made
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP ROLE IF EXISTS {name}")


def test_the_part_that_is_wrong_is_named(url: sa.URL, tmp_path: Path) -> None:
    query = url.update_query_dict
    assert "does not take this password" in problem(url.set(password=PASSWORD))
    assert "knows no such role" in problem(url.set(username="nobody_here", password=PASSWORD))
    assert "asks for a password, and CRM_DATABASE_URL has none" in problem(url._replace(password=None))
    assert "/nowhere does not exist: the server answers" in problem(url.set(database="nowhere"))
    assert "nothing listens at that port" in problem(url.set(port=1))
    assert "name cannot be resolved" in problem(url.set(host="no-such-host.invalid"))
    assert "no socket there" in problem(url.set(host=None, port=None).update_query_dict({"host": str(tmp_path)}))
    assert "has no TLS, which sslmode in CRM_DATABASE_URL demands" in problem(query({"sslmode": "require"}))
    assert "a parameter in CRM_DATABASE_URL is unknown" in problem(query({"sslmode": "strictly"}))
    assert "a parameter in CRM_DATABASE_URL is unknown" in problem(query({"pool_mode": "session"}))
    assert "does not take a setting in `options`" in problem(query({"options": "-cno_such_setting=1"}))
    assert "target_session_attrs" in problem(query({"target_session_attrs": "standby"}))
    assert "has no schema of the name in search_path" in problem(query({"options": "-csearch_path=nowhere"}))


def test_a_role_that_may_not_is_told_so(role: Callable[[str], sa.URL]) -> None:
    assert "does not let this role log in" in problem(role("NOLOGIN"))


def test_a_role_without_a_connection_left_is_told_so(role: Callable[[str], sa.URL]) -> None:
    assert "has no connection left for us" in problem(role("LOGIN CONNECTION LIMIT 0"))


def test_a_role_that_may_not_connect_to_the_database_is_told_so(
    role: Callable[[str], sa.URL], engine: sa.Engine
) -> None:
    somebody = role("LOGIN")
    with engine.begin() as connection:
        connection.exec_driver_sql(f'REVOKE CONNECT ON DATABASE "{somebody.database}" FROM PUBLIC')
    try:
        assert "may not be used by this role" in problem(somebody)
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f'GRANT CONNECT ON DATABASE "{somebody.database}" TO PUBLIC')


def test_a_role_that_may_not_migrate_is_told_so(empty_database_url: str, role: Callable[[str], sa.URL]) -> None:
    somebody = role("LOGIN").set(database=sa.make_url(empty_database_url).database)
    assert "a right that it needs" in problem(somebody)


SAID = [
    ("57P03", "the database system is starting up", "is starting, stopping or recovering"),
    ("57P03", "the database system is shutting down", "is starting, stopping or recovering"),
    ("57P03", "the database system is in recovery mode", "is starting, stopping or recovering"),
    ("57P03", "the database system is not yet accepting connections", "is starting, stopping or recovering"),
    ("53300", "sorry, too many clients already", "has no connection left"),
    (
        "53300",
        "remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "has no connection left",
    ),
    ("08P01", "no more connections allowed (max_client_conn)", "has no connection left"),
    ("XX000", "MaxClientsInSessionMode: max clients reached", "has no connection left"),
    (
        "28000",
        'no pg_hba.conf entry for host "10.0.0.1", user "u", database "d", no encryption',
        "encrypted connections",
    ),
    ("28000", 'no pg_hba.conf entry for host "10.0.0.1", user "u", database "d", SSL encryption', "pg_hba.conf"),
    ("28000", 'pg_hba.conf rejects connection for host "10.0.0.1", user "u"', "pg_hba.conf"),
    ("28000", "connection is insecure (try using `sslmode=require`)", "encrypted connections"),
    ("08P01", "SSL required", "encrypted connections"),
    ("28000", 'role "somebody" does not exist', "knows no such role"),
    ("28000", 'Peer authentication failed for user "u"', "user of the operating system"),
    ("08P01", "no such user: u", "knows no such role"),
    ("08P01", "no such database: d", "does not exist: the server answers"),
    ("XX000", "Tenant or user not found", "does not know this project or user"),
    ("XX000", "Endpoint ID is not specified. Either please upgrade the client library", "does not know this project"),
    ("08P01", "query_wait_timeout", "gets no connection to Postgres itself"),
    ("08P01", "server login failed: FATAL x", "gets no connection to Postgres itself"),
    ("08P01", "unsupported startup parameter: extra_float_digits", "refuses a start-up parameter"),
    ("55000", 'database "d" is not currently accepting connections', "takes no connections"),
    ("XX000", "Etwas ganz anderes", "cannot be used. It says: Etwas ganz anderes. Check"),
    ("XX000", f"the password {PASSWORD} is too old", "It says: the password … is too old. Check"),
]


@pytest.mark.parametrize(("sqlstate", "said", "told"), SAID, ids=[said for _, said, _ in SAID])
def test_what_a_server_or_a_pooler_says_becomes_what_to_do(sqlstate: str, said: str, told: str) -> None:
    with refusing(error_message(said, sqlstate)) as port:
        assert told in problem(f"postgresql+psycopg://u:{PASSWORD}@127.0.0.1:{port}/d?sslmode=disable")


def test_what_is_no_postgres_or_hangs_up_is_told() -> None:
    with refusing(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert "something else than Postgres" in problem(f"postgresql+psycopg://u:p@127.0.0.1:{port}/d")
    with refusing(b"") as port:
        assert "ended the connection" in problem(f"postgresql+psycopg://u:p@127.0.0.1:{port}/d")


def test_of_several_hosts_the_one_that_takes_us_is_used(url: sa.URL) -> None:
    both = url.set(host=None, port=None).update_query_dict({"host": "127.0.0.1,127.0.0.1", "port": f"1,{url.port}"})
    assert migrating.upgrade(both.render_as_string(hide_password=False)) == []
    wrong = both.set(password=PASSWORD)
    assert "does not take this password" in problem(wrong)


def shown(connection: sa.Connection, *names: str) -> list[str]:
    return [connection.execute(sa.text(f"SHOW {name}")).scalar_one() for name in names]


_HELD = ("statement_timeout", "idle_in_transaction_session_timeout", "timezone")


def test_what_the_url_says_wins(url: sa.URL) -> None:
    given = url.update_query_dict(
        {"options": "-cstatement_timeout=5s -c geqo=off", "application_name": "mine", "connect_timeout": "3"}
    )
    engine = connecting.create_engine(given.render_as_string(hide_password=False))
    with engine.connect() as connection:
        assert shown(connection, *_HELD) == ["5s", "1min", "UTC"]
        assert shown(connection, "geqo", "application_name") == ["off", "mine"]
    engine.dispose()


@pytest.mark.parametrize("refuses", [_AS_PGBOUNCER, _AS_NEON, _AS_RDS, None])
def test_behind_a_pooler_the_settings_hold_in_every_transaction_and_in_no_session(
    url: sa.URL, refuses: str | None
) -> None:
    given = url.update_query_dict({"options": "-cgeqo=off"})
    with pooler(given, refuses=refuses) as behind:
        connector = Connector(behind, {})
        engine = make_engine(connector, 5, "test")
        with engine.connect() as connection:
            for _ in range(2):
                assert shown(connection, *_HELD, "geqo") == ["1min", "1min", "UTC", "off"]
                connection.commit()  # what was set for the session would stay
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.autocommit = True
            assert driver.execute("SHOW statement_timeout").fetchone() == ("0",)
            assert driver.prepare_threshold is None
        engine.dispose()
        assert connector.pooled


def test_a_direct_connection_has_them_from_its_start(url: sa.URL) -> None:
    connector = Connector(url, {})
    engine = make_engine(connector, 5, "test")
    with engine.connect() as connection:
        assert shown(connection, *_HELD) == ["1min", "1min", "UTC"]
        connection.rollback()
        assert shown(connection, *_HELD) == ["1min", "1min", "UTC"]
    engine.dispose()
    assert not connector.pooled


_MODES = ["pool_mode = transaction", "pool_mode = session\nignore_startup_parameters = options"]


def behind_pgbouncer(mode: str) -> Callable[[sa.URL], AbstractContextManager[sa.URL]]:
    return lambda url: pgbouncer(url, mode, "default_pool_size = 3")


@pytest.mark.parametrize("mode", _MODES)
@pytest.mark.skipif(not has_pgbouncer(), reason="PgBouncer is not installed")
def test_migrations_imports_and_deliveries_work_behind_pgbouncer(
    empty_database_url: str, mode: str, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with behind_pgbouncer(mode)(sa.make_url(empty_database_url)) as behind:
        text = behind.render_as_string(hide_password=False)
        assert migrating.upgrade(text)[0] == "0001"
        assert migrating.upgrade(text) == []
        monkeypatch.setenv("CRM_DATABASE_URL", text)
        engine = connecting.create_engine(text)
        file = tmp_path / "contacts.csv"
        file.write_text("email\n" + "".join(f"p{number}@example.com\n" for number in range(12_000)), encoding="utf-8")
        assert import_contacts(engine, file).added == 12_000
        few = People(engine)
        few.run("SELECT crm_select('brevo', array_agg(id)) FROM contacts WHERE email LIKE 'p1_@example.com'")
        assert pipeline.run().counts == {"claimed": 10, "synced": 10}
        engine.dispose()
        direct = connecting.create_engine(empty_database_url)
        left = (
            "SELECT count(*) AS n FROM pg_locks JOIN pg_database d ON d.oid = database "
            "WHERE locktype = 'advisory' AND datname = current_database()"
        )
        assert People(direct).all(left) == [{"n": 0}]
        direct.dispose()


def test_a_schema_of_ones_own_holds_everything(
    empty_database_url: str, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = sa.create_engine(empty_database_url)
    with plain.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA crm")
    given = sa.make_url(empty_database_url).update_query_dict({"options": "-csearch_path=crm"})
    text = given.render_as_string(hide_password=False)
    assert migrating.upgrade(text)[0] == "0001"
    assert migrating.upgrade(text) == []
    monkeypatch.setenv("CRM_DATABASE_URL", text)
    engine = connecting.create_engine(text)
    migrating.require_current_schema(engine)
    file = tmp_path / "contacts.csv"
    file.write_text("email,name\nada@example.com,Ada\n", encoding="utf-8")
    assert import_contacts(engine, file, select=["brevo"]).added == 1
    mine = People(engine)
    assert pipeline.run().counts == {"claimed": 1, "synced": 1}
    mine.run("UPDATE contacts SET name = 'Ada King'")
    mine.run("SELECT crm_upsert_contact('b@example.com', select_for => ARRAY['brevo'])")
    assert pipeline.run().counts == {"claimed": 2, "synced": 2}
    mine.run("SELECT crm_suppress('brevo', array_agg(id)) FROM contacts")
    mine.run("DELETE FROM contacts")
    elsewhere = (
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    )
    assert mine.all(elsewhere) == []
    storage = sa.make_url(dagster_storage_url(load_settings(), text))
    assert "search_path" not in str(storage.query)
    engine.dispose()
    plain.dispose()


def test_migrations_into_a_schema_of_the_url_are_not_made_behind_a_pooler(empty_database_url: str) -> None:
    plain = sa.make_url(empty_database_url)
    with pooler(plain, refuses=_AS_PGBOUNCER) as behind:
        given = behind.update_query_dict({"options": "-csearch_path=public"})
        with pytest.raises(PoolerInTheWay, match="leads to Postgres directly"):
            migrating.upgrade(given.render_as_string(hide_password=False))
        assert migrating.upgrade(behind.render_as_string(hide_password=False))[0] == "0001"
        assert migrating.upgrade(given.render_as_string(hide_password=False)) == []


def test_where_no_writes_are_taken_the_connection_is_given_up_and_the_next_one_goes_on(
    people: People, engine: sa.Engine, database_url: str
) -> None:
    name = engine.url.database
    change = "INSERT INTO contacts (email) VALUES ('ada@example.com')"
    people.run(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    engine.dispose()
    try:
        with pytest.raises(sa.exc.DBAPIError) as refused:
            people.run(change)
        assert refused.value.connection_invalidated
        assert is_passing(refused.value)
        assert "is read-only: a standby" in (connection_problems.connection_problem(refused.value, engine.url) or "")
    finally:
        other = sa.create_engine(database_url, isolation_level="AUTOCOMMIT")
        with other.connect() as connection:
            connection.exec_driver_sql("SET default_transaction_read_only = off")
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        other.dispose()
    assert people.run(change) == 1


@pytest.mark.parametrize("setting", ["datestyle = 'German, DMY'", "intervalstyle = 'iso_8601'", "array_nulls = off"])
@pytest.mark.usefixtures("brevo_sandbox")
def test_a_database_that_writes_values_in_its_own_style_is_read_all_the_same(
    people: People, pipeline: Pipeline, engine: sa.Engine, setting: str
) -> None:
    people.run(f'ALTER DATABASE "{engine.url.database}" SET {setting}')
    engine.dispose()
    people.add(3)
    with engine.connect() as connection:
        nothing = connection.execute(sa.text("SELECT CAST(:texts AS text[])"), {"texts": ["a", None]}).scalar_one()
    assert nothing == ["a", None]
    run = pipeline.run()
    assert run.success, run.problem
    assert run.counts == {"claimed": 3, "synced": 3}


def test_what_went_wrong_with_a_statement_is_no_matter_of_the_connection(people: People, engine: sa.Engine) -> None:
    for statement in ("SELECT 1/0", "SELECT nothing", "SET LOCAL statement_timeout = 1; SELECT pg_sleep(60)"):
        with pytest.raises(sa.exc.DBAPIError) as refused:
            people.run(statement)
        assert connection_problems.connection_problem(refused.value, engine.url) is None


def test_what_a_stop_signal_has_left_of_a_connection_is_not_tried_again() -> None:
    calls = []

    def call() -> None:
        calls.append("once")
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            complaint = psycopg.OperationalError("sending query failed: another command is already in progress")
            raise sa.exc.OperationalError("SELECT 1", {}, complaint)  # noqa: B904 - as its clean-up raises it

    with pytest.raises(sa.exc.OperationalError):
        with_retries(call, patience=timedelta(seconds=30))
    assert calls == ["once"]
