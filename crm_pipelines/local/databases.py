"""Which databases are in use: those that the environment names, or the embedded Postgres."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from crm_pipelines.database.connecting import create_engine
from crm_pipelines.database.connection_problems import DatabaseUnreachable, connection_problem
from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.local.embedded import embedded_postgres
from crm_pipelines.postgres_urls import place_of, without_schema
from crm_pipelines.settings import Settings

_CONTACTS = "contacts"
_DAGSTER = "dagster"
# duplicate_database, unique_violation: whoever creates one at the same time as another meets either.
_CREATED_MEANWHILE = {"42P04", "23505"}


class DagsterDatabaseMissing(CrmPipelinesError):
    """Dagster's database does not exist and could not be created."""


def has_contacts_database(settings: Settings) -> bool:
    """Whether one is named, or the embedded Postgres has been made; it is not made by this."""
    return settings.storage.crm_database_url is not None or _folder(settings).is_dir()


@contextmanager
def contacts_database(settings: Settings) -> Iterator[str]:
    """The URL of the contacts database: CRM_DATABASE_URL, or a database of the embedded Postgres while in the block.

    Raises EmbeddedPostgresError.
    """
    if settings.storage.crm_database_url is not None:
        yield settings.storage.crm_database_url
        return
    with embedded_postgres(_folder(settings), bin_dir=settings.storage.crm_postgres_bin) as server:
        server.create_database(_CONTACTS)
        yield server.url(_CONTACTS)


@contextmanager
def engine_on(url: str) -> Iterator[sa.Engine]:
    """An engine on a contacts database; it ends with the block."""
    engine = create_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _folder(settings: Settings) -> Path:
    return settings.storage.crm_pipelines_data_dir / "postgres"


def dagster_storage_url(settings: Settings, contacts_url: str) -> str:
    """The URL of Dagster's storage: DAGSTER_POSTGRES_URL, or the database `dagster` beside the contacts.

    Creates that database when it is missing. Raises DagsterDatabaseMissing when the role may not, DatabaseUnreachable.
    """
    if settings.storage.dagster_postgres_url is not None:
        return settings.storage.dagster_postgres_url
    url = without_schema(sa.make_url(contacts_url)).set(database=_DAGSTER)
    engine = sa.create_engine(contacts_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            if not connection.scalar(sa.text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": _DAGSTER}):
                _create(connection, _DAGSTER)
    except sa.exc.OperationalError as error:
        raise DatabaseUnreachable(connection_problem(error, engine.url)) from None
    except sa.exc.ProgrammingError:
        raise DagsterDatabaseMissing(
            f"The server at {place_of(url, database=False)} has no database named {_DAGSTER}, and this role may not "
            "create it. Have it created, or set DAGSTER_POSTGRES_URL."
        ) from None
    # Dagster's storage works with psycopg2 only.
    return url.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)


def _create(connection: sa.Connection, database: str) -> None:
    try:
        connection.execute(sa.text(f"CREATE DATABASE {database}"))
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in _CREATED_MEANWHILE:
            raise


def point_dagster_at(settings: Settings, contacts: sa.URL) -> None:
    """Tell Dagster in this process and its children where its records are. Raises as `dagster_storage_url`."""
    os.environ["DAGSTER_POSTGRES_URL"] = dagster_storage_url(settings, contacts.render_as_string(hide_password=False))
    os.environ["DAGSTER_HOME"] = str(settings.storage.dagster_home.absolute())
