"""Loads contacts from CSV and XLSX files.

An address stands for one contact. A contact that is there already is changed where the file says something else; a
blank cell leaves the stored value as it is. Of two rows with one address the later one wins, and what it leaves blank
stays as the earlier one said. Chunks of rows are loaded in a transaction each, and a repeated import changes nothing,
so one that was interrupted is simply started again.

Only the command line imports this package.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from crm_pipelines.contacts.crms import known_crm
from crm_pipelines.contacts.importing.cleaning import Record, Unusable, to_record
from crm_pipelines.contacts.importing.columns import Columns, match_columns
from crm_pipelines.contacts.importing.errors import ImportRefused
from crm_pipelines.contacts.importing.loading import Loader
from crm_pipelines.contacts.importing.rejects import Rejects, require_writable
from crm_pipelines.contacts.importing.sources import is_workbook, named, opened
from crm_pipelines.contacts.importing.tables import Reading, Row, Table

__all__ = ["ImportRefused", "ImportReport", "Reading", "Reject", "import_contacts"]

CHUNK = 5_000
"""Rows per transaction: large enough that a commit costs nothing, small enough to stay in memory."""

SHOWN_REJECTS = 20

MOST_REJECTS = 10_000
"""So many are told where no file can be written for them: each is kept in memory until then."""


@dataclass(frozen=True, kw_only=True)
class Reject:
    """A row that was not imported, by its line in the file, and why; the reason holds no value of the row."""

    line: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What an import came to: rows = added + updated + unchanged + duplicates + rejected.

    `duplicates` were merged into an earlier row with the same address. `rejects` are the first of the rejected rows;
    all of them are in `rejects_file`. `selected` counts, per CRM, the contacts that are selected now and never were;
    `taken_back` and `suppressed` those that were left alone, since somebody had taken them back or they must never be
    sent. `rejects_unwritable` says why there is no such file; then `rejects` are all of them,
    up to MOST_REJECTS. `remarks` counts rows of which something was not taken, by what; `notes` are sentences about
    the file as a whole.
    """

    file: str
    form: str
    rows: int
    added: int
    updated: int
    unchanged: int
    duplicates: int
    rejected: int
    rejects: tuple[Reject, ...]
    rejects_file: Path | None
    rejects_unwritable: str | None
    remarks: dict[str, int]
    notes: tuple[str, ...]
    custom_fields: tuple[str, ...]
    ignored_columns: tuple[str, ...]
    selected: dict[str, int]
    taken_back: dict[str, int]
    suppressed: dict[str, int]

    @property
    def summary(self) -> str:
        """One sentence with the counts."""
        counts = {
            "added": self.added,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "merged into an earlier row with the same address": self.duplicates,
            "rejected": self.rejected,
        }
        return f"{self.rows} rows: {', '.join(f'{count} {what}' for what, count in counts.items() if count) or 'none'}."


def import_contacts(
    engine: sa.Engine,
    path: Path,
    *,
    select: Sequence[str] = (),
    reading: Reading | None = None,
    rejects_folder: Path | None = None,
    rejects_file: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Load the file, and select the contacts in it that were never selected before for the CRMs in `select`.

    `path` may be `-` or a pipe. `reading` overrides what is told from the file. The file of rejects,
    `<name>.rejects.csv`, goes to `rejects_folder`, or else beside the source; where it cannot be written, the report
    has them. `rejects_file` is another one, which must be writable. `progress` is called with the number of rows read
    so far. Raises ImportRefused for a file that cannot be read as a table of contacts, UsageError for an unknown CRM.
    """
    crms = list(dict.fromkeys(known_crm(crm) for crm in select))
    path, table = _open(path, reading)
    columns = match_columns(table.header, path.name)
    if rejects_file is not None:
        require_writable(rejects_file)
    rejected = rejects_file or (rejects_folder or path.parent) / f"{path.stem}.rejects.csv"
    seen: set[int] = set()  # hashes, since all addresses of a large file would fill the memory
    counts = dict.fromkeys(("rows", "added", "updated", "unchanged", "duplicates", "rejected"), 0)
    first_rejects: list[Reject] = []
    remarks: Counter[str] = Counter()

    with (
        Rejects(rejected, table.header) as rejects,
        Loader(engine, crms) as loader,
    ):

        def reject(row: Row, reason: str) -> None:
            counts["rejected"] += 1
            rejects.add(row, reason)
            if len(first_rejects) < (MOST_REJECTS if rejects.unwritable else SHOWN_REJECTS):
                first_rejects.append(Reject(line=row.line, reason=reason))

        for rows in _chunks(table.rows):
            records = _records(rows, columns, reject)
            remarks.update(remark for record in records for remark in record.remarks)
            contacts = _merged(records)
            repeated = {key for key in contacts if hash(key) in seen}
            seen.update(hash(key) for key in contacts)
            loaded = loader.load(list(contacts.values()), repeated)
            new = len(contacts) - len(repeated)
            counts["rows"] += len(rows)
            counts["added"] += loaded.added
            counts["updated"] += loaded.updated
            counts["duplicates"] += len(records) - new
            counts["unchanged"] += new - loaded.added - loaded.updated
            if progress:
                progress(counts["rows"])
    return ImportReport(
        file=path.name,
        form=table.form,
        **counts,
        rejects=tuple(first_rejects),
        rejects_file=rejects.path if rejects.written else None,
        rejects_unwritable=rejects.unwritable,
        remarks=dict(remarks),
        notes=tuple(table.notes),
        custom_fields=tuple(columns.custom.values()),
        ignored_columns=columns.ignored,
        selected=loader.selected,
        taken_back=loader.taken_back,
        suppressed=loader.suppressed,
    )


def _open(path: Path, reading: Reading | None) -> tuple[Path, Table]:
    """The table, and the path by which to speak of it."""
    name = named(path)
    try:
        file = opened(path)
        try:
            if is_workbook(file, name.name):
                from crm_pipelines.contacts.importing.xlsx_files import read_xlsx as read
            else:
                from crm_pipelines.contacts.importing.csv_files import read_csv as read
            return name, read(file, name.name, reading)
        except BaseException:
            file.close()
            raise
    except OSError as error:
        raise ImportRefused(f"{path} cannot be read: {error.strerror or type(error).__name__}.") from None


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while chunk := list(itertools.islice(rows, CHUNK)):
        yield chunk


def _records(rows: list[Row], columns: Columns, reject: Callable[[Row, str], None]) -> list[Record]:
    records = []
    for row in rows:
        try:
            records.append(to_record(row, columns))
        except Unusable as reason:
            reject(row, str(reason))
    return records


def _merged(records: list[Record]) -> dict[str, Record]:
    contacts: dict[str, Record] = {}
    for record in records:
        earlier = contacts.get(record.key)
        contacts[record.key] = earlier.updated_by(record) if earlier else record
    return contacts
