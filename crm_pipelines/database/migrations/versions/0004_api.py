"""Who may use the HTTP API, what was written through it, and answers that a repeated request gets again."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    sql = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    # Without parameters a % in the text is only a %.
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
