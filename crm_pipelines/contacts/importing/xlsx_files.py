"""Reads the first sheet of an XLSX workbook with pandas, as a whole."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

import pandas as pd

from crm_pipelines.contacts.importing.errors import ImportRefused
from crm_pipelines.contacts.importing.tables import Row, Table, is_blank


def read_xlsx(path: Path) -> Table:
    """Cells keep the types that Excel gave them. Raises ImportRefused when the file is damaged or empty."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # openpyxl: parts of the file that it does not read
            with pd.ExcelFile(path, engine="openpyxl") as book:
                sheets = [str(name) for name in book.sheet_names]
                frame = pd.read_excel(book, sheet_name=0, header=None, dtype=object, na_filter=False)
    except (BadZipFile, KeyError, ValueError, TypeError, AttributeError, IndexError, SyntaxError, EOFError):
        # What openpyxl raises for a damaged file depends on where the damage is.
        raise ImportRefused(
            f"{path.name} is damaged, or is no XLSX workbook: open it in a spreadsheet program and save it again."
        ) from None
    rows = _rows(frame)
    header = next(rows, None)
    if header is None:
        raise ImportRefused(f"The first sheet of {path.name} is empty.")
    others = f", others ignored: {', '.join(sheets[1:])}" if len(sheets) > 1 else ""
    return Table(f"XLSX, sheet {sheets[0]}{others}", [str(cell).strip() for cell in header.cells], rows)


def _rows(frame: pd.DataFrame) -> Iterator[Row]:
    for line, cells in enumerate(frame.itertuples(index=False, name=None), start=1):
        if not all(is_blank(cell) for cell in cells):
            yield Row(line, list(cells))
