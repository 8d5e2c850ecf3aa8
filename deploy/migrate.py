"""Brings both databases up to date, before anything else starts: creates them when missing, then their tables.

Safe to repeat. Reads CRM_DATABASE_URL and DAGSTER_POSTGRES_URL; a password may come from PGPASSWORD.
"""

import contextlib
import os
import subprocess
import sys

import psycopg
import sqlalchemy as sa
from psycopg import sql


def create_database(url: sa.URL) -> None:
    """Create the database that `url` names unless it is there, from the server's maintenance database."""
    with psycopg.connect(
        host=url.host,
        port=url.port,
        user=url.username,
        password=url.password,
        dbname="postgres",
        connect_timeout=10,
        autocommit=True,
    ) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", [url.database]).fetchone():
            return
        # Another migration may be creating it at this moment.
        with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(url.database or "")))


def main() -> None:
    """Exit with the code of the first step that fails."""
    for variable in ("CRM_DATABASE_URL", "DAGSTER_POSTGRES_URL"):
        create_database(sa.make_url(os.environ[variable]))
    for command in (["crm-pipelines", "db", "upgrade"], ["dagster", "instance", "migrate"]):
        if code := subprocess.run(command, check=False).returncode:  # noqa: S603
            sys.exit(code)


if __name__ == "__main__":
    main()
