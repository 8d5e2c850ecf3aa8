"""The connection to the contacts database, its migrations, and the check that they are all there."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from crm_pipelines.errors import CrmPipelinesError

MIGRATIONS = Path(__file__).parent / "migrations"
# Any constant will do; two upgrades at once wait for each other on it.
_MIGRATION_LOCK = 0x63726D70
# Whatever comes to a table behind a migration that waits for it waits as long. Shorter than Postgres' deadlock_timeout
# (1 s): of a migration and a user's transaction that wait for each other, the migration gives way.
_LOCK_TIMEOUT = "500ms"
# In between, those that waited behind the migration get on.
_PAUSE_SECONDS = 1.0
_PATIENCE_SECONDS = 1800
_IN_THE_WAY = {"55P03", "40P01"}  # lock_not_available, deadlock_detected


class DatabaseUnreachable(CrmPipelinesError):
    """The contacts database does not answer. Check CRM_DATABASE_URL and that the server runs."""


class TablesInUse(CrmPipelinesError):
    """Somebody's transaction holds a table that is to be migrated. End it, and run `crm-pipelines db upgrade` again."""


class SchemaOutdated(CrmPipelinesError):
    """The contacts database lacks migrations. Run `crm-pipelines db upgrade`."""


def create_engine(url: str, *, pool_size: int = 5, application_name: str = "crm-pipelines") -> sa.Engine:
    """An engine for the contacts database.

    Connections speak UTC, give up connecting after 10 s, and notice a vanished server within a minute. A statement may
    take 60 s, so that nothing waits for ever on a lock.
    """
    engine = sa.create_engine(
        url,
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        json_deserializer=_from_json,
        connect_args={
            "application_name": application_name,
            "connect_timeout": 10,
            "keepalives_idle": 20,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 60_000,
            "options": "-c timezone=UTC -c statement_timeout=60000 -c idle_in_transaction_session_timeout=60000",
        },
    )
    sa.event.listen(engine, "handle_error", _leave_out_values)
    return engine


def _whole_number(digits: str) -> int | str:
    """Python reads no number of more than 4300 digits. As a text such a one harms none but its own field."""
    try:
        return int(digits)
    except ValueError:
        return digits


# Made once: json.loads makes a new one for every call with arguments like these.
_decode = json.JSONDecoder(parse_int=_whole_number).decode


def _from_json(content: str | bytes) -> Any:
    return _decode(content if isinstance(content, str) else content.decode())


def _leave_out_values(context: sa.engine.ExceptionContext) -> None:
    """Postgres quotes the offending row below its first line, and exceptions are shown in Dagster's pages."""
    for error in (context.original_exception, context.sqlalchemy_exception):
        if error is not None and error.args and isinstance(error.args[0], str):
            first, found, _ = error.args[0].partition("\nDETAIL:")
            if found:
                error.args = (first, *error.args[1:])


def upgrade(url: str) -> list[str]:
    """Create or migrate the tables; returns the revisions applied. Safe to repeat and to run twice at once.

    Tables that a newer version has migrated are left as they are: migrations only add. A migration that does not get
    its locks at once lets others pass and tries again, for half an hour. Raises DatabaseUnreachable or TablesInUse.
    """
    engine = create_engine(url, application_name="crm-pipelines db upgrade")
    try:
        with _reaching(engine), _alone(engine), engine.connect() as connection:
            connection.execute(sa.text("SET statement_timeout = 0"))
            connection.execute(sa.text(f"SET lock_timeout = '{_LOCK_TIMEOUT}'"))
            connection.commit()
            missing = _missing(connection)
            connection.rollback()
            if missing:
                _migrate(connection)
        return missing
    finally:
        engine.dispose()


@contextmanager
def _alone(engine: sa.Engine) -> Iterator[None]:
    """Holds the lock of upgrades, without a transaction.

    Nor does one wait for the lock within a statement: an index that is built concurrently waits for all of those.
    """
    key = {"key": _MIGRATION_LOCK}
    with engine.connect() as connection:
        while not connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), key):
            connection.commit()
            time.sleep(_PAUSE_SECONDS)
        connection.commit()
        try:
            yield
        finally:
            connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), key)
            connection.commit()


def _migrate(connection: sa.Connection) -> None:
    """Apply what is missing, each migration in its own transaction. Raises TablesInUse."""
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
        raise SchemaOutdated(
            f"The contacts database lacks migration {', '.join(missing)}. Run `crm-pipelines db upgrade`."
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _missing(connection: sa.Connection) -> list[str]:
    """Revisions that the shipped migrations have and the database has not, oldest first."""
    shipped = sorted(path.stem.split("_", 1)[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    if connection.scalar(sa.text("SELECT to_regclass('crm_pipelines_migration')")) is None:
        return shipped
    current = connection.scalar(sa.text("SELECT version_num FROM crm_pipelines_migration")) or ""
    return [revision for revision in shipped if revision > current]


@contextmanager
def _reaching(engine: sa.Engine) -> Iterator[None]:
    try:
        yield
    except sa.exc.OperationalError as error:
        where = f"{engine.url.host}:{engine.url.port or 5432}/{engine.url.database}"
        raise DatabaseUnreachable(
            f"The contacts database at {where} does not answer ({type(error.orig).__name__}). "
            "Check CRM_DATABASE_URL and that the server runs."
        ) from None
