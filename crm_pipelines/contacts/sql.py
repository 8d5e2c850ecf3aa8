"""Reads the named blocks of a file of SQL: `-- name: claim`, then the statement up to the next name."""

import re
from pathlib import Path

import sqlalchemy as sa


def load_statements(name: str) -> dict[str, sa.TextClause]:
    """The statements of `crm_pipelines/contacts/<name>.sql` by their names."""
    text = (Path(__file__).parent / f"{name}.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)[1:]
    return {name: sa.text(body) for name, body in zip(parts[::2], parts[1::2], strict=True)}
