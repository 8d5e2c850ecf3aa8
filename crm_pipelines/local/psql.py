"""psql on the contacts database, with the password in nobody's process list."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence

from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.local.databases import contacts_database
from crm_pipelines.local.embedded.binaries import folders
from crm_pipelines.local.postgres_programs import connection_of
from crm_pipelines.settings import Settings


class PsqlMissing(CrmPipelinesError):
    """There is no psql: install Postgres' client programs (Debian: `apt-get install postgresql-client`)."""


def psql(settings: Settings, arguments: Sequence[str]) -> int:
    """Run psql with these arguments; returns its exit code. The embedded Postgres runs for as long.

    Raises PsqlMissing, EmbeddedPostgresError.
    """
    program = _find(settings)
    with contacts_database(settings) as url:
        shown, environment = connection_of(url)
        former = signal.signal(signal.SIGINT, lambda *_: None)  # in psql Ctrl-C ends a statement, and not psql
        try:
            argv = [program, "--dbname", shown, *arguments]
            return subprocess.run(argv, env=environment, check=False).returncode  # noqa: S603
        finally:
            signal.signal(signal.SIGINT, former)


def _find(settings: Settings) -> str:
    beside = os.pathsep.join(map(str, folders(settings.storage.crm_postgres_bin)))
    if found := shutil.which("psql") or shutil.which("psql", path=beside):
        return found
    raise PsqlMissing
