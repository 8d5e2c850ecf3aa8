"""Indexes for search and for delivered contacts that were sent with another mapping.

By themselves: whoever breaks off what takes minutes leaves nothing behind that the next upgrade would take for
somebody else's.
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"

_INDEXES = {
    # So that those of another mapping are found without the others.
    "crm_syncs_mapping_idx": "crm_syncs (crm, mapping_version) WHERE state = 'synced'",
    "crm_contacts_search_idx": (
        "crm_contacts USING gin (crm_search_grams(crm_searchable(email, name, first_name, last_name, custom_fields)))"
    ),
}
_UNFINISHED = sa.text("SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid)")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        # As in 0015: nobody waits behind them, and one that was broken off is built anew.
        lock_timeout = connection.scalar(sa.text("SHOW lock_timeout"))
        connection.execute(sa.text("SET lock_timeout = 0"))
        for name, columns in _INDEXES.items():
            if connection.scalar(_UNFINISHED, {"name": name}):
                connection.execute(sa.text(f"DROP INDEX CONCURRENTLY {name}"))
            connection.execute(sa.text(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {columns}"))
        connection.execute(sa.text(f"SET lock_timeout = '{lock_timeout}'"))
