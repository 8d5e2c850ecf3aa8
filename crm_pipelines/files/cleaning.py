"""One row of a file becomes one contact, or a reason why not. Pure."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, TypeGuard
from uuid import UUID

from crm_pipelines import names
from crm_pipelines.files import formulas
from crm_pipelines.files.addresses import NoAddress, address_within
from crm_pipelines.files.columns import Columns, Origin
from crm_pipelines.files.headers import SEVERAL, has_opted_out, key_of, tells_of_opting_out
from crm_pipelines.files.tables import NoValue, Row, is_blank
from crm_pipelines.words import yes_or_no

LONGEST_CELL = 100_000
"""Characters. A longer cell is a mistake, such as a quotation mark that is never closed."""

TEXT_FIELDS = ("name", "first_name", "last_name", "phone_number", "email_type", "context", "source_url")
UUID_FIELDS = ("source_job_id", "domain_id", "page_id")
PARTS = ("first_name", "last_name")
FIELDS = ("email", *TEXT_FIELDS, "has_gmail", *UUID_FIELDS, "custom_fields")

_BETWEEN_VALUES = " ::: "  # where Google has several in one cell


class Unusable(ValueError):
    """The row is no contact; the message is the reason, without the value."""


@dataclass(frozen=True, slots=True)
class Record:
    """One contact of the file; a field that is absent or None was blank and leaves the stored value alone.

    `remarks` say what of the row was not taken, such as "City: #N/A is no value"; never a value. `opted_out`: a
    column of the row says that the person does not want to be written to. `moved`: custom fields that an earlier import
    made of values which have another place now.
    """

    line: int
    key: (
        str  # the address in normal form, by which the database compares; if it is not ASCII, once the loader was asked
    )
    values: dict[str, Any]
    custom_fields: dict[str, Any]
    remarks: tuple[str, ...] = ()
    opted_out: bool = False
    moved: dict[str, Any] = dataclasses.field(default_factory=dict)

    def updated_by(self, later: "Record") -> "Record":
        """The same contact further down in the file: what it says wins, what it leaves blank stays.

        Of the name, the whole and its parts go together. Who opted out in one of the two rows has.
        """
        values = {**self.values, **later.values}
        said = later.values.keys()
        if "name" in said and not said & {*PARTS}:
            values = {field: value for field, value in values.items() if field not in PARTS}
        elif said & {*PARTS} and "name" not in said:
            values.pop("name", None)
            values = {**values, **missing_part(values, self.values.get("name"))}
        custom_fields = {**self.custom_fields, **later.custom_fields}
        opted_out = self.opted_out or later.opted_out
        moved = {**self.moved, **later.moved}
        return Record(later.line, self.key, values, custom_fields, opted_out=opted_out, moved=moved)


def to_record(row: Row, columns: Columns) -> Record:
    """Raises Unusable."""
    if row.problem:
        raise Unusable(row.problem)
    if len(row.cells) > columns.width and any(not is_blank(cell) for cell in row.cells[columns.width :]):
        raise Unusable(f"it has {len(row.cells)} cells, the header has {columns.width}")
    cells = {position: cell for position, cell in enumerate(row.cells[: columns.width]) if not is_blank(cell)}
    taken = _taken(cells, columns)
    texts = {field: _read(cell, field, columns.origin) for field, cell in taken.items()}
    custom = _json_object(texts.pop("custom_fields")) if "custom_fields" in texts else {}
    no_of_export = [name for name, value in custom.items() if opted_out_as_stored(name, value)]
    custom |= {name: _custom(cells[position], name) for position, name in columns.custom.items() if position in cells}
    texts |= _other_part(texts, columns)
    values: dict[str, Any] = {field: texts[field] for field in TEXT_FIELDS if texts.get(field)}
    try:
        values["email"], beside = address_within(texts.get("email", ""))
    except NoAddress as reason:
        raise Unusable(f"email: {_no_value(row, columns) or reason}") from None
    values |= {field: _uuid(texts[field], field) for field in UUID_FIELDS if texts.get(field)}
    if texts.get("has_gmail"):
        values["has_gmail"] = _boolean(texts["has_gmail"], "has_gmail")
    remarks = tuple(
        f"{columns.name(position)}: {cell.why}"
        for position, cell in enumerate(row.cells[: columns.width])
        if isinstance(cell, NoValue)
    )
    remarks += tuple(
        f"{columns.name(position)}: it holds several, of which the first is taken"
        for position, cell in cells.items()
        if columns.fields.get(position) in SEVERAL and _holds_several(cell)
    )
    if beside:
        remarks += (f"email: {beside}",)
    email = values["email"]
    key = email.lower() if email.isascii() else email
    said_no = [
        position
        for position, key in columns.opt_outs.items()
        if position in cells and has_opted_out(key, str(cells[position]))
    ]
    remarks += tuple(
        f"{name}: has opted out, so not queued by this import" for name in (*no_of_export, *map(columns.name, said_no))
    )
    moved = {name: _custom(cells[position], name) for position, name in columns.moved.items() if position in cells}
    return Record(row.line, key, values, custom, remarks, opted_out=bool(no_of_export or said_no), moved=moved)


def _no_value(row: Row, columns: Columns) -> str | None:
    """Why the cell of the address is blank, where a spreadsheet shows an error in it."""
    cells = [cell for position, cell in enumerate(row.cells) if columns.fields.get(position) == "email"]
    return next((cell.why for cell in cells if isinstance(cell, NoValue)), None)


def missing_part(values: Mapping[str, Any], whole: str | None) -> dict[str, str]:
    """The other part of a name, where only one is given, out of the whole name as it was before."""
    given = [field for field in PARTS if values.get(field)]
    if len(given) != 1 or "name" in values or not whole:
        return {}
    parts = dict(zip(PARTS, names.parts(whole.split()), strict=True))
    return {field: part for field, part in parts.items() if part and field not in given}


def _taken(cells: Mapping[int, object], columns: Columns) -> dict[str, object]:
    """The cell of each field that is not blank; another column of the same meaning stands in for a blank one."""
    taken = {field: cells[position] for position, field in columns.fields.items() if position in cells}
    for field, others in columns.spare.items():
        found = [taken[field]] if field in taken else []
        found += [cells[position] for position in others if position in cells]
        if found:
            # Under "SMS" or "Mobile" some write yes or no.
            taken[field] = next((one for one in found if field != "phone_number" or _has_digit(one)), found[0])
    for field in SEVERAL:
        cell = taken.get(field)
        if _holds_several(cell):
            taken[field] = cell.split(_BETWEEN_VALUES)[0]
    return taken


def _holds_several(cell: object) -> TypeGuard[str]:
    return isinstance(cell, str) and _BETWEEN_VALUES in cell


def _has_digit(cell: object) -> bool:
    return any(letter.isdigit() for letter in cell_text(cell)) and not isinstance(cell, bool)


def _read(cell: object, field: str, origin: Origin) -> str:
    text = _text(cell, field)
    if origin is Origin.ELSEWHERE or field not in TEXT_FIELDS or not isinstance(cell, str):
        return text
    return formulas.unguarded(cell) if origin is Origin.PAGE else cell


def _other_part(texts: Mapping[str, str], columns: Columns) -> dict[str, str]:
    """Where a file has one part of the name apart, and the whole name beside it: the other part.

    Jean | Jean Durand, under "First name" and "Full name", or under "Vorname" and "Name".
    """
    if columns.part_apart is None:
        return {}
    known = columns.part_apart
    [other] = {*PARTS} - {known}
    whole = texts.get(columns.perhaps_whole or "name", "").split()
    found = names.other_part(whole, texts.get(known, "").split(), is_first=known == "first_name")
    return {other: found} if found else {}


def opted_out_as_stored(name: str, value: object) -> bool:
    """Whether a custom field, which was a column when it came, says that the person has opted out."""
    key = key_of(name)
    return not is_blank(value) and tells_of_opting_out(key) and has_opted_out(key, str(value))


def cell_text(cell: object) -> str:
    """What a cell says, whatever its type."""
    match cell:
        case bool():
            return str(cell).lower()
        case float() if cell.is_integer():  # a phone number that Excel took for a number: 4.5e10
            return str(int(cell))
        case datetime() if cell.time() == time():
            return cell.date().isoformat()
        case datetime() | date() | time():
            return cell.isoformat()
        case _:
            return str(cell)


def _text(cell: object, column: str) -> str:
    text = cell_text(cell).strip()
    if "\0" in text:
        raise Unusable(f"{column}: it holds a NUL character")
    if len(text) > LONGEST_CELL:
        raise Unusable(f"{column}: it is longer than {LONGEST_CELL:,} characters")
    text = formulas.unmarked(text)
    if text[:2] == '="' and text[-1:] == '"' and len(text) > 2:  # how exports keep 00123 from becoming the number 123
        text = text[2:-1].replace('""', '"')
    return text


def _custom(cell: object, column: str) -> Any:
    """A cell of Excel keeps its type as far as JSON has it; one of CSV is text, so that 007 stays 007."""
    if isinstance(cell, (bool, int)) or (isinstance(cell, float) and math.isfinite(cell)):
        return cell
    return _text(cell, column)


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
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # refuses half a surrogate pair, NaN and 1e999
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Unusable('custom_fields: expected a JSON object such as {"Tier": "gold"}')
    if "\\u0000" in json.dumps(value):
        raise Unusable("custom_fields: it holds a NUL character")
    return value
