"""Reads one sheet of an XLSX workbook row by row, in little memory."""

import itertools
import re
import warnings
import zlib
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO
from zipfile import BadZipFile

import openpyxl
from openpyxl.utils.escape import unescape

from crm_pipelines.files.errors import ImportRefused
from crm_pipelines.files.meant import Meant
from crm_pipelines.files.sheet_facts import Facts, look_through
from crm_pipelines.files.tables import (
    LAST_LINE_OF_HEADER,
    NoValue,
    ReadingOptions,
    Row,
    Table,
    address_columns,
    error_or,
    titles_of,
    without_repeated_headers,
)

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook

_DAMAGED = (
    BadZipFile,
    zlib.error,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    SyntaxError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
)
"""What openpyxl raises for a damaged file depends on where the damage is."""

_ZEROS = re.compile(r"(?:\[[^\]]*\])*(0{2,})")
_SIGNIFICANT = 15
"""Digits that spreadsheet programs show and keep of a number; 0.1 + 0.2 is 0.3 there."""

_AT_ONCE = 500

type_of_sheet = Any  # openpyxl has no type for a sheet that is read row by row


def read_xlsx(file: BinaryIO, name: str, reading: ReadingOptions | None = None) -> Table:
    """Cells keep the types that the spreadsheet program gave them.

    Of several sheets, the first visible one whose header has a title for the address is read, or that of `reading`.
    Raises ImportRefused when the file is damaged or empty, or has no such sheet.
    """
    reading = reading or ReadingOptions()
    for option, value in {"--encoding": reading.encoding, "--delimiter": reading.delimiter}.items():
        if value is not None:
            raise ImportRefused(f"{name} is a workbook: {option} is for CSV only. Leave it out.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # parts of the file that openpyxl does not read
            return _table(openpyxl.load_workbook(file, read_only=True, data_only=True), file, name, reading)
    except _DAMAGED:
        raise ImportRefused(
            f"{name} is damaged, or is no XLSX workbook: open it in a spreadsheet program and save it again."
        ) from None


def _table(book: "Workbook", file: BinaryIO, name: str, reading: ReadingOptions) -> Table:
    if not book.worksheets:
        raise ImportRefused(f"{name} has no sheet with cells.")
    sheet, header_row = _chosen(book, name, reading.sheet, reading.columns)
    facts = _facts(sheet)
    rows = _rows(sheet, facts)
    header = next((row for row in rows if row.line >= header_row), None)
    if header is None:
        raise ImportRefused(f"The sheet {sheet.title!r} of {name} is empty.")
    others = [_described(other) for other in book.worksheets if other is not sheet]
    ignored = f", others ignored: {', '.join(others)}" if others else ""
    titles = titles_of(header.cells)
    while titles and not titles[-1]:
        titles.pop()
    notes = _notes(header.line, facts)
    return Table(
        f"XLSX, sheet {_described(sheet)}{ignored}",
        titles,
        _to_the_end(without_repeated_headers(rows, titles, notes), file, name),
        notes,
    )


def _chosen(book: "Workbook", name: str, wanted: str | None, meant: Meant) -> tuple[type_of_sheet, int]:
    """The sheet, and the row of its header."""
    sheets = book.worksheets
    known = "; ".join(f"{number}: {_described(sheet)}" for number, sheet in enumerate(sheets, start=1))
    if wanted is not None:
        for sheet in [*_named(sheets, wanted), *_numbered(sheets, wanted)]:
            return sheet, _header_row(sheet, meant) or 1
        raise ImportRefused(f"{name} has no sheet {wanted!r}. Its sheets are {known}.")
    visible = [sheet for sheet in sheets if sheet.sheet_state == "visible"]
    for sheet in visible:
        if row := _header_row(sheet, meant):
            return sheet, row
    if len(sheets) == 1:
        return sheets[0], 1
    raise ImportRefused(
        f"No visible sheet of {name} has a column for the e-mail address (such as 'email') in its first "
        f"{LAST_LINE_OF_HEADER} rows. Its sheets are {known}. Name one with --sheet, or the column with "
        "`--map COLUMN=email`."
    )


def _named(sheets: list[type_of_sheet], wanted: str) -> list[type_of_sheet]:
    exact = [sheet for sheet in sheets if sheet.title == wanted]
    return exact or [sheet for sheet in sheets if sheet.title.strip().casefold() == wanted.strip().casefold()]


def _numbered(sheets: list[type_of_sheet], wanted: str) -> list[type_of_sheet]:
    number = int(wanted) if wanted.isascii() and wanted.isdigit() else 0
    return sheets[number - 1 : number] if number else []


def _described(sheet: type_of_sheet) -> str:
    return str(sheet.title) if sheet.sheet_state == "visible" else f"{sheet.title} (hidden)"


def _header_row(sheet: type_of_sheet, meant: Meant) -> int | None:
    """The first row with a title for the address; one of a single cell only if no wider one comes."""
    found = None
    for row in itertools.islice(_rows(sheet, Facts()), LAST_LINE_OF_HEADER):
        if row.line > LAST_LINE_OF_HEADER:
            break
        titles = [title for title in titles_of(row.cells) if title]
        if address_columns(titles, meant):
            if len(titles) > 1:
                return row.line
            found = found or row.line
    return found


def _facts(sheet: type_of_sheet) -> Facts:
    with sheet._get_source() as xml:  # openpyxl has no public way to it
        return look_through(xml)


def _rows(sheet: type_of_sheet, facts: Facts) -> Iterator[Row]:
    """Rows that hold anything."""
    sheet.reset_dimensions()  # what the file says of its size may be wrong
    for line, cells in enumerate(_quietly(itertools.islice(sheet.iter_rows(), facts.last_row)), start=1):
        values = [_value(cell) for cell in cells]
        if facts.uncalculated:
            for position in range(len(values)):
                if values[position] is None and (line, position + 1) in facts.uncalculated:
                    values[position] = NoValue("", "the result of its formula is not in the file")
        if not all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in values):
            yield Row(line, values)


def _quietly(rows: Iterator[Any]) -> Iterator[Any]:
    """Without what openpyxl warns of: dates that are none, for one, with the number in the cell."""
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            some = list(itertools.islice(rows, _AT_ONCE))
        if not some:
            return
        yield from some


def _value(cell: Any) -> object:
    value = cell.value
    if value is None:
        return None
    if isinstance(value, str):
        if cell.data_type == "e":
            return NoValue(value, f"{value} is no value")
        if "_x" in value:
            value = unescape(value).replace("\r\n", "\n")
        return error_or(value) if value[:1] in "# \t" else value
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value, cell)
    if isinstance(value, timedelta):
        return _duration(value)
    return value


def _number(value: int | float, cell: Any) -> object:
    if isinstance(value, float):
        if not value.is_integer():
            return float(f"{value:.{_SIGNIFICANT}g}")
        if abs(value) < 10**_SIGNIFICANT:
            value = int(value)
    zeros = _ZEROS.fullmatch(cell.number_format or "") if isinstance(value, int) and value >= 0 else None
    return f"{value:0{len(zeros[1])}d}" if zeros else value  # a postcode or a number of a customer: 007


def _duration(value: timedelta) -> str:
    seconds = round(value.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _notes(header_row: int, facts: Facts) -> list[str]:
    notes = []
    if header_row > 1:
        notes.append(f"The header is in row {header_row}; what stands above it was left out.")
    if facts.hidden:
        rows = "1 hidden row was" if facts.hidden == 1 else f"{facts.hidden} hidden rows were"
        notes.append(f"{rows} read like the others.")
    merged = sum(1 for first, last in facts.merges if last > first and last > header_row)
    if merged:
        cells = "1 merged cell covers" if merged == 1 else f"{merged} merged cells cover"
        notes.append(f"{cells} more than one row: the value belongs to the first of them, the others are blank.")
    return notes


def _to_the_end(rows: Iterator[Row], file: BinaryIO, name: str) -> Iterator[Row]:
    line = 0
    try:
        for row in rows:
            line = row.line
            yield row
    except _DAMAGED:
        raise ImportRefused(
            f"{name} is damaged after row {line}; the rows before may be in already. Open it in a spreadsheet program, "
            "save it again, and import it again."
        ) from None
    finally:
        file.close()
