"""What a user of the embedded Postgres gets."""

import contextlib
import random
import socket
import stat
from pathlib import Path

import psutil
import psycopg
import pytest
import sqlalchemy as sa

from crm_pipelines.local.embedded import embedded_postgres
from crm_pipelines_tests.fixtures.postgres import FAST
from crm_pipelines_tests.integration.local.embedded.helpers import (
    command_lines_of,
    is_root,
    postmaster_of,
    processes_of,
)
from crm_pipelines_tests.patience import wait_until


def test_data_and_port_survive_a_restart(made: Path) -> None:
    # Of those that the system gives to nobody: others cannot come by it meanwhile.
    (made / "port").write_text(str(random.randrange(20_000, 32_000)))
    with embedded_postgres(made, settings=FAST) as first:
        first.create_database("kept")
        with psycopg.connect(_conninfo(first.url("kept"))) as connection:
            connection.execute("CREATE TABLE t AS SELECT 42 AS n")
    assert processes_of(made) == []
    with embedded_postgres(made, settings=FAST) as second:
        assert second.port == first.port
        with psycopg.connect(_conninfo(second.url("kept"))) as connection:
            assert connection.execute("SELECT n FROM t").fetchone() == (42,)


def test_a_remembered_port_that_is_taken_is_not_insisted_on(made: Path) -> None:
    with embedded_postgres(made, settings=FAST) as first:
        pass
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that have ended do not matter
        with contextlib.suppress(OSError):  # somebody else has taken it: just as well
            other.bind(("127.0.0.1", first.port))
            other.listen()
        with embedded_postgres(made, settings=FAST) as second:
            assert second.port != first.port


def test_creating_a_database_twice_is_the_same_as_once(made: Path) -> None:
    with embedded_postgres(made, settings=FAST) as server:
        server.create_database('of "ours"')
        server.create_database('of "ours"')
        with server.connect() as connection, pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1 / 0")
        log = made / "postgres.log"
        wait_until(lambda: "division by zero" in log.read_text(), "the log has come so far")
        assert "already exists" not in log.read_text(), "a database that is there is not asked for"
        engine = sa.create_engine(server.url('of "ours"'))
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT current_database()")) == 'of "ours"'
        engine.dispose()


def test_letters_beyond_ascii_have_lower_case_and_text_is_utf8(made: Path) -> None:
    with embedded_postgres(made, settings=FAST) as server, server.connect() as connection:
        assert connection.execute("SELECT lower('ÉÄŞ'), 'É' ILIKE 'é'").fetchone() == ("éäş", True)
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)


def test_only_this_machine_can_connect_and_only_with_the_password(made: Path) -> None:
    with embedded_postgres(made, settings=FAST) as server:
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(host="127.0.0.1", port=server.port, user=server.user, password="guess", dbname="postgres")
        with server.connect() as connection:
            assert connection.execute("SHOW unix_socket_directories").fetchone() == ("",)
            rules = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules").fetchall()
            assert rules == [("scram-sha-256",)]
        listening = {c.laddr.ip for c in postmaster_of(server).net_connections() if c.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}


def test_the_password_shows_neither_in_files_that_others_can_read_nor_in_processes(folder: Path) -> None:
    with embedded_postgres(folder, settings=FAST) as server:
        assert server.password not in repr(server)
        lines = command_lines_of(folder)
        assert any("postgres" in line for line in lines)
        assert not [line for line in lines if server.password in line]
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert stat.S_IMODE(folder.stat().st_mode) == (0o711 if is_root() else 0o700)


def test_failing_statements_leave_no_data_in_the_log(made: Path) -> None:
    with embedded_postgres(made, settings=FAST) as server, server.connect() as connection:
        connection.execute("CREATE TABLE people (email text UNIQUE)")
        connection.execute("INSERT INTO people VALUES ('ada@example.org')")
        with pytest.raises(psycopg.errors.UniqueViolation, match=r"ada@example\.org"):
            connection.execute("INSERT INTO people VALUES ('ada@example.org')")
    log = (made / "postgres.log").read_text()
    assert "duplicate key" in log
    assert "ada@example.org" not in log


def test_any_path_will_do(folder: Path) -> None:
    odd = folder / "with a space, 'quotes' and é" / "/".join(["x" * 50] * 6)
    with embedded_postgres(odd, settings=FAST) as server, server.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert processes_of(odd) == []


def _conninfo(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")
