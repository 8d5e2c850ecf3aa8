"""psql on the contacts database, with the password in nobody's process list."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from crm_pipelines.contacts.embedded import EmbeddedPostgresError
from crm_pipelines.contacts.embedded.binaries import find_binaries
from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.local.databases import contacts_database
from crm_pipelines.settings import Settings


class PsqlMissing(CrmPipelinesError):
    """There is no psql: install Postgres' client programs (Debian: `apt-get install postgresql-client`)."""


def psql(settings: Settings, arguments: Sequence[str]) -> int:
    """Run psql with these arguments; returns its exit code. The embedded Postgres runs for as long.

    Raises PsqlMissing, EmbeddedPostgresError.
    """
    program = _find(settings)
    with contacts_database(settings) as url:
        parameters = conninfo_to_dict(url.replace("postgresql+psycopg://", "postgresql://", 1))
        # Other users of the machine see a program's arguments, and not its environment. For a client key's passphrase
        # there is no variable: psql asks for it.
        environment = {**os.environ, **_secret(parameters.pop("password", None))}
        parameters.pop("sslpassword", None)
        former = signal.signal(signal.SIGINT, lambda *_: None)  # in psql Ctrl-C ends a statement, and not psql
        try:
            shown = make_conninfo(**{name: str(value) for name, value in parameters.items()})
            argv = [program, "--dbname", shown, *arguments]
            return subprocess.run(argv, env=environment, check=False).returncode  # noqa: S603
        finally:
            signal.signal(signal.SIGINT, former)


def _secret(password: object) -> dict[str, str]:
    return {} if password is None else {"PGPASSWORD": str(password)}


def _find(settings: Settings) -> str:
    if on_path := shutil.which("psql"):
        return on_path
    with suppress(EmbeddedPostgresError):
        beside = find_binaries(settings.storage.crm_postgres_bin).folder / "psql"
        if beside.is_file():
            return str(beside)
    raise PsqlMissing
