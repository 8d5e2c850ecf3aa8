"""Connections to the contacts database: directly, or through a pooler, with the same settings in every transaction.

A direct connection gets the settings with its start. A pooler refuses such start options (PgBouncer, Neon, RDS Proxy)
or drops them, and in its transaction mode a session is nobody's own: what one sets in it is lost, or is somebody
else's. So there they are set anew with each transaction, for its length only, at one round trip each, and no statement
is prepared on the server. Nothing else in this package may need a session either: no lock, temporary table or setting
outlives a transaction.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa

from crm_pipelines.postgres_urls import start_options, written_options

# A statement may take 60 s, so that nothing waits for ever on a lock. psycopg knows moments, durations and arrays in
# the styles that Postgres begins with; a database may be set to others.
_SESSION = {
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "array_nulls": "on",
    "statement_timeout": "60000",
    "idle_in_transaction_session_timeout": "60000",
}
# Only a server that has got our start options knows it.
_MARK = "crm_pipelines.session"
_REFUSALS = ("unsupported startup parameter", "command-line options")
_READ_ONLY = "25006"


class Connector:
    """Makes the connections of one engine, and notices on the way whether a pooler is between.

    `session` are settings of Postgres beside, or instead of, those above.
    """

    def __init__(self, url: sa.URL, session: Mapping[str, str]) -> None:
        given = url.query.get("options")
        if given is None and (
            of_libpq := os.environ.get("PGOPTIONS")
        ):  # libpq reads it only where no options are given
            url = url.update_query_dict({"options": of_libpq})
        theirs, self._others = start_options(url)
        self.url = url
        self.session = {**_SESSION, **session, **theirs}
        self.pooled = False

    def connect(self, dialect: Any, _record: Any, arguments: Sequence[Any], parameters: dict[str, Any]) -> Any:
        """A connection; called by SQLAlchemy. Raises psycopg.Error."""
        if not self.pooled:
            start = written_options({**self.session, _MARK: "on"}, self._others)
            try:
                connection = dialect.connect(*arguments, **{**parameters, "options": start})
            except psycopg.OperationalError as error:
                if not any(refusal in str(error) for refusal in _REFUSALS):
                    raise
            else:
                if _is_marked(connection):
                    return connection
                connection.close()
            self.pooled = True
        start = written_options({}, self._others)
        return dialect.connect(*arguments, **{**parameters, "options": start, "prepare_threshold": None})

    def begin(self, connection: sa.Connection) -> None:
        """Called by SQLAlchemy with each transaction."""
        if self.pooled:
            calls = ", ".join(["set_config(%s, %s, true)"] * len(self.session))
            values = tuple(part for setting in self.session.items() for part in setting)
            connection.exec_driver_sql(f"SELECT {calls}", values)


def _is_marked(connection: psycopg.Connection) -> bool:
    connection.autocommit = True
    found = connection.execute("SELECT current_setting(%s, true)", [_MARK]).fetchone()
    connection.autocommit = False
    return found == ("on",)


def create_engine(url: str, *, pool_size: int = 5, application_name: str = "crm-pipelines") -> sa.Engine:
    """An engine for the contacts database.

    Connections speak UTC, give up connecting after 10 s, and notice a vanished server within a minute. A statement may
    take 60 s. What the URL says of any of this wins.
    """
    return make_engine(Connector(sa.make_url(url), {}), pool_size, application_name)


def make_engine(connector: Connector, pool_size: int, application_name: str) -> sa.Engine:
    """The engine of these connections."""
    ours = {
        "application_name": application_name,
        "connect_timeout": 10,
        "keepalives_idle": 20,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
    engine = sa.create_engine(
        connector.url,
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        json_deserializer=_from_json,
        connect_args={name: value for name, value in ours.items() if name not in connector.url.query},
    )
    sa.event.listen(engine, "do_connect", connector.connect)
    sa.event.listen(engine, "begin", connector.begin)
    sa.event.listen(engine, "handle_error", _heed)
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
    if content == b"{}":  # most contacts have no custom fields
        return {}
    return _decode(content if isinstance(content, str) else content.decode())


def _heed(context: sa.engine.ExceptionContext) -> None:
    """Where no writes are taken, there was a failover: another connection may lead to the server that takes them."""
    state = getattr(context.original_exception, "sqlstate", None)
    if state == _READ_ONLY:
        context.is_disconnect = True
    if state is not None:  # else they are libpq's own words about a connection
        for error in (context.original_exception, context.sqlalchemy_exception):
            keep_first_line(error)


def keep_first_line(error: BaseException | None) -> None:
    """Take the rest from what this error says: exceptions are shown in Dagster's pages.

    Postgres quotes the offending row there, in its own language (`DETAIL:`, `DÉTAIL :`), and where a COPY failed
    without such a word.
    """
    if error is not None and error.args and isinstance(error.args[0], str):
        error.args = (error.args[0].partition("\n")[0], *error.args[1:])
