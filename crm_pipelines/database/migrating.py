"""The migrations of the contacts database, and the check that they are all there."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from crm_pipelines.database.connecting import Connector, make_engine
from crm_pipelines.database.connection_problems import DatabaseUnreachable, connection_problem
from crm_pipelines.database.taken_names import require_free_names
from crm_pipelines.errors import CrmPipelinesError

if TYPE_CHECKING:
    from alembic.config import Config

# Alembic is imported by who migrates: all others only ask whether it was done, and are to answer at once.

MIGRATIONS = Path(__file__).parent / "migrations"
# Any constant will do; two upgrades at once wait for each other on it.
_MIGRATION_LOCK = 0x63726D70
# Whatever comes to a table behind a migration that waits for it waits as long. Shorter than Postgres' deadlock_timeout
# (1 s): of a migration and a user's transaction that wait for each other, the migration gives way.
_LOCK_TIMEOUT = "500ms"
_WHILE_MIGRATING = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": _LOCK_TIMEOUT,
}
# In between, those that waited behind the migration get on.
_PAUSE_SECONDS = 1.0
_PATIENCE_SECONDS = 1800
_IN_THE_WAY = {"55P03", "40P01"}  # lock_not_available, deadlock_detected


class PoolerInTheWay(CrmPipelinesError):
    """A pooler is between here and Postgres, and CRM_DATABASE_URL names a search_path: migrations would lose it.

    Give `crm-pipelines db upgrade` a URL that leads to Postgres directly, or set the search_path with ALTER ROLE.
    """


class TablesInUse(CrmPipelinesError):
    """Somebody's transaction holds a table that is to be migrated. End it, and run `crm-pipelines db upgrade` again."""


class SchemaOutdated(CrmPipelinesError):
    """The contacts database lacks migrations. Run `crm-pipelines db upgrade`."""


def upgrade(url: str) -> list[str]:
    """Create or migrate the tables; returns the revisions applied. Safe to repeat and to run twice at once.

    Tables that a newer version has migrated are left as they are: migrations only add. A migration that does not get
    its locks at once lets others pass and tries again, for half an hour. Nothing is made where somebody else has a
    table of ours by name. Raises DatabaseUnreachable, TablesInUse or NamesTaken.
    """
    connector = Connector(sa.make_url(url), _WHILE_MIGRATING)
    engine = make_engine(connector, 5, "crm-pipelines db upgrade")
    try:
        with _reaching(engine), _alone(engine), engine.connect() as connection:
            missing = _missing(connection)
            if missing:
                applied = [revision for revision in _shipped() if revision not in missing]
                require_free_names(connection, MIGRATIONS / "versions", applied, missing)
            connection.rollback()
            if missing and connector.pooled and "search_path" in connector.session:
                raise PoolerInTheWay
            if missing:
                _migrate(connection)
        return missing
    finally:
        engine.dispose()


@contextmanager
def _alone(engine: sa.Engine) -> Iterator[None]:
    """Holds the lock of upgrades, in a transaction that does nothing else: a pooler gives sessions to nobody.

    Nor does one wait for the lock within a statement: an index that is built concurrently waits for all of those, and
    for transactions that hold a snapshot. So the lock is asked for without parameters, which would leave one behind.
    """
    with engine.connect() as connection:
        while not connection.scalar(sa.text(f"SELECT pg_try_advisory_xact_lock({_MIGRATION_LOCK})")):
            connection.rollback()
            time.sleep(_PAUSE_SECONDS)
        try:
            yield
        finally:
            connection.rollback()


def _migrate(connection: sa.Connection) -> None:
    """Apply what is missing, each migration in its own transaction. Raises TablesInUse."""
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            command.upgrade(config, "head")
            connection.commit()
            return
        except sa.exc.OperationalError as error:
            connection.rollback()
            if getattr(error.orig, "sqlstate", None) not in _IN_THE_WAY:
                raise
            if time.monotonic() > give_up:
                raise TablesInUse from None
        time.sleep(_PAUSE_SECONDS)


def require_current_schema(engine: sa.Engine) -> None:
    """Raises SchemaOutdated, which names the missing migrations, or DatabaseUnreachable."""
    with _reaching(engine), engine.connect() as connection:
        missing = _missing(connection)
    if missing:
        lacks = "the tables of crm-pipelines" if missing == _shipped() else _named(missing)
        raise SchemaOutdated(f"The contacts database lacks {lacks}. Run `crm-pipelines db upgrade`.")


def _named(missing: Sequence[str]) -> str:
    return f"migration {missing[0]}" if len(missing) == 1 else f"migrations {missing[0]} to {missing[-1]}"


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _shipped() -> list[str]:
    """Revisions, oldest first."""
    return sorted(path.stem.split("_", 1)[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _missing(connection: sa.Connection) -> list[str]:
    """Revisions that the shipped migrations have and the database has not, oldest first."""
    shipped = _shipped()
    if connection.scalar(sa.text("SELECT to_regclass('crm_pipelines_migration')")) is None:
        return shipped
    current = connection.scalar(sa.text("SELECT version_num FROM crm_pipelines_migration")) or ""
    return [revision for revision in shipped if revision > current]


@contextmanager
def _reaching(engine: sa.Engine) -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        if problem := connection_problem(error, engine.url):
            raise DatabaseUnreachable(problem) from None
        raise
