"""Whether the names that migrations are about to make are free: another program may have a table contacts."""

import re
from collections.abc import Iterable
from pathlib import Path

import sqlalchemy as sa

from crm_pipelines.database.sql import load_statements
from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.vocabulary import counted

_SQL = load_statements("database/taken_names")
_CREATED = re.compile(
    r"^CREATE (?:OR REPLACE )?(?:UNIQUE )?(TABLE|VIEW|INDEX|FUNCTION) (?:IF NOT EXISTS )?(\w+)(?![\w.])", re.MULTILINE
)


class NamesTaken(CrmPipelinesError):
    """The database has tables of somebody else by the names of ours."""


def require_free_names(connection: sa.Connection, folder: Path, applied: list[str], missing: list[str]) -> None:
    """To be asked before the migrations `missing` run, of which `folder` has the SQL.

    Raises NamesTaken.
    """
    names = _created(folder, missing) - _created(folder, applied)
    given = {
        "relations": [name for kind, name in names if kind != "FUNCTION"],
        "functions": [name for kind, name in names if kind == "FUNCTION"],
    }
    taken = connection.execute(_SQL["taken"], given).all()
    if taken:
        first = f"{'an' if taken[0].kind == 'index' else 'a'} {taken[0].kind} {taken[0].name}"
        more = f" and {counted(len(taken) - 1, 'other name')} that we need" if len(taken) > 1 else ""
        raise NamesTaken(
            f"The database already has {first}{more} in the schema {taken[0].schema}, not made by crm-pipelines, so "
            f"nothing {'more ' if applied else ''}was created. Set CRM_DATABASE_URL to another database, or to a "
            "schema of its own: `CREATE SCHEMA crm`, and `?options=-csearch_path%3Dcrm` at the end of the URL."
        )


def _created(folder: Path, revisions: Iterable[str]) -> set[tuple[str, str]]:
    """Kind and name of all that these migrations make."""
    files = (file for revision in revisions for file in folder.glob(f"{revision}_*.sql"))
    return {found for file in files for found in _CREATED.findall(file.read_text(encoding="utf-8"))}
