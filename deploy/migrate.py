"""Brings both databases up to date, before anything else starts: creates them when missing, then their tables.

Safe to repeat. Reads CRM_DATABASE_URL and DAGSTER_POSTGRES_URL. When they name the role crm_owner, as in
docker-compose.yml, the server is ours: the superuser POSTGRES_USER, with POSTGRES_PASSWORD, sees to the roles first
(roles.sql), and the migrations run as crm_owner. With any other role it is somebody else's server: the role needs what
the migrations need, and a password may come from PGPASSWORD.
"""

import contextlib
import hashlib
import hmac
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import sqlalchemy as sa
from psycopg import sql

OWNER, SERVICES = "crm_owner", "crm_services"
# Any constant will do; two migrations at once wait for each other on it.
_LOCK = 0x63726D71


def create_database(server: psycopg.Connection, name: str) -> None:
    """Create the database unless it is there."""
    if server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
        return
    # Another migration may be creating it at this moment.
    with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def ensure_role(server: psycopg.Connection, name: str, password: str) -> None:
    """Let there be this role, which may log in and has no power over the server; what is sent is a digest."""
    role = sql.Identifier(name)
    if not server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone():
        server.execute(sql.SQL("CREATE ROLE {}").format(role))
    verifier = server.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    powers = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD"
    server.execute(sql.SQL("ALTER ROLE {} " + powers + " {}").format(role, verifier))


def prepare_server(contacts: sa.URL, dagster: sa.URL, environment: dict[str, str]) -> str:
    """Databases, roles and their rights, as the superuser; returns the password of crm_owner."""
    superuser, password = environment["POSTGRES_USER"], environment["POSTGRES_PASSWORD"]
    of_services = environment["POSTGRES_SERVICES_PASSWORD"]
    if of_services == password:
        sys.exit(
            "POSTGRES_SERVICES_PASSWORD is the same as POSTGRES_PASSWORD, so every service could be superuser: "
            "choose another in the file .env."
        )
    # Nobody has to know it: whoever has the superuser's can tell it.
    of_owner = hmac.new(password.encode(), OWNER.encode(), hashlib.sha256).hexdigest()
    with _connected(contacts, "postgres", superuser, password) as server:
        server.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        ensure_role(server, OWNER, of_owner)
        ensure_role(server, SERVICES, of_services)
        for url, everything in ((contacts, "false"), (dagster, "true")):
            assert url.database
            create_database(server, url.database)
            with _connected(url, url.database, superuser, password) as database:
                database.execute("SELECT set_config('crm_pipelines.all', %s, false)", [everything])
                database.execute(Path(__file__).with_name("roles.sql").read_bytes())
    return of_owner


@contextlib.contextmanager
def _connected(url: sa.URL, database: str, user: str | None, password: str | None) -> Iterator[psycopg.Connection]:
    with psycopg.connect(
        host=url.host,
        port=url.port,
        user=user,
        password=password,
        dbname=database,
        connect_timeout=10,
        autocommit=True,
    ) as connection:
        yield connection


def main() -> None:
    """Exit with the code of the first step that fails."""
    environment = dict(os.environ)
    contacts, dagster = (sa.make_url(environment[name]) for name in ("CRM_DATABASE_URL", "DAGSTER_POSTGRES_URL"))
    if contacts.username == dagster.username == OWNER:
        environment["PGPASSWORD"] = prepare_server(contacts, dagster, environment)
    else:
        for url in (contacts, dagster):
            with _connected(url, "postgres", url.username, url.password) as server:
                create_database(server, url.database or "")
    for command in (["crm-pipelines", "db", "upgrade"], ["dagster", "instance", "migrate"]):
        if code := subprocess.run(command, env=environment, check=False).returncode:  # noqa: S603
            sys.exit(code)


if __name__ == "__main__":
    main()
