"""Destinations have names of their own; who delivers to them is known; a gate knows what it was closed for."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

_NAMED_FOUR = ("crm_gates", "crm_attributes", "crm_walks", "crm_put_first", "crm_suppressions", "crm_syncs")
# Both in one statement, so that at no time anything is let in; the rows that are there are looked at afterwards, while
# others read and write them.
_LIFTED = """
ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_crm_check,
    ADD CONSTRAINT {table}_crm_check CHECK (crm ~ '^[a-z][a-z0-9_]{{0,29}}$') NOT VALID"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        for table in _NAMED_FOUR:
            connection.execute(sa.text(_LIFTED.format(table=table)))
            connection.execute(sa.text(f"ALTER TABLE {table} VALIDATE CONSTRAINT {table}_crm_check"))
    sql = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    # Without parameters a % in the text is only a %.
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
