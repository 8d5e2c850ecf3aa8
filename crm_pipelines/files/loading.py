"""Brings records into the database: COPY into a temporary table, then one statement for the whole chunk."""

import json
from collections.abc import Iterator, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Self

import sqlalchemy as sa

from crm_pipelines.database.copying import copying
from crm_pipelines.database.sql import load_statements
from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.files.cleaning import FIELDS, PARTS, Record, missing_part
from crm_pipelines.files.opt_outs import known_opt_outs

_SQL = load_statements("files/loading")
_COPY = f"COPY imported (line, repeated, opted_out, address, {', '.join(FIELDS)}) FROM STDIN"
# From here on, plans made with the statistics of before would be bad ones.
_MANY = 1_000
# Contacts per statement when they are selected: few statements for a large file, each far below the time-out.
_SELECTED_AT_ONCE = 20_000
_ID_BYTES = 16


class SameInOtherLetters(CrmPipelinesError):
    """Addresses that the table takes for one, though they are not (İ beside i), keep this chunk from coming in."""

    def __init__(self, lines: list[int]) -> None:
        listed = ", ".join(map(str, lines[:5])) + (", …" if len(lines) > len(lines[:5]) else "")
        super().__init__(
            f"line {listed}: the address differs from that of another contact or row in letters only that Postgres "
            "takes for the same (such as İ and i). Leave one of them. Rows before it may be in, the others are not."
        )


@dataclass(frozen=True)
class Loaded:
    """Contacts that are new in the database, and those that were changed; of the latter only those first met here."""

    added: int
    updated: int


@dataclass(frozen=True)
class Selection:
    """How many contacts of the file are selected per CRM, or were left alone: see ImportReport."""

    selected: dict[str, int]
    taken_back: dict[str, int]
    suppressed: dict[str, int]
    opted_out_before: dict[str, int]

    @classmethod
    def of_nobody(cls, crms: list[str]) -> Self:
        return cls(*(dict.fromkeys(crms, 0) for _ in range(4)))

    def leave_alone(self, opted_out_before: int) -> None:
        """Count those who are not selected, since they have opted out, as the database knows."""
        for crm in self.opted_out_before:
            self.opted_out_before[crm] += opted_out_before

    def add(self, crm: str, counts: sa.Row[tuple[int, int, int]], *, times: int = 1) -> None:
        self.selected[crm] += counts.selected * times
        self.taken_back[crm] += counts.taken_back * times
        self.suppressed[crm] += counts.suppressed * times


class Loader(AbstractContextManager["Loader"]):
    """A connection; each `load` is one transaction, with a temporary table of its own."""

    def __init__(self, engine: sa.Engine, crms: list[str]) -> None:
        self._connection = engine.connect()
        self._written = 0
        self._selection = Selection.of_nobody(crms)
        self._crms = crms
        self._named = bytearray()  # the ids of all contacts in the file, if they are to be selected
        self._opted_out: set[bytes] = set()  # those of whom some row says so, perhaps a later one

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and self._written >= _MANY:
                self._connection.execute(sa.text("ANALYZE crm_contacts, crm_syncs"))
                self._connection.commit()
        finally:
            self._connection.close()

    def keyed(self, records: list[Record]) -> list[Record]:
        """See `keyed`."""
        return keyed(self._connection, records)

    def load(self, records: list[Record], repeated: Set[str]) -> Loaded:
        """Insert or update the contacts; the keys in `repeated` were in an earlier chunk too.

        Raises SameInOtherLetters.
        """
        try:
            return self._load(records, repeated)
        except sa.exc.IntegrityError:
            if lines := self._clashing(records):
                raise SameInOtherLetters(lines) from None
            raise

    def _clashing(self, records: list[Record]) -> list[int]:
        """The lines of addresses that are others, but not by the index of before addresses had a normal form."""
        given = {
            "lines": [record.line for record in records],
            "keys": [record.key for record in records],
            "emails": [record.values["email"] for record in records],
        }
        with self._connection.begin():
            return list(self._connection.execute(_SQL["clashing"], given).scalars())

    def _load(self, records: list[Record], repeated: Set[str]) -> Loaded:
        with self._connection.begin():
            self._connection.execute(_SQL["stage"])
            records = self._with_opt_outs(completed(self._connection, records), repeated)
            with copying(self._connection, _COPY) as copy:
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
            if moved := [{"key": record.key, "moved": record.moved} for record in records if record.moved]:
                self._connection.execute(_SQL["move"], {"moved": json.dumps(moved, ensure_ascii=False)})
            counts = self._connection.execute(_SQL["upsert"]).one()
            if self._crms:
                named = self._connection.execute(_SQL["named"]).one()
                self._named += named.ids
                self._opted_out.update(_cut(named.opted_out))
        self._written += counts.added + counts.updated
        return Loaded(counts.added, counts.updated)

    def _with_opt_outs(self, records: list[Record], repeated: Set[str]) -> list[Record]:
        """The same; who has opted out before is not to be selected by this file either."""
        if not self._crms:
            return records
        first = [record for record in records if not record.opted_out and record.key not in repeated]
        known = known_opt_outs(self._connection, first)
        self._selection.leave_alone(len(known))
        return [replace(record, opted_out=True) if record.key in known else record for record in records]

    def select(self) -> Selection:
        """Select all contacts of the file, or nobody: none is claimed by a run before every row is in."""
        counts = self._selection
        if not self._named:
            return counts
        # In one order, so that two imports at once do not lock each other out.
        ids = sorted(one for one in _cut(self._named) if one not in self._opted_out)
        with self._connection.begin():
            for crm in self._crms:
                for at in range(0, len(ids), _SELECTED_AT_ONCE):
                    batch = ",".join(one.hex() for one in ids[at : at + _SELECTED_AT_ONCE])
                    found = self._connection.execute(_SQL["select"], {"crm": crm, "ids": f"{{{batch}}}"})
                    counts.add(crm, found.one())
        return counts


def _cut(ids: bytes | bytearray) -> Iterator[bytes]:
    return (bytes(ids[at : at + _ID_BYTES]) for at in range(0, len(ids), _ID_BYTES))


def keyed(connection: sa.Connection, records: list[Record]) -> list[Record]:
    """The same with the normal form of each address as its key, by which the database compares."""
    # Of what is printable ASCII the normal form is lower case.
    asked = list({record.key for record in records if not record.key.isascii()})
    if not asked:
        return records
    with connection.begin():
        found = connection.execute(_SQL["normal_forms"], {"addresses": asked})
        forms = {row.address: row.form for row in found}
    return [replace(record, key=forms.get(record.key, record.key)) for record in records]


def completed(connection: sa.Connection, records: list[Record]) -> list[Record]:
    """The same; of whom only the whole name is stored, and one part is in the record, the other part stays."""
    keys = [record.key for record in records if sum(field in record.values for field in PARTS) == 1]
    if not keys:
        return records
    found = connection.execute(_SQL["whole_names"], {"keys": keys})
    names: dict[str, str] = {row.address: row.name for row in found}
    return [
        replace(record, values=record.values | missing_part(record.values, names[record.key]))
        if record.key in names
        else record
        for record in records
    ]
