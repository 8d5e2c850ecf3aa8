"""Who starts and stops the server, and what kills leave behind: nothing."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from crm_pipelines.local.embedded import EmbeddedPostgres, embedded_postgres
from crm_pipelines.local.embedded.account import choose_account
from crm_pipelines.local.embedded.binaries import find_binaries
from crm_pipelines.local.embedded.cluster import Cluster
from crm_pipelines.local.embedded.layout import Layout
from crm_pipelines_tests.fixtures.postgres import FAST
from crm_pipelines_tests.integration.local.embedded.helpers import postmaster_of, processes_of, user, wait_until_gone
from crm_pipelines_tests.patience import PATIENCE, wait_until
from crm_pipelines_tests.programs import program


def test_the_server_stays_until_its_last_user_leaves(made: Path) -> None:
    with user(made) as first, embedded_postgres(made, settings=FAST) as second:
        started = first.answer()["started"]
        first.leave()
        with embedded_postgres(made, settings=FAST):
            pass
        with second.connect() as connection:
            assert connection.execute("SELECT pg_postmaster_start_time()::text").fetchone() == (started,)
    assert processes_of(made) == []


def test_four_that_start_at_once_share_one_server_and_who_comes_while_it_stops_is_served_too(folder: Path) -> None:
    # Each with a lock of its own, as processes have.
    start, leave = threading.Barrier(4), threading.Barrier(4)

    def use(_: int) -> list[object]:
        started: list[object] = []
        for _ in range(2):
            start.wait(PATIENCE)
            with embedded_postgres(folder, settings=FAST) as server, server.connect() as connection:
                started.append(connection.execute("SELECT pg_postmaster_start_time()").fetchone())
                leave.wait(PATIENCE)
        return started

    with ThreadPoolExecutor(4) as pool:
        rounds = list(zip(*pool.map(use, range(4)), strict=True))
    assert [len(set(started)) for started in rounds] == [1, 1]
    # A supervisor that found the folder taken is waited for by nobody, and may be on its way out.
    wait_until_gone(processes_of(folder))


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
    wait_until_gone(processes_of(folder))


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
    def connected() -> psycopg.Connection | None:
        try:
            return server.connect()
        except psycopg.OperationalError:
            return None

    return wait_until(connected, "it answers again")


def test_a_left_over_postgres_on_the_folder_is_stopped_before_a_new_one_starts(made: Path) -> None:
    # Without a port: that of the last start may be somebody else's by now.
    command = [find_binaries(None).folder / "postgres", "-D", made / "data", "-c", "listen_addresses=", "-k", "."]
    account = choose_account()
    with program(command, stderr=subprocess.PIPE, cwd="/", **(account.popen if account else {})) as orphan:
        assert orphan.stderr
        said = []
        for line in orphan.stderr:
            said.append(line)
            if "ready to accept connections" in line:
                break
        assert orphan.poll() is None, said
        with embedded_postgres(made, settings=FAST) as new:
            assert orphan.wait(PATIENCE) == 0
            assert postmaster_of(new).pid != orphan.pid


@pytest.mark.parametrize("rest", ["\n/somewhere/else\n", ""])
def test_a_stale_pid_file_does_not_harm_the_program_that_now_has_that_number(bare: Path, rest: str) -> None:
    with _other_program() as other:
        pid_file = bare / "data" / "postmaster.pid"
        pid_file.write_text(f"{other.pid}{rest}")
        Cluster(Layout(bare), None, FAST).prepare()
        assert not pid_file.exists()
        assert other.poll() is None


def test_an_empty_pid_file_is_no_obstacle(bare: Path) -> None:
    pid_file = bare / "data" / "postmaster.pid"
    pid_file.touch()
    Cluster(Layout(bare), None, FAST).prepare()
    assert not pid_file.exists()


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
    with subprocess.Popen(["sleep", "infinity"]) as program:
        try:
            yield program
        finally:
            program.kill()


def _wait_for_initdb(folder: Path) -> None:
    # No event tells of a folder; the process that makes it is starting at this moment.
    wait_until(lambda: (folder / "data.new").exists() or (folder / "data").exists(), "initdb makes the data folder")
