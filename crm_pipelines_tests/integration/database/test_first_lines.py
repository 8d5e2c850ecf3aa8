"""Of an error of Postgres only its first line is kept: what stands below it quotes the row, and errors are shown."""

import traceback
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from crm_pipelines.database.copying import copying
from crm_pipelines.database.retrying import is_passing

_NAME = "Zebra Quux"
_TABLE = "CREATE TEMP TABLE somebody (name text CHECK (name = 'nobody'))"
_IN_FRENCH = r"""CREATE FUNCTION pg_temp.say() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION E'Une valeur est nulle.\nDÉTAIL : La ligne contient %', NEW.name; END $$"""
_NO_ROOM = """CREATE FUNCTION pg_temp.say() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'; END $$"""
_SAY = "CREATE TRIGGER say BEFORE INSERT ON somebody FOR EACH ROW EXECUTE FUNCTION pg_temp.say()"


@pytest.fixture
def connection(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One on which nobody may be written into `somebody`; nothing of it stays."""
    with engine.connect() as connection:
        connection.exec_driver_sql(_TABLE)
        yield connection


def insert(connection: sa.Connection) -> None:
    connection.execute(sa.text("INSERT INTO somebody VALUES (:name)"), {"name": _NAME})


def copy_in(connection: sa.Connection) -> None:
    with copying(connection, "COPY somebody FROM STDIN") as copy:
        copy.write(f"{_NAME}\n")


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def test_of_a_refused_row_nothing_is_shown(connection: sa.Connection) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="violates check constraint") as refused:
        insert(connection)
    assert _NAME not in shown(refused.value)


def test_nor_by_a_server_that_speaks_another_language(connection: sa.Connection) -> None:
    connection.execute(sa.text(_IN_FRENCH))
    connection.exec_driver_sql(_SAY)
    with pytest.raises(sa.exc.DBAPIError, match="Une valeur est nulle") as refused:
        insert(connection)
    assert _NAME not in shown(refused.value)


def test_nor_of_one_that_came_by_copy(connection: sa.Connection) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="violates check constraint") as refused:
        copy_in(connection)
    assert _NAME not in shown(refused.value)


def test_a_copy_that_failed_for_a_passing_reason_is_repeated_like_any_statement(connection: sa.Connection) -> None:
    connection.exec_driver_sql(_NO_ROOM)
    connection.exec_driver_sql(_SAY)
    with pytest.raises(sa.exc.DBAPIError, match="no room") as refused:
        copy_in(connection)
    assert is_passing(refused.value)
