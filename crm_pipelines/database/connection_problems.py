"""Why the contacts database cannot be reached or used: one sentence that names the part that is wrong. Pure.

Before there is a connection libpq gives no SQLSTATE, so its words and the server's are all there is to go by; a server
that speaks another language is quoted. Afterwards it is the SQLSTATE. The sentences stand in
connection_problems.toml.
"""

import re
import tomllib
from pathlib import Path

import psycopg
import sqlalchemy as sa

from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.postgres_urls import place_of


class DatabaseUnreachable(CrmPipelinesError):
    """The contacts database does not answer. Check CRM_DATABASE_URL and that the server runs."""


_KNOWN = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_BY_SQLSTATE: dict[str, str] = {one["sqlstate"]: one["text"] for one in _KNOWN["number"]}
_BY_WORDS: list[tuple[re.Pattern[str], str]] = [
    (re.compile("|".join(one["said"]), re.IGNORECASE), one["text"]) for one in _KNOWN["words"]
]
# Connections, logins, databases that are not there, resources, stops and starts.
_OF_CONNECTIONS = {"08", "28", "3D", "53", "57"}
_STATEMENT_CANCELLED = "57014"
_PARAMETER = re.compile("invalid (URI query parameter|connection option)")
_FEW = 3
_PREFIX = re.compile(r"^(connection (failed|is bad): )?(connection to server (at|on) .*? failed: )?((FATAL|ERROR): *)?")


def connection_problem(error: sa.exc.DBAPIError, url: sa.URL) -> str | None:
    """The sentence about the database, without a password; None if the connection is not what went wrong."""
    cause = error.orig
    if not isinstance(cause, psycopg.DatabaseError):
        return None
    where = f"The contacts database at {place_of(url)}"
    state = cause.sqlstate
    if state in _BY_SQLSTATE:
        return f"{where} {_BY_SQLSTATE[state]}"
    if state is not None and (state[:2] not in _OF_CONNECTIONS or state == _STATEMENT_CANCELLED):
        return None
    words = str(cause)
    if not isinstance(cause, psycopg.OperationalError) and not _PARAMETER.search(words):
        return None
    for pattern, text in _BY_WORDS:
        if pattern.search(words):
            return f"{where} {text}"
    return f"{where} cannot be used. {_quoted(words, url)}Check CRM_DATABASE_URL and that the server runs."


def _quoted(words: str, url: sa.URL) -> str:
    """The first line of what was said, without the password."""
    line = _PREFIX.sub("", words.strip().partition("\n")[0], count=1).strip().rstrip(".")[:200]
    if password := re.escape(str(url.password or "")):
        # One of a few letters is a part of many words.
        line = re.sub(password if len(password) > _FEW else rf"(?<!\w){password}(?!\w)", "…", line)
    return f"It says: {line}. " if line else ""
