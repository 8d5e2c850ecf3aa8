"""Loads contacts from CSV and XLSX files.

An address stands for one contact. A contact that is there already is changed where the file says something else; a
blank cell leaves the stored value as it is. Of two rows with one address the later one wins, and what it leaves blank
stays as the earlier one said. Chunks of rows are loaded in a transaction each, and a repeated import changes nothing,
so one that was interrupted is simply started again.

Only the command line imports this package.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from crm_pipelines.destinations.registered import known_destination
from crm_pipelines.files import formulas
from crm_pipelines.files.cleaning import Record, Unusable, to_record
from crm_pipelines.files.columns import NAMES, Columns, NoAddressColumn, match_columns
from crm_pipelines.files.doubts import warnings_of, why_held_back
from crm_pipelines.files.errors import ImportRefused
from crm_pipelines.files.forecast import ColumnWatcher, Expectation, ImportForecast, taken
from crm_pipelines.files.loading import Loader, Selection
from crm_pipelines.files.meant import read_meant
from crm_pipelines.files.rejects import Rejects, require_writable
from crm_pipelines.files.report import MOST_REJECTS, SHOWN, ImportReport, ImportTally, Reject
from crm_pipelines.files.sources import is_workbook, named, opened
from crm_pipelines.files.suggestions import LOOKED_AT, address_column, suggest
from crm_pipelines.files.tables import ReadingOptions, Row, Table

__all__ = [
    "ImportForecast",
    "ImportRefused",
    "ImportReport",
    "ReadingOptions",
    "Reject",
    "forecast_import",
    "import_contacts",
    "read_meant",
]

CHUNK = 5_000
"""Rows per transaction: large enough that a commit costs nothing, small enough to stay in memory."""


def import_contacts(
    engine: sa.Engine,
    path: Path,
    *,
    select: Sequence[str] = (),
    reading: ReadingOptions | None = None,
    rejects_folder: Path | None = None,
    rejects_file: Path | None = None,
    without_names: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Load the file, and select the contacts in it that were never selected before for the CRMs in `select`.

    They are selected once all rows are in, all of them or none; nobody is where no name was found in the file though
    it has columns that nothing is known of, unless `without_names`: see `doubts.why_held_back`. `path` may be `-` or a
    pipe. `reading` overrides what is told from the file. The file of rejects, `<name>.rejects.csv`, goes to
    `rejects_folder`, or else beside the source; where it cannot be written, the report has them. `rejects_file` is
    another one, which must be writable. `progress` is called with the number of rows that are in so far. Raises
    ImportRefused for a file that cannot be read as a table of contacts, UsageError for an unknown CRM and for columns
    that are not there.
    """
    crms = _known(engine, select)
    path, table = _open(path, reading)
    sample, rows = _peek(table.rows)
    columns = _columns(table, path.name, reading, sample)
    if rejects_file is not None:
        require_writable(rejects_file, path)
    tally = ImportTally()
    with (
        Rejects(path, table.header, folder=rejects_folder, named=rejects_file) as rejects,
        Loader(engine, crms) as loader,
    ):

        def reject(row: Row, reason: str) -> None:
            rejects.add(row, reason)
            tally.reject(row.line, reason, kept=MOST_REJECTS if rejects.unwritable else SHOWN)

        _bring(rows, columns, loader, tally, reject, progress)
        held_back = None if without_names or not crms else why_held_back(tally, columns)
        selection = Selection.of_nobody(crms) if held_back else loader.select()
    return ImportReport(
        **_counts(tally, path, table, columns),
        **_judged(tally, columns, sample),
        held_back=held_back,
        columns=tuple(taken(columns, position) for position, title in enumerate(columns.header) if title),
        rejects_file=rejects.written,
        rejects_unwritable=rejects.unwritable,
        notes=(*columns.notes, *table.notes, *rejects.notes),
        **vars(selection),
    )


def forecast_import(
    engine: sa.Engine | None,
    path: Path,
    *,
    select: Sequence[str] = (),
    reading: ReadingOptions | None = None,
    without_names: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportForecast:
    """What `import_contacts` would come to. Reads only, in one short transaction per chunk; no file is written.

    Without an engine, what the database has is not known: counts that need it are None. Raises as `import_contacts`
    does.
    """
    crms = _known(engine, select)
    path, table = _open(path, reading)
    sample, rows = _peek(table.rows)
    columns = _columns(table, path.name, reading, sample)
    tally = ImportTally()
    watcher = ColumnWatcher(table.header, columns)
    with Expectation(engine, crms) as expected:
        watched = watcher.watch(rows)
        _bring(watched, columns, expected, tally, lambda row, reason: tally.reject(row.line, reason), progress)
    held_back = None if without_names or not crms else why_held_back(tally, columns)
    selection = Selection.of_nobody(list(expected.selection.selected)) if held_back else expected.selection
    known = {} if engine else dict.fromkeys(("added", "updated", "unchanged"))
    return ImportForecast(
        **(_counts(tally, path, table, columns) | known),
        **_judged(tally, columns, sample),
        held_back=held_back,
        notes=(*columns.notes, *table.notes),
        columns=watcher.columns(),
        merged=tuple(tally.merged),
        respelt=expected.respelt,
        respellings=tuple(expected.respellings),
        **vars(selection),
    )


def _known(engine: sa.Engine | None, crms: Sequence[str]) -> list[str]:
    """Each once. Without a database, which knows their names, as they are given."""
    if engine is None:
        return list(dict.fromkeys(crms))
    with engine.connect().execution_options(postgresql_readonly=True) as connection:
        return list(dict.fromkeys(known_destination(connection, crm) for crm in crms))


def _counts(tally: ImportTally, path: Path, table: Table, columns: Columns) -> dict[str, Any]:
    """What a report and a forecast have alike."""
    return {
        "file": path.name,
        "form": table.form,
        "rows": tally.rows,
        "added": tally.added,
        "updated": tally.updated,
        "unchanged": tally.unchanged,
        "duplicates": tally.duplicates,
        "rejected": tally.rejected,
        "reasons": tally.reasons_by_frequency,
        "rejects": tuple(tally.rejects),
        "remarks": dict(tally.remarks),
        "custom_fields": tuple(columns.custom.values()),
        "ignored_columns": columns.ignored,
    }


def _judged(tally: ImportTally, columns: Columns, sample: Sequence[Row]) -> dict[str, Any]:
    """What a report and a forecast say of columns that may have been meant otherwise."""
    return {"warnings": warnings_of(tally, columns), "suggestions": suggest(columns, sample)}


def _peek(rows: Iterator[Row]) -> tuple[list[Row], Iterator[Row]]:
    """The first rows, and all of them."""
    sample = list(itertools.islice(rows, LOOKED_AT))
    return sample, itertools.chain(sample, rows)


def _columns(table: Table, name: str, reading: ReadingOptions | None, sample: Sequence[Row]) -> Columns:
    """Raises ImportRefused, which names the column that seems to hold the address."""
    header = [formulas.unmarked(title) for title in table.header]
    try:
        return match_columns(header, name, reading.columns if reading else ())
    except NoAddressColumn as refused:
        if found := address_column(header, sample):
            raise ImportRefused(f"{refused} {found.sentence}") from None
        raise


def _open(path: Path, reading: ReadingOptions | None) -> tuple[Path, Table]:
    """The table, and the path by which to speak of it."""
    name = named(path)
    try:
        file = opened(path)
        try:
            if is_workbook(file, name.name):
                from crm_pipelines.files.xlsx_files import read_xlsx as read
            else:
                from crm_pipelines.files.csv_files import read_csv as read
            return name, read(file, name.name, reading)
        except BaseException:
            file.close()
            raise
    except OSError as error:
        raise ImportRefused(f"{path} cannot be read: {error.strerror or type(error).__name__}.") from None


def _bring(
    rows: Iterator[Row],
    columns: Columns,
    destination: Loader | Expectation,
    tally: ImportTally,
    reject: Callable[[Row, str], None],
    progress: Callable[[int], None] | None,
) -> None:
    """Bring the rows to the destination, chunk by chunk, and count what becomes of them."""
    first_lines: dict[int, int] = {}  # by hash of the key, since all addresses of a large file would fill the memory
    while chunk := list(itertools.islice(rows, CHUNK)):
        records = destination.keyed(_records(chunk, columns, reject))
        for record in records:
            tally.named += not NAMES.isdisjoint(record.values)
            if record.remarks:
                tally.remarks.update(record.remarks)
            earlier = first_lines.setdefault(hash(record.key), record.line)
            if earlier != record.line:
                tally.merge(record.line, earlier)
        contacts = _merged(records)
        repeated = {key for key in contacts if first_lines[hash(key)] < chunk[0].line}
        loaded = destination.load(list(contacts.values()), repeated)
        tally.rows += len(chunk)
        tally.added += loaded.added
        tally.updated += loaded.updated
        tally.unchanged += len(contacts) - len(repeated) - loaded.added - loaded.updated
        if progress:
            progress(tally.rows)


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
