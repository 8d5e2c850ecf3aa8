"""Writes through the HTTP API and the status page: the audit log, and answers kept for requests that are repeated.

Both are written in the transaction of the write itself. The audit log has the downloads of lists, too. The statements
stand in api_writes.sql.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.database.sql import load_statements

_SQL = load_statements("access/api_writes")
_MOST_IDS = 100
_AT_A_TIME = 1000


@dataclass(frozen=True, kw_only=True)
class KeptAnswer:
    """The answer to an earlier request with the key; without `answer` it is the contact, if any, to be read again."""

    fingerprint: bytes
    status: int
    answer: Any
    contact_id: UUID | None


def record(
    connection: sa.Connection,
    *,
    token_id: str | None,
    request_id: str,
    action: str,
    contacts: int,
    crms: Sequence[str] = (),
    contact_ids: Sequence[UUID] = (),
) -> None:
    """Write down who did what to how many; of the ids the first hundred.

    Without a token it was the workflow of the destination in `crms`, by its secret.
    """
    row = {"token_id": token_id, "request_id": request_id, "action": action, "contacts": contacts, "crms": list(crms)}
    connection.execute(_SQL["record"], {**row, "contact_ids": list(contact_ids[:_MOST_IDS])})


def prune(engine: sa.Engine, days: int) -> int:
    """Delete the older part of the audit log, some rows per transaction; returns how many lines went."""
    gone = 0
    while part := _delete(engine, "prune", days=days, most=_AT_A_TIME):
        gone += part
    while _delete(engine, "forget_old_keys"):
        pass
    return gone


def count_older(engine: sa.Engine, days: int) -> int:
    """How many lines of the audit log `prune` would delete."""
    with engine.connect() as connection:
        return int(connection.execute(_SQL["count_old"], {"days": days}).scalar_one())


def _delete(engine: sa.Engine, name: str, **parameters: Any) -> int:
    with engine.begin() as connection:
        return int(connection.execute(_SQL[name], parameters).rowcount)


def claim_key(connection: sa.Connection, token_id: str, key: str, fingerprint: bytes) -> KeptAnswer | None:
    """None: this is the first request with the key within a day, and its answer is to be kept."""
    connection.execute(_SQL["forget_old_keys"])
    row = {"token_id": token_id, "key": key, "fingerprint": fingerprint}
    if connection.execute(_SQL["claim_key"], row).one_or_none() is not None:
        return None
    return KeptAnswer(**connection.execute(_SQL["kept"], {"token_id": token_id, "key": key}).one()._mapping)


def keep(
    connection: sa.Connection,
    token_id: str,
    key: str,
    *,
    status: int,
    answer: Any = None,
    contact_id: UUID | None = None,
) -> None:
    """Keep the answer to the request with this key. It must hold no personal data."""
    row = {"token_id": token_id, "key": key, "status": status, "contact_id": contact_id}
    connection.execute(_SQL["keep"], {**row, "answer": None if answer is None else json.dumps(answer)})
