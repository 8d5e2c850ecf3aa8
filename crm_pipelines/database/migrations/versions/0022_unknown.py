"""A delivery may come to an end that nobody knows, at a destination where nothing must be sent twice."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

# Both in one statement, so that at no time anything is let in; the rows that are there are looked at afterwards, while
# others read and write them.
_WIDENED = """
ALTER TABLE crm_attempts DROP CONSTRAINT IF EXISTS crm_attempts_outcome_check,
    ADD CONSTRAINT crm_attempts_outcome_check CHECK (outcome IN
        ('synced', 'unchanged', 'retry', 'snoozed', 'rejected', 'skipped', 'refused', 'unknown')) NOT VALID"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        connection.execute(sa.text(_WIDENED))
        connection.execute(sa.text("ALTER TABLE crm_attempts VALIDATE CONSTRAINT crm_attempts_outcome_check"))
    op.get_bind().exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
