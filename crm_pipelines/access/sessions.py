"""Sessions of the status page: begun with a token, found by the value in the cookie, ended.

The value is 256 random bits and no token: it opens the page alone, ends with its token, by signing out, and after some
hours. Only its SHA-256 is stored. The statements stand in sessions.sql.
"""

import secrets
from datetime import timedelta

import sqlalchemy as sa

from crm_pipelines.access.tokens import Bearer, digest_of, used
from crm_pipelines.database.sql import load_statements
from crm_pipelines.errors import CrmPipelinesError

LIFETIME = timedelta(hours=12)
"""A day's work: whoever finds a browser open in the morning does not find it signed in."""

_SQL = load_statements("access/sessions")


class SessionEnded(CrmPipelinesError):
    """The session is unknown, is over, or its token is no longer accepted."""


def begin_session(engine: sa.Engine, identity: Bearer) -> str:
    """The value of a new session's cookie, which nobody can show again."""
    value = secrets.token_urlsafe(32)
    with engine.begin() as connection:
        connection.execute(_SQL["forget_ended"])
        row = {"digest": digest_of(value), "token_id": identity.token_id, "lifetime": LIFETIME}
        connection.execute(_SQL["begin"], row)
    return value


def find_session(engine: sa.Engine, value: str) -> Bearer:
    """Whose session it is. Raises SessionEnded."""
    with engine.begin() as connection:
        row = connection.execute(_SQL["find"], {"digest": digest_of(value)}).one_or_none()
        if row is None:
            raise SessionEnded
        return used(connection, row)


def end_session(engine: sa.Engine, value: str) -> None:
    """From now on this value opens nothing."""
    with engine.begin() as connection:
        connection.execute(_SQL["end"], {"digest": digest_of(value)})
