"""Separate processes that use an embedded Postgres, and what runs on a data folder."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from crm_pipelines.local.embedded import EmbeddedPostgres
from crm_pipelines_tests.fixtures.postgres import FAST
from crm_pipelines_tests.patience import PATIENCE

_USER = """
import json, sys
from pathlib import Path
from crm_pipelines.local.embedded import embedded_postgres
from crm_pipelines.errors import CrmPipelinesError

folder, settings = json.loads(sys.argv[1])
try:
    with embedded_postgres(Path(folder), settings=settings) as server:
        with server.connect() as connection:
            backend, = connection.execute("SELECT pg_backend_pid()").fetchone()
            started, = connection.execute("SELECT pg_postmaster_start_time()::text").fetchone()
        print(json.dumps({"port": server.port, "started": started}), flush=True)
        sys.stdin.readline()
except CrmPipelinesError as error:
    print(json.dumps({"error": str(error)}), flush=True)
"""


class User:
    """A process that holds the server of `folder` until told to leave."""

    def __init__(self, folder: Path, python: str = sys.executable, **popen: Any) -> None:
        self.process = subprocess.Popen(
            [python, "-c", _USER, json.dumps([str(folder), FAST])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **popen,
        )

    def answer(self) -> dict[str, Any]:
        """Waits until it has the server: its port and start time, or the error."""
        assert self.process.stdout
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def leave(self) -> None:
        """Returns when the process has ended."""
        self.process.communicate("\n", timeout=PATIENCE)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def user(folder: Path, **arguments: Any) -> Iterator[User]:
    """A `User` that is gone at the end."""
    started = User(folder, **arguments)
    try:
        yield started
    finally:
        started.kill()


def postmaster_of(server: EmbeddedPostgres) -> psutil.Process:
    """The main process of a running server."""
    with server.connect() as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row
        parent = psutil.Process(row[0]).parent()
    assert parent
    return parent


def processes_of(folder: Path) -> list[psutil.Process]:
    """The supervisor and all Postgres processes of `folder`."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            supervises = str(folder) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
            if supervises or Path(process.cwd()).is_relative_to(folder):
                found.append(process)
    return found


def command_lines_of(folder: Path) -> list[str]:
    """What a list of processes shows of them."""
    return _of_each(folder, lambda process: " ".join(process.cmdline()))


def owners_of(folder: Path) -> set[str]:
    """The accounts that run them."""
    return set(_of_each(folder, lambda process: process.username()))


def _of_each(folder: Path, look: Callable[[psutil.Process], str]) -> list[str]:
    """Without those that end meanwhile, as Postgres' own helpers do."""
    found = []
    for process in processes_of(folder):
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(look(process))
    return found


def wait_until_gone(processes: list[psutil.Process]) -> None:
    """Fails when one of them still lives after a while."""
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
    assert not alive


def is_root() -> bool:
    """Whether these tests run as root."""
    return os.geteuid() == 0
