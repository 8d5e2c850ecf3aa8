"""The fields that contacts have values of."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from crm_pipelines.database.sql import NO_TIMEOUT, load_statements

_SQL = load_statements("contacts/fields")


def custom_fields_in_use(engine: sa.Engine) -> dict[str, Any]:
    """One example value (JSON, not null) per custom field. Reads the whole table: for set-up, not for every run."""
    with engine.connect() as connection:
        return {row.key: row.value for row in connection.execute(_SQL["in_use"])}


@dataclass(frozen=True, kw_only=True)
class FieldsInUse:
    """How many contacts have a value of each field, by the name that a mapping has for it; blank fields are missing.

    `examples` are rows of crm_contacts, among them up to sixteen with each field.
    """

    contacts: Mapping[str, int]
    examples: Sequence[Mapping[str, Any]]


def fields_in_use(engine: sa.Engine) -> FieldsInUse:
    """Of columns and custom fields, over all contacts. Reads the whole table: for set-up, not for every run."""
    contacts: dict[str, int] = {}
    examples: set[str] = set()
    with engine.begin() as connection:
        connection.execute(NO_TIMEOUT)
        for row in connection.execute(_SQL["filled"]):
            contacts[row.field] = contacts.get(row.field, 0) + row.contacts
            examples.add(row.example)
        rows = connection.execute(_SQL["examples"], {"ids": sorted(examples)})
        return FieldsInUse(contacts=contacts, examples=[dict(row._mapping) for row in rows])


MOST_VALUES = 1000
"""Of one custom field. Texts that list several choices make more of them than there are choices."""


def values_in_use(engine: sa.Engine, fields: Sequence[str]) -> dict[str, tuple[tuple[str, ...], int]]:
    """The distinct values of these custom fields, the most frequent first, and how many others beyond MOST_VALUES.

    A list counts item by item, and so does a text with semicolons. An item of a list that holds a sign which divides
    texts comes as a JSON list of itself. Reads the whole table: for set-up.
    """
    found: dict[str, tuple[tuple[str, ...], int]] = {}
    with engine.connect() as connection:
        for row in connection.execute(_SQL["values_in_use"], {"fields": list(fields), "most": MOST_VALUES}):
            values, _ = found.get(row.key, ((), 0))
            item = json.dumps([row.item]) if row.of_list else row.item
            found[row.key] = ((*values, item), max(0, row.values - MOST_VALUES))
    return found


CONTACTS_LOOKED_AT = 20_000
"""For the texts in use: those that were changed last. A million others in the table cost nothing more."""

_LONGEST_TEXT = 80
_MOST_TEXTS = 2_000


class TextInUse(NamedTuple):
    """A text in a custom field, and how many contacts have it."""

    text: str
    contacts: int


def texts_in_use(engine: sa.Engine, fields: Sequence[str]) -> dict[str, list[TextInUse]]:
    """Short texts with a digit in these custom fields, the most frequent first, of CONTACTS_LOOKED_AT contacts."""
    given = {"fields": list(fields), "contacts": CONTACTS_LOOKED_AT, "longest": _LONGEST_TEXT, "most": _MOST_TEXTS}
    found: dict[str, list[TextInUse]] = {}
    with engine.connect() as connection:
        for row in connection.execute(_SQL["texts_in_use"], given):
            found.setdefault(row.key, []).append(TextInUse(row.written, row.contacts))
    return found
