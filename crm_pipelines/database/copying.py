"""COPY within a transaction of SQLAlchemy, which knows no COPY: what goes wrong is raised as for any statement."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa

from crm_pipelines.database.connecting import keep_first_line


@contextmanager
def copying(connection: sa.Connection, statement: str) -> Iterator[psycopg.Copy]:
    """To write rows to, for this `COPY ... FROM STDIN`. Raises sa.exc.DBAPIError, without the row that was refused."""
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            yield copy
    except psycopg.Error as error:
        keep_first_line(error)
        raise sa.exc.DBAPIError.instance(statement, None, error, psycopg.Error, hide_parameters=True) from error
