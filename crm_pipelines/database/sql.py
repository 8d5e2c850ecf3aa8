"""Reads the named blocks of a file of SQL: `-- name: claim`, then the statement up to the next name."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

NO_TIMEOUT = sa.text("SET LOCAL statement_timeout = 0")
"""For this transaction: what concerns everybody may take longer than the connection's usual limit."""

FIVE_SECONDS = sa.text("SET LOCAL statement_timeout = '5s'")
"""For this transaction: figures for those who watch are worth no longer a time."""


def load_statements(name: str) -> dict[str, sa.TextClause]:
    """The statements of `crm_pipelines/<name>.sql` by their names."""
    text = (Path(__file__).parents[1] / f"{name}.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)[1:]
    return {name: sa.text(body) for name, body in zip(parts[::2], parts[1::2], strict=True)}


def asking(
    engine: sa.Engine, statements: Mapping[str, sa.TextClause], crm: str, *, first: sa.TextClause | None = None
) -> Callable[..., Sequence[sa.Row[Any]]]:
    """Executes a statement by its name, with `crm` and the parameters given, and returns its rows.

    Each call is a transaction, which begins with `first`.
    """

    def ask(name: str, **parameters: Any) -> Sequence[sa.Row[Any]]:
        with engine.begin() as connection:
            if first is not None:
                connection.execute(first)
            result = connection.execute(statements[name], {"crm": crm, **parameters})
            return result.all() if result.returns_rows else []

    return ask
