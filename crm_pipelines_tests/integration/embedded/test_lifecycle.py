"""Who starts and stops the server, and what kills leave behind: nothing."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from crm_pipelines.contacts.embedded import EmbeddedPostgres, embedded_postgres
from crm_pipelines.contacts.embedded.account import choose_account
from crm_pipelines.contacts.embedded.binaries import find_binaries
from crm_pipelines_tests.fixtures.postgres import FAST
from crm_pipelines_tests.integration.embedded.helpers import (
    WAIT_SECONDS,
    User,
    postmaster_of,
    processes_of,
    user,
    wait_until_gone,
)


def test_the_server_stays_until_its_last_user_leaves(made: Path) -> None:
    with user(made) as first, user(made) as second:
        started = first.answer()["started"]
        assert second.answer()["started"] == started
        first.leave()
        with embedded_postgres(made) as server, server.connect() as connection:
            assert connection.execute("SELECT pg_postmaster_start_time()::text").fetchone() == (started,)
        second.leave()
    assert processes_of(made) == []


def test_four_processes_that_start_at_once_share_one_server(folder: Path) -> None:
    users = [User(folder) for _ in range(4)]
    try:
        answers = [each.answer() for each in users]
        assert len({(answer["port"], answer["started"]) for answer in answers}) == 1
        for each in users:
            each.leave()
        assert processes_of(folder) == []
    finally:
        for each in users:
            each.kill()


def test_users_that_come_and_go_all_the_time_are_all_served(made: Path) -> None:
    for _ in range(2):
        users = [User(made) for _ in range(3)]
        for each in users:
            assert "port" in each.answer()
            each.leave()


@pytest.mark.parametrize("moment", ["while it is used", "while it is being started"])
def test_a_killed_user_leaves_nothing_behind(folder: Path, moment: str) -> None:
    with user(folder) as only:
        if moment == "while it is used":
            only.answer()
        else:
            _wait_for_initdb(folder)
        only.kill()
        wait_until_gone(processes_of(folder))
    with embedded_postgres(folder, settings=FAST) as server:
        server.connect().close()


def test_a_server_whose_starter_was_killed_serves_the_next_user(folder: Path) -> None:
    with user(folder) as first:
        _wait_for_initdb(folder)
        with user(folder) as second:
            first.kill()
            assert "port" in second.answer()
            second.leave()
    assert processes_of(folder) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start stops it, as the test below says")
def test_with_a_killed_supervisor_postgres_goes_too_and_keeps_its_data(made: Path) -> None:
    with embedded_postgres(made, settings=FAST) as server:
        with server.connect() as connection:
            connection.execute("CREATE TABLE t AS SELECT 42 AS n")
        running = processes_of(made)
        supervisor = postmaster_of(server).parent()
        assert supervisor
        supervisor.kill()
        wait_until_gone(running)
        with embedded_postgres(made, settings=FAST) as again, again.connect() as connection:
            assert connection.execute("SELECT n FROM t").fetchone() == (42,)


def test_a_killed_postgres_comes_back_on_its_port_with_its_data_and_still_stops_with_its_last_user(made: Path) -> None:
    with embedded_postgres(made, settings=FAST) as server:
        with server.connect() as connection:
            connection.execute("CREATE TABLE t AS SELECT 42 AS n")
            connection.execute("CHECKPOINT")  # FAST does not wait for the disk
        for _ in range(2):
            postmaster_of(server).kill()
            with connect_again(server) as connection:
                assert connection.execute("SELECT n FROM t").fetchone() == (42,)
    assert processes_of(made) == []


def connect_again(server: EmbeddedPostgres) -> psycopg.Connection:
    give_up = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return server.connect()
        except psycopg.OperationalError:
            assert time.monotonic() < give_up
            time.sleep(0.05)


def test_a_left_over_postgres_on_the_folder_is_stopped_before_a_new_one_starts(made: Path) -> None:
    with embedded_postgres(made, settings=FAST) as server:
        pass
    orphan = subprocess.Popen(
        [find_binaries(None).folder / "postgres", "-D", made / "data", "-p", str(server.port), "-k", ""],
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        **(account.popen if (account := choose_account()) else {}),
    )
    with orphan:
        assert orphan.stderr
        assert any("ready to accept connections" in line for line in orphan.stderr)
        with embedded_postgres(made, settings=FAST) as new:
            assert orphan.wait(WAIT_SECONDS) == 0
            assert postmaster_of(new).pid != orphan.pid


@pytest.mark.parametrize("rest", ["\n/somewhere/else\n", ""])
def test_a_stale_pid_file_does_not_harm_the_program_that_now_has_that_number(made: Path, rest: str) -> None:
    with _other_program() as other:
        (made / "data" / "postmaster.pid").write_text(f"{other.pid}{rest}")
        with embedded_postgres(made, settings=FAST) as server:
            server.connect().close()
        assert other.poll() is None


def test_an_empty_pid_file_is_no_obstacle(made: Path) -> None:
    (made / "data" / "postmaster.pid").touch()
    with embedded_postgres(made, settings=FAST) as server:
        server.connect().close()


def test_a_half_made_data_folder_is_made_again(folder: Path) -> None:
    half = folder / "data.new" / "base"
    half.mkdir(parents=True)
    folder.chmod(0o711)
    (folder / "initdb-password").write_text("old")
    with embedded_postgres(folder, settings=FAST) as server:
        server.connect().close()
    assert not (folder / "data.new").exists()
    assert not (folder / "initdb-password").exists()


@contextlib.contextmanager
def _other_program() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as program:
        yield program
        program.communicate(b"\n")


def _wait_for_initdb(folder: Path) -> None:
    # No event tells of a folder; the process that makes it is starting at this moment.
    while not ((folder / "data.new").exists() or (folder / "data").exists()):
        psutil.cpu_percent(interval=0.01)
