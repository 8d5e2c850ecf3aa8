"""How a command gets at the contacts database."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from crm_pipelines.errors import CrmPipelinesError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from crm_pipelines.settings import Settings


class DatabaseTrouble(CrmPipelinesError):
    """The database did not do what was asked."""


def register_destinations(settings: "Settings", engine: "sa.Engine") -> None:
    """Tell the database which destinations there are. Whoever may only read it leaves that to others."""
    import sqlalchemy as sa

    from crm_pipelines.delivery.account.selectable import register_destinations as register

    with suppress(sa.exc.DBAPIError):
        register(settings, engine)


@contextmanager
def contacts_engine() -> "Iterator[tuple[Settings, sa.Engine]]":
    """The settings, and an engine on the contacts database with all its migrations, which knows the destinations.

    An error of the database becomes one sentence: the statement and its parameters may hold addresses. Raises
    SettingsError, DatabaseUnreachable, SchemaOutdated or EmbeddedPostgresError.
    """
    import sqlalchemy as sa

    from crm_pipelines.database.connection_problems import DatabaseUnreachable, connection_problem
    from crm_pipelines.database.migrating import require_current_schema
    from crm_pipelines.local.databases import contacts_database, engine_on
    from crm_pipelines.settings import load_settings

    settings = load_settings()
    with contacts_database(settings) as url, engine_on(url) as engine:
        try:
            require_current_schema(engine)
            register_destinations(settings, engine)
            yield settings, engine
        except sa.exc.DBAPIError as error:
            if problem := connection_problem(error, engine.url):
                raise DatabaseUnreachable(problem) from None
            state = getattr(error.orig, "sqlstate", None)
            raise DatabaseTrouble(
                f"The contacts database did not do what was asked ({type(error.orig).__name__}"
                f"{f', SQLSTATE {state}' if state else ''}). Nothing was left half done; see the server's log."
            ) from None
