"""Tokens for the HTTP API: created, found, listed, revoked. The statements stand in tokens.sql.

A token is `crmp_<id>_<secret>`. Only the SHA-256 of the secret is stored: of 256 random bits that is enough, where a
password would need a slow hash.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crm_pipelines.database.sql import load_statements
from crm_pipelines.errors import CrmPipelinesError, UsageError

SCOPES = ("read", "write")

_SQL = load_statements("access/tokens")
_LONGEST_NAME = 100
_FORM = re.compile(r"crmp_(?P<id>[0-9a-f]{8})_(?P<secret>[A-Za-z0-9_-]{43})", re.ASCII)


class TokenRefused(CrmPipelinesError):
    """The token is unknown, was revoked, or has expired."""


class TokenUnknown(CrmPipelinesError):
    """No token has this name. `crm-pipelines tokens list` shows those that there are."""


@dataclass(frozen=True, kw_only=True)
class Bearer:
    """Who makes a request: the token by its id and name, and what it allows (`read`, `write`)."""

    token_id: str
    name: str
    scopes: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Token:
    """What is known of a token; `last_used_at` is exact to the minute."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


def create_token(engine: sa.Engine, name: str, scopes: Sequence[str], *, days: int | None = None) -> str:
    """A new token, which nobody can show again, and which expires after so many days; None: never.

    Raises UsageError for a bad name, or one that a token has that was not revoked.
    """
    name = name.strip()
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
        raise UsageError(f"A token needs a name of 1 to {_LONGEST_NAME} printable characters that says who uses it.")
    identifier, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    row = {"id": identifier, "name": name, "digest": digest_of(secret), "scopes": sorted(set(scopes)), "days": days}
    with engine.begin() as connection:
        if connection.execute(_SQL["create"], row).one_or_none() is None:
            raise UsageError(f"There is a token named {name!r} already: choose another name, or revoke that one first.")
    return f"crmp_{identifier}_{secret}"


def authenticate(engine: sa.Engine, token: str) -> Bearer:
    """Whose token it is. Raises TokenRefused."""
    parts = _FORM.fullmatch(token)
    if parts is None:
        raise TokenRefused
    with engine.begin() as connection:
        row = connection.execute(_SQL["find"], {"id": parts["id"]}).one_or_none()
        # Compared even with nothing, in constant time: how long a refusal takes tells neither the id nor the secret.
        right = hmac.compare_digest(digest_of(parts["secret"]), row.digest if row else bytes(32))
        if row is None or not right:
            raise TokenRefused
        return used(connection, row)


def used(connection: sa.Connection, row: sa.Row[Any]) -> Bearer:
    """Whose token a found row is; that it is used now is noted when the row says that this is `stale`."""
    if row.stale:
        connection.execute(_SQL["touch"], {"id": row.id})
    return Bearer(token_id=row.id, name=row.name, scopes=frozenset(row.scopes))


def list_tokens(engine: sa.Engine) -> list[Token]:
    """All tokens, the revoked ones too, the oldest first."""
    with engine.connect() as connection:
        return [Token(**{**row._mapping, "scopes": tuple(row.scopes)}) for row in connection.execute(_SQL["all"])]


def any_token(engine: sa.Engine) -> bool:
    """Whether there is a token that is accepted."""
    with engine.connect() as connection:
        return bool(connection.execute(_SQL["any"]).scalar_one())


def revoke_token(engine: sa.Engine, name: str) -> None:
    """From now on the token of this name or id is refused. Raises TokenUnknown."""
    with engine.begin() as connection:
        if not connection.execute(_SQL["revoke"], {"name": name}).all():
            raise TokenUnknown


def digest_of(secret: str) -> bytes:
    """What is stored of it."""
    return hashlib.sha256(secret.encode()).digest()
