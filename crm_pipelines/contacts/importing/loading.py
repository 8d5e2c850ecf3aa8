"""Brings records into the database: COPY into a temporary table, then one statement for the whole chunk."""

import json
from collections.abc import Set
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import psycopg
import sqlalchemy as sa

from crm_pipelines.contacts.importing.cleaning import FIELDS, PARTS, Record, missing_part
from crm_pipelines.contacts.sql import load_statements

_SQL = load_statements("importing/loading")
_COPY = f"COPY imported (line, repeated, opted_out, address, {', '.join(FIELDS)}) FROM STDIN"
# From here on, plans made with the statistics of before would be bad ones.
_MANY = 1_000


@dataclass(frozen=True)
class Loaded:
    """Contacts that are new in the database, and those that were changed; of the latter only those first met here."""

    added: int
    updated: int


class Loader:
    """A connection; each `load` is one transaction, with a temporary table of its own."""

    def __init__(self, engine: sa.Engine, crms: list[str]) -> None:
        self._connection = engine.connect()
        self._written = 0
        self.selected = dict.fromkeys(crms, 0)
        self.taken_back = dict.fromkeys(crms, 0)
        self.suppressed = dict.fromkeys(crms, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._written >= _MANY:
                self._connection.execute(sa.text("ANALYZE crm_contacts, crm_syncs"))
                self._connection.commit()
        finally:
            self._connection.close()

    def keyed(self, records: list[Record]) -> list[Record]:
        """The same with the normal form of each address as its key, by which the database compares."""
        # Of what is printable ASCII the normal form is lower case.
        asked = list({record.key for record in records if not record.key.isascii()})
        if not asked:
            return records
        with self._connection.begin():
            found = self._connection.execute(_SQL["normal_forms"], {"addresses": asked})
            forms = {row.address: row.form for row in found}
        return [replace(record, key=forms.get(record.key, record.key)) for record in records]

    def load(self, records: list[Record], repeated: Set[str]) -> Loaded:
        """Insert or update the contacts, and select them; the keys in `repeated` were in an earlier chunk too."""
        with self._connection.begin():
            self._connection.execute(_SQL["stage"])
            driver = self._connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
                for record in records:
                    custom_fields = json.dumps(record.custom_fields, ensure_ascii=False)
                    copy.write_row(
                        [
                            record.line,
                            record.key in repeated,
                            record.opted_out,
                            record.key,
                            *(record.values.get(field) for field in FIELDS[:-1]),
                            custom_fields,
                        ]
                    )
            self._complete(records)
            counts = self._connection.execute(_SQL["upsert"]).one()
            for crm in self.selected:
                of_crm = self._connection.execute(_SQL["select"], {"crm": crm}).one()
                self.selected[crm] += of_crm.selected
                self.taken_back[crm] += of_crm.taken_back
                self.suppressed[crm] += of_crm.suppressed
        self._written += counts.added + counts.updated
        return Loaded(counts.added, counts.updated)

    def _complete(self, records: list[Record]) -> None:
        """A contact of whom only the whole name is known, and of whom the file has one part: the other stays."""
        if all(sum(field in record.values for field in PARTS) != 1 for record in records):
            return
        of_line = {record.line: record for record in records}
        missing = [
            {"line": line, **dict.fromkeys(PARTS), **missing_part(of_line[line].values, name)}
            for line, name in self._connection.execute(_SQL["whole_names"])
        ]
        if missing:
            self._connection.execute(_SQL["complete"], missing)
