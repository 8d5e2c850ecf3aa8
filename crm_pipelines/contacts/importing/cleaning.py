"""One row of a file becomes one contact, or a reason why not. Pure."""

import json
import math
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any, NoReturn
from uuid import UUID

from email_validator import EmailNotValidError, validate_email

from crm_pipelines.contacts.importing.columns import Columns
from crm_pipelines.contacts.importing.tables import NoValue, Row, is_blank
from crm_pipelines.words import yes_or_no

LONGEST_CELL = 100_000
"""Characters. A longer cell is a mistake, such as a quotation mark that is never closed."""

TEXT_FIELDS = ("name", "phone_number", "email_type", "context", "source_url")
UUID_FIELDS = ("source_job_id", "domain_id", "page_id")
FIELDS = ("email", *TEXT_FIELDS, "has_gmail", *UUID_FIELDS, "custom_fields")


class Unusable(ValueError):
    """The row is no contact; the message is the reason, without the value."""


@dataclass(frozen=True, slots=True)
class Record:
    """One contact of the file; a field that is absent or None was blank and leaves the stored value alone.

    `remarks` say what of the row was not taken, such as "City: #N/A is no value"; never a value.
    """

    line: int
    key: str  # the address as the unique index compares it
    values: dict[str, Any]
    custom_fields: dict[str, Any]
    remarks: tuple[str, ...] = ()

    def updated_by(self, later: "Record") -> "Record":
        """The same contact further down in the file: what it says wins, what it leaves blank stays."""
        return Record(
            later.line, self.key, {**self.values, **later.values}, {**self.custom_fields, **later.custom_fields}
        )


def to_record(row: Row, columns: Columns) -> Record:
    """Raises Unusable."""
    if row.problem:
        raise Unusable(row.problem)
    if any(not is_blank(cell) for cell in row.cells[columns.width :]):
        raise Unusable(f"it has {len(row.cells)} cells, the header has {columns.width}")
    cells = {position: cell for position, cell in enumerate(row.cells[: columns.width]) if not is_blank(cell)}
    texts = {field: _text(cells[position], field) for position, field in columns.fields.items() if position in cells}
    custom = _json_object(texts.pop("custom_fields", "{}"))
    custom |= {name: _custom(cells[position], name) for position, name in columns.custom.items() if position in cells}
    if parts := [part for part in (texts.pop("first_name", ""), texts.pop("last_name", "")) if part]:
        texts["name"] = " ".join(parts)
    values: dict[str, Any] = {field: texts[field] for field in TEXT_FIELDS if texts.get(field)}
    values["email"] = usable_address(texts.get("email", ""))
    values |= {field: _uuid(texts[field], field) for field in UUID_FIELDS if texts.get(field)}
    if texts.get("has_gmail"):
        values["has_gmail"] = _boolean(texts["has_gmail"], "has_gmail")
    remarks = tuple(
        f"{columns.name(position)}: {cell.why}"
        for position, cell in enumerate(row.cells[: columns.width])
        if isinstance(cell, NoValue)
    )
    return Record(row.line, values["email"].lower(), values, custom, remarks)


def _text(cell: object, column: str) -> str:
    match cell:
        case bool():
            text = str(cell).lower()
        case float() if cell.is_integer():  # a phone number that Excel took for a number: 4.5e10
            text = str(int(cell))
        case datetime() if cell.time() == time():
            text = cell.date().isoformat()
        case datetime() | date() | time():
            text = cell.isoformat()
        case _:
            text = str(cell).strip()
    if "\0" in text:
        raise Unusable(f"{column}: it holds a NUL character")
    if len(text) > LONGEST_CELL:
        raise Unusable(f"{column}: it is longer than {LONGEST_CELL:,} characters")
    if text[:1] == "'" and text[1:2] in set(
        "=+-@"
    ):  # the mark by which spreadsheets keep such a text from being a formula
        text = text[1:]
    return text


def _custom(cell: object, column: str) -> Any:
    """A cell of Excel keeps its type as far as JSON has it; one of CSV is text, so that 007 stays 007."""
    if isinstance(cell, (bool, int)) or (isinstance(cell, float) and math.isfinite(cell)):
        return cell
    return _text(cell, column)


def usable_address(text: str) -> str:
    """The address as it stands. Raises Unusable, with the reason and without the address."""
    if not text:
        raise Unusable("email: it is blank")
    local, at, domain = text.rpartition("@")
    if problem := (_domain_problem(domain) if at and domain.isascii() else None):
        raise Unusable(f"email: {problem}")
    try:
        # The domain was looked at already; most addresses of a file share a few.
        validate_email(f"{local}@example.com" if at and domain.isascii() else text, check_deliverability=False)
    except EmailNotValidError as error:
        raise Unusable(f"email: {error}") from None
    if len(text) > 254:
        raise Unusable("email: the address is longer than 254 characters")
    return text


@lru_cache(maxsize=10_000)
def _domain_problem(domain: str) -> str | None:
    try:
        validate_email(f"a@{domain}", check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        return str(error)
    return None


def _uuid(text: str, column: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Unusable(f"{column}: expected a UUID such as 123e4567-e89b-12d3-a456-426614174000") from None


def _boolean(text: str, column: str) -> bool:
    found = yes_or_no(text)
    if found is None:
        raise Unusable(f"{column}: expected true or false (or yes, no, 1, 0)")
    return found


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()  # refuses half a surrogate pair
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Unusable('custom_fields: expected a JSON object such as {"Tier": "gold"}')
    if "\\u0000" in json.dumps(value):
        raise Unusable("custom_fields: it holds a NUL character")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
