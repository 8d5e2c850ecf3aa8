"""What an import would come to, without a row or a file being written."""

import json
from collections.abc import Iterator, Set
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Self

import sqlalchemy as sa

from crm_pipelines.database.sql import load_statements
from crm_pipelines.files.cleaning import FIELDS, Record, cell_text
from crm_pipelines.files.columns import Columns
from crm_pipelines.files.loading import Loaded, Selection, completed, keyed
from crm_pipelines.files.opt_outs import known_opt_outs
from crm_pipelines.files.report import SHOWN, ColumnTaken, ImportOutcome, Merged
from crm_pipelines.files.tables import Row, is_blank

_SQL = load_statements("files/forecast")
_LONGEST_EXAMPLE = 60


@dataclass(frozen=True, kw_only=True)
class ColumnUse(ColumnTaken):
    """`example` is the first value of the column, None if all cells are blank."""

    example: str | None


@dataclass(frozen=True, kw_only=True)
class Respelling:
    """A row whose address the database has in another spelling; the stored one stays."""

    line: int
    email: str
    stored: str


@dataclass(frozen=True, kw_only=True)
class ImportForecast(ImportOutcome):
    """What an import would come to.

    `added`, `updated` and `unchanged` are None if no database was asked, and CRMs are missing in `selected`,
    `taken_back` and `suppressed`. `merged` are the first rows with the address of an earlier one. `respelt` counts rows
    whose address the database has in another spelling, `respellings` are the first of them.
    """

    columns: tuple[ColumnUse, ...]
    merged: tuple[Merged, ...]
    respelt: int
    respellings: tuple[Respelling, ...]

    @property
    def contacts(self) -> int:
        """How many would be in the database afterwards that the file names."""
        return self.rows - self.duplicates - self.rejected

    def _counts(self) -> dict[str, int | None]:
        counts = super()._counts()
        usable = self.contacts if self.added is None else None
        return {"usable": usable, "would be added": counts.pop("added"), **counts}


def taken(columns: Columns, position: int) -> ColumnTaken:
    """What becomes of the column at this position."""
    return ColumnTaken(
        header=columns.header[position],
        field=columns.fields.get(position),
        custom_field=columns.custom.get(position),
        meaning=columns.meaning(position),
    )


class ColumnWatcher:
    """Looks at the rows on their way: which columns hold something, and what."""

    def __init__(self, header: list[str], columns: Columns) -> None:
        self._header = header
        self._columns = columns
        self._examples: dict[int, str] = {}

    def watch(self, rows: Iterator[Row]) -> Iterator[Row]:
        sought = set(range(len(self._header)))
        for row in rows:
            for position in [at for at in sought if at < len(row.cells) and not is_blank(row.cells[at])]:
                text = " ".join(cell_text(row.cells[position]).split())
                self._examples[position] = text if len(text) <= _LONGEST_EXAMPLE else f"{text[: _LONGEST_EXAMPLE - 1]}…"
                sought.discard(position)
            yield row

    def columns(self) -> tuple[ColumnUse, ...]:
        """Of all columns with a header or a value."""
        return tuple(
            ColumnUse(**vars(taken(self._columns, position)), example=self._examples.get(position))
            for position, header in enumerate(self._header)
            if header or position in self._examples
        )


class Expectation(AbstractContextManager["Expectation"]):
    """Compares records with what the database has, in transactions that can only read.

    A role that may only read will do, and a standby. Without an engine nothing is compared.
    """

    def __init__(self, engine: sa.Engine | None, crms: list[str]) -> None:
        self.respelt = 0
        self.respellings: list[Respelling] = []
        self.selection = Selection.of_nobody(crms if engine else [])
        self._opted_out: set[int] = set()  # hashes of keys
        self._engine = engine
        self._open = ExitStack()

    def __enter__(self) -> Self:
        if self._engine is not None:
            connection = self._open.enter_context(self._engine.connect())
            self._connection = connection.execution_options(postgresql_readonly=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def keyed(self, records: list[Record]) -> list[Record]:
        """As the loader does, if there is a database to ask."""
        return records if self._engine is None else keyed(self._connection, records)

    def load(self, records: list[Record], repeated: Set[str]) -> Loaded:
        """What would be added and changed. A record of an earlier chunk counts there, as in a real import."""
        self._opt_out([record for record in records if record.opted_out], repeated)
        records = [record for record in records if record.key not in repeated]
        if self._engine is None or not records:
            return Loaded(0, 0)
        with self._connection.begin():
            given = [_document(record) for record in completed(self._connection, records)]
            document = json.dumps(given, ensure_ascii=False, default=str)
            found = self._connection.execute(_SQL["expect"], {"records": document, "shown": SHOWN}).one()
            self._select(self._without_opt_outs(records), times=1)
        self.respelt += found.respelt
        self.respellings += [
            Respelling(line=int(line), email=email, stored=stored)
            for line, email, stored in found.respellings[: SHOWN - len(self.respellings)]
        ]
        return Loaded(found.added, found.updated)

    def _without_opt_outs(self, records: list[Record]) -> list[Record]:
        willing = [record for record in records if not record.opted_out]
        if not self.selection.selected:
            return willing
        known = known_opt_outs(self._connection, willing)
        self.selection.leave_alone(len(known))
        self._opted_out |= {hash(key) for key in known}
        return [record for record in willing if record.key not in known]

    def _opt_out(self, records: list[Record], repeated: Set[str]) -> None:
        """Whoever was counted in an earlier chunk, and opts out in this one, would not be selected after all."""
        gone = [one for one in records if one.key in repeated and hash(one.key) not in self._opted_out]
        self._opted_out |= {hash(one.key) for one in records}
        if gone and self._engine is not None:
            with self._connection.begin():
                self._select(gone, times=-1)

    def _select(self, records: list[Record], *, times: int) -> None:
        spelt = {"keys": [one.key for one in records], "emails": [one.values["email"] for one in records]}
        for crm in self.selection.selected:
            of_crm = self._connection.execute(_SQL["expect_selected"], {"crm": crm, **spelt}).one()
            self.selection.add(crm, of_crm, times=times)


def _document(record: Record) -> dict[str, object]:
    values = {field: record.values.get(field) for field in FIELDS[:-1]}
    return {"line": record.line, "key": record.key, **values, "custom_fields": record.custom_fields}
