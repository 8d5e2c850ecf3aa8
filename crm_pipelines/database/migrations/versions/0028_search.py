"""Search of contacts by any part of their texts, with and without accents: the functions that 0029 builds an index of.

No extension is asked for: pg_trgm and unaccent are not on every server, and not everybody may create them.
"""

from pathlib import Path

from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    sql = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(sql, execution_options={"no_parameters": True})
