"""Contacts as CSV for a spreadsheet: streamed, and without anything that a spreadsheet would run as a formula."""

import csv
import io
from collections.abc import Iterable, Iterator

import sqlalchemy as sa

from crm_pipelines.contacts import records
from crm_pipelines.contacts.filters import ContactFilter
from crm_pipelines.contacts.records import ContactRecord
from crm_pipelines.files.formulas import guarded

COLUMNS = (
    "id", "email", "name", "first_name", "last_name", "phone_number", "email_type", "context", "source_url",
    "created_at", "updated_at", "crm", "sync_status", "processing_status", "error",
)  # fmt: skip
_MOMENTS = ("created_at", "updated_at")
_PAGE = 1000
_BYTE_ORDER_MARK = "\ufeff"  # without it, Excel takes UTF-8 for something else


def rows(engine: sa.Engine, filter_: ContactFilter, crm: str) -> Iterator[str]:
    """Text of the file, page by page, in a snapshot of its own per page. Memory does not grow with the contacts."""
    yield _BYTE_ORDER_MARK + _line(COLUMNS)
    after = records.FIRST
    while True:
        with engine.connect() as connection:
            found = records.page(connection, filter_, crm, after=after, limit=_PAGE)
        yield "".join(_line(_cells(contact, crm)) for contact in found)
        if len(found) < _PAGE:
            return
        after = (found[-1].created_at, found[-1].id)


def _cells(contact: ContactRecord, crm: str) -> Iterator[object]:
    standing = next(one for one in contact.crms if one.crm == crm)
    found = {**vars(contact), **vars(standing), "error": standing.processing_error}
    for name in COLUMNS:
        yield found[name].isoformat() if name in _MOMENTS else found[name]


def _line(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(["" if cell is None else guarded(str(cell)) for cell in cells])
    return text.getvalue()
