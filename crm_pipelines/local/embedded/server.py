"""Use the embedded Postgres: start it if nobody has, and let go of it at the end."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from crm_pipelines.local.embedded import locks
from crm_pipelines.local.embedded.errors import EmbeddedPostgresError, from_os_error
from crm_pipelines.local.embedded.layout import USER, Layout

if TYPE_CHECKING:
    import psycopg

# psycopg is imported where it is used: the long-lived supervisor, which passes through here, needs none of it.

_ANSWER_SECONDS = 120  # a server that recovers from a crash answers late
_STOP_SECONDS = 10
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class EmbeddedPostgres:
    """A running server, for as long as the block of `embedded_postgres` lasts."""

    data_dir: Path
    port: int
    user: str
    password: str = field(repr=False)

    def url(self, database: str) -> str:
        """`postgresql+psycopg://user:password@127.0.0.1:port/database`. Holds the password: not for logs."""
        return f"postgresql+psycopg://{self.user}:{self.password}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def create_database(self, name: str) -> None:
        """Create an empty database unless there is one of that name."""
        import psycopg
        from psycopg import sql

        with self.connect() as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                return
            # Two at once: one of them meets either error, by how far the other has come.
            with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def connect(self) -> "psycopg.Connection":
        """A connection to the maintenance database, in autocommit, as the server's superuser."""
        import psycopg

        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            password=self.password,
            dbname="postgres",
            connect_timeout=10,
            autocommit=True,
        )


@contextlib.contextmanager
def embedded_postgres(
    data_dir: Path, *, bin_dir: Path | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[EmbeddedPostgres]:
    """A Postgres on the data in `data_dir`, which is made when missing. Linux and macOS.

    Any number of processes may use it at the same time; the first starts it, and it stops when the last has left or
    died. `bin_dir` holds the programs to use instead of those that are found. `settings` (as in `postgresql.conf`) and
    `bin_dir` matter only to the one that starts it.

    Raises EmbeddedPostgresError, with a sentence that says what to do.
    """
    if sys.platform == "win32":
        raise EmbeddedPostgresError(
            "The embedded Postgres does not run on Windows: set CRM_DATABASE_URL to a Postgres, or use WSL."
        )
    layout = Layout(data_dir.expanduser().resolve())
    try:
        _make_folder(layout.folder)
        users_lock = locks.open_lock(layout.users_lock)
        try:
            locks.acquire(users_lock, locks.SHARED)  # waits while a server is being stopped
            server = _find_or_start(layout, bin_dir, settings or {})
        except BaseException:
            os.close(users_lock)
            raise
    except OSError as error:
        raise from_os_error(error, layout.folder) from error
    try:
        yield server
    finally:
        _leave(layout, users_lock)


def _make_folder(folder: Path) -> None:
    # Root's Postgres runs under another account, which must be able to pass through to its data.
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            folder.chmod(0o711)


def _find_or_start(layout: Layout, bin_dir: Path | None, settings: Mapping[str, str]) -> EmbeddedPostgres:
    deadline = time.monotonic() + _ANSWER_SECONDS
    while time.monotonic() < deadline:
        if not locks.is_held(layout.supervisor_lock):
            _start_supervisor(layout, bin_dir, settings)
        # Nothing is there yet while another user's supervisor is making it.
        with contextlib.suppress(FileNotFoundError, ValueError):
            server = _read(layout)
            if _answers(server):
                return server
        time.sleep(_POLL_SECONDS)
    raise EmbeddedPostgresError(
        f"The embedded Postgres in {layout.folder} has not answered for {_ANSWER_SECONDS} seconds; "
        f"{layout.log} may say why."
    )


def _start_supervisor(layout: Layout, bin_dir: Path | None, settings: Mapping[str, str]) -> None:
    # -P: a file in the current folder must not stand in for a module.
    command = [sys.executable, "-P", "-m", "crm_pipelines.local.embedded.supervisor", str(layout.folder)]
    if bin_dir is not None:
        command += ["--bin", str(bin_dir)]
    command += [f"--set={name}={value}" for name, value in settings.items()]
    started = subprocess.run(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that Ctrl-C reaches only us
        check=False,
    )
    last_line = (started.stdout.splitlines() or ["it said nothing"])[-1]
    try:
        error = json.loads(last_line).get("error")
    except ValueError:
        error = f"The supervisor of the embedded Postgres in {layout.folder} broke down: {last_line}"
    if error:
        raise EmbeddedPostgresError(error)


def _read(layout: Layout) -> EmbeddedPostgres:
    return EmbeddedPostgres(
        data_dir=layout.folder,
        port=int(layout.port.read_text()),
        user=USER,
        password=layout.password.read_text(),
    )


def _answers(server: EmbeddedPostgres) -> bool:
    import psycopg

    try:
        server.connect().close()
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise EmbeddedPostgresError(
                f"The embedded Postgres refuses the password in {server.data_dir / 'password'}: restore that file, "
                f"or move {server.data_dir} away to start with an empty one."
            ) from None
        return False
    return True


def _leave(layout: Layout, users_lock: int) -> None:
    """Let go of the server; the last user waits until it has stopped, so that nothing runs when a command has ended."""
    # Exclusive is granted to the only user; shared is refused when the supervisor was faster.
    last = locks.try_acquire(users_lock, locks.EXCLUSIVE) or not locks.try_acquire(users_lock, locks.SHARED)
    os.close(users_lock)
    # A new user may slip in here and keep the server; then this waits in vain, and goes.
    deadline = time.monotonic() + _STOP_SECONDS
    while last and locks.is_held(layout.supervisor_lock) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
