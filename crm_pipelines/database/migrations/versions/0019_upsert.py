"""Contacts are added or changed by their address in SQL, one or many."""

from pathlib import Path

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    sql = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    # Without parameters a % in the text is only a %.
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
