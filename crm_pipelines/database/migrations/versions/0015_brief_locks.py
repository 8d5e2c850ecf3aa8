"""Indexes on tables that are in use, and what else of the migrations before takes longer than a lock may be held."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

# Each also lets a migration be tried again that was broken off: an index that was not finished is not valid.
_INDEXES = {
    # Partial: hardly any row has one, and no other row pays for it.
    "crm_syncs_maybe_keys_idx": "crm_syncs USING gin (maybe_keys) WHERE maybe_keys <> '{}'",
    "crm_syncs_put_off_idx": "crm_syncs (crm) WHERE state = 'queued' AND due_since IS NOT NULL",
    # Edits are looked for at every tick; contacts that came in and were never edited need no look.
    "crm_contacts_edited_idx": "crm_contacts (updated_at) WHERE revision > 1",
    # Both are empty while every value arrives. The first finds whom a new attribute concerns, the second if anybody.
    "crm_syncs_left_out_idx": "crm_syncs USING gin (left_out) WHERE left_out <> '{}'",
    "crm_syncs_any_left_out_idx": "crm_syncs (crm) WHERE left_out <> '{}'",
}
_UNFINISHED = sa.text("SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid)")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        # Nobody waits behind an index that is built concurrently, however long that one waits for others.
        lock_timeout = connection.scalar(sa.text("SHOW lock_timeout"))
        connection.execute(sa.text("SET lock_timeout = 0"))
        for name, columns in _INDEXES.items():
            if connection.scalar(_UNFINISHED, {"name": name}):
                connection.execute(sa.text(f"DROP INDEX CONCURRENTLY {name}"))
            connection.execute(sa.text(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {columns}"))
        connection.execute(sa.text(f"SET lock_timeout = '{lock_timeout}'"))
    op.get_bind().exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
