"""Search of contacts by any part of their texts, with and without accents, found by an index.

No extension is asked for: pg_trgm and unaccent are not on every server, and not everybody may create them.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"

_NAME = "crm_contacts_search_idx"
_COLUMNS = (
    "crm_contacts USING gin (crm_search_grams(crm_searchable(email, name, first_name, last_name, custom_fields)))"
)
_UNFINISHED = sa.text("SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid)")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        sql = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
        connection.exec_driver_sql(sql, execution_options={"no_parameters": True})
        # As in 0015: nobody waits behind it, and one that was broken off is built anew.
        lock_timeout = connection.scalar(sa.text("SHOW lock_timeout"))
        connection.execute(sa.text("SET lock_timeout = 0"))
        if connection.scalar(_UNFINISHED, {"name": _NAME}):
            connection.execute(sa.text(f"DROP INDEX CONCURRENTLY {_NAME}"))
        connection.execute(sa.text(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {_NAME} ON {_COLUMNS}"))
        connection.execute(sa.text(f"SET lock_timeout = '{lock_timeout}'"))
