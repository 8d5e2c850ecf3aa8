"""The data folder: made, checked, and run by a `postgres` process. Only the supervisor calls this."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from crm_pipelines.local.embedded.account import choose_account, place_binaries, place_data
from crm_pipelines.local.embedded.binaries import find_binaries
from crm_pipelines.local.embedded.errors import EmbeddedPostgresError, from_output
from crm_pipelines.local.embedded.layout import USER, Layout
from crm_pipelines.local.embedded.parent_death import die_with_parent
from crm_pipelines.local.processes import free_port

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "lc_messages": "C",  # the supervisor reads the log
    # Details and statements may hold addresses.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}
_ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_ORPHAN_STOP_SECONDS = 60


class Cluster:
    """One data folder, and the programs and the account that run it."""

    def __init__(self, layout: Layout, chosen_binaries: Path | None, settings: Mapping[str, str]) -> None:
        self.layout = layout
        self.account = choose_account()
        self.place = place_data(layout, self.account)
        self.data = self.place / "data"
        self.binaries = find_binaries(chosen_binaries, major=made_by(self.data))
        self.programs = place_binaries(self.binaries, self.account, self.place)
        self.settings = {**_SETTINGS, **settings}

    def prepare(self) -> None:
        """Make the data folder or check the one that is there; after this, nothing runs on it."""
        if not self.data.exists():
            self._create()
        self._check()
        self._stop_orphans()

    def start(self, port: int) -> subprocess.Popen[str]:
        """Start Postgres on `port`; it writes its log to the pipe `stderr`. Main thread only."""
        arguments = [str(self.programs / "postgres"), "-D", str(self.data), "-p", str(port)]
        for name, value in self.settings.items():
            arguments += ["-c", f"{name}={value}"]
        return subprocess.Popen(  # noqa: S603
            arguments,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGINT),
            **self._popen(),
        )

    def _popen(self) -> dict[str, Any]:
        """What `subprocess` is told of each of the programs."""
        # Nothing else: PG* variables would change what the programs do, and secrets do not belong into a server.
        environment = {"LC_ALL": "C"} | {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        account = self.account.popen if self.account else {}
        return {"stdin": subprocess.DEVNULL, "errors": "replace", "env": environment, "cwd": self.place, **account}

    def _create(self) -> None:
        # Under another name until it is complete: a folder named data is always whole.
        new = self.place / "data.new"
        password_file = self.place / "initdb-password"
        shutil.rmtree(new, ignore_errors=True)
        password_file.unlink(missing_ok=True)
        new.mkdir(mode=0o700)
        password = secrets.token_hex(24)
        _write_private(password_file, password)
        if self.account:
            self.account.take(new)
            self.account.take(password_file)
        try:
            made = subprocess.run(  # noqa: S603
                [self.programs / "initdb", "-D", new, "--pwfile", password_file, *self._initdb_options()],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                **self._popen(),
            )
        finally:
            password_file.unlink(missing_ok=True)
        if made.returncode:
            shutil.rmtree(new, ignore_errors=True)
            raise from_output("making its data folder", made.stdout, self.place)
        self.layout.password.unlink(missing_ok=True)
        _write_private(self.layout.password, password)
        new.rename(self.data)

    def _initdb_options(self) -> list[str]:
        options = ["--username", USER, "--auth=scram-sha-256", "--encoding=UTF8"]
        # Never --locale=C alone: lower('É') would stay É.
        if self.binaries.major >= 17:
            options += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        else:
            options += ["--locale=C.UTF-8"]
        if self.settings.get("fsync") == "off":
            options.append("--no-sync")
        return options

    def _check(self) -> None:
        if not self.layout.password.exists():
            raise EmbeddedPostgresError(
                f"{self.layout.password}, the password to the data in {self.data}, is missing: restore it, "
                "or move the data away to start with an empty one."
            )
        try:
            found = (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise EmbeddedPostgresError(
                f"{self.data} is no Postgres data folder (it has no file PG_VERSION): "
                "move it away to start with an empty one."
            ) from None
        if found != str(self.binaries.major):
            raise EmbeddedPostgresError(
                f"{self.data} was made by Postgres {found}, but the programs in {self.binaries.folder} are Postgres "
                f"{self.binaries.major}, so nothing was started or changed: set CRM_POSTGRES_BIN to programs of "
                f"version {found} and save the data with `crm-pipelines db dump FILE`; then unset it, move the folder "
                "away, and bring the data back with `crm-pipelines db restore FILE`."
            )

    def _stop_orphans(self) -> None:
        """Stop a Postgres on this folder whose supervisor was killed, and drop what is left of its pid file.

        The pid file is not believed: its number may have passed to another program, and it may be half written. A
        postgres on this folder is known by its working directory, which is the data folder.
        """
        pid_file = self.data / "postmaster.pid"
        if not pid_file.exists():
            return
        for sent in (signal.SIGINT, signal.SIGQUIT):
            orphans = [process for process in psutil.process_iter() if self._runs_here(process)]
            for orphan in orphans:
                with contextlib.suppress(psutil.NoSuchProcess):
                    orphan.send_signal(sent)
            # Not psutil.wait_procs: a dead one that nobody reaps is no obstacle.
            deadline = time.monotonic() + _ORPHAN_STOP_SECONDS
            while (alive := [orphan for orphan in orphans if self._runs_here(orphan)]) and time.monotonic() < deadline:
                time.sleep(0.02)
            if not alive:
                pid_file.unlink(missing_ok=True)
                return
        raise EmbeddedPostgresError(
            f"Another Postgres (process {alive[0].pid}) runs on {self.data} and does not stop: end it first."
        )

    def _runs_here(self, process: psutil.Process) -> bool:
        try:
            return process.name().startswith("postgres") and Path(process.cwd()) == self.data
        except psutil.Error:
            return False


def choose_port(layout: Layout) -> int:
    """The port of last time if it is free, so that saved URLs stay true; else any free one."""
    with contextlib.suppress(OSError, ValueError, OverflowError):  # none is noted, or it is taken
        last = int(layout.port.read_text())
        socket.create_server(("127.0.0.1", last)).close()
        return last
    return free_port()


def made_by(data: Path) -> int | None:
    """The major version of the Postgres that made the data folder; None where there is none, or none that tells."""
    try:
        return int((data / "PG_VERSION").read_text())
    except (OSError, ValueError):
        return None


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
