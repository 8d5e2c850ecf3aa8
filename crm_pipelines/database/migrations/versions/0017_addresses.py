"""One normal form of addresses: a column that a trigger keeps, unique, and what compares addresses by it.

The former version's run goes on meanwhile: it inserts with ON CONFLICT (lower(btrim(email))), so that index stays.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

_FILES = Path(__file__).parent
# Partial, though hardly a row is left out: with a unique index that a foreign key could use, every change of an address
# would wait for the entries that are being written about its contact, and hold them up.
_ADDRESSES = ("crm_contacts_address_key", "UNIQUE INDEX", "crm_contacts (address) WHERE address IS NOT NULL")
_TWINS = (
    "crm_contacts_twins_idx",
    "INDEX",
    "crm_contacts (crm_address(email)) WHERE address IS NULL AND email IS NOT NULL",
)
_UNFINISHED = sa.text("SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid)")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        connection.exec_driver_sql(_read("addresses"), execution_options={"no_parameters": True})
        _build(connection, *_ADDRESSES)
        for _ in _settled(connection, "SKIP LOCKED"):
            pass
        for _ in _settled(connection, ""):  # those that somebody's transaction held; if one still does, later again
            pass
        _build(connection, *_TWINS)
    op.get_bind().exec_driver_sql(_read("twins"), execution_options={"no_parameters": True})


def _read(name: str) -> str:
    return (_FILES / f"0017_{name}.sql").read_text(encoding="utf-8")


def _build(connection: sa.Connection, name: str, kind: str, columns: str) -> None:
    """As in 0015: nobody waits behind it, and one that was broken off is built anew."""
    lock_timeout = connection.scalar(sa.text("SHOW lock_timeout"))
    connection.execute(sa.text("SET lock_timeout = 0"))
    if connection.scalar(_UNFINISHED, {"name": name}):
        connection.execute(sa.text(f"DROP INDEX CONCURRENTLY {name}"))
    connection.execute(sa.text(f"CREATE {kind} CONCURRENTLY IF NOT EXISTS {name} ON {columns}"))
    connection.execute(sa.text(f"SET lock_timeout = '{lock_timeout}'"))


def _settled(connection: sa.Connection, skipping: str) -> Iterator[UUID]:
    """A transaction for each batch, so that no row is locked for long. Yields the last contact of each."""
    statement = sa.text(_read("backfill").replace("{skipping}", skipping))
    after: UUID | None = UUID(int=0)
    while after is not None:
        yield after
        with suppress(sa.exc.IntegrityError):  # somebody has just written one of these addresses: the batch once more
            after = connection.scalar(statement, {"after": after})
