"""Values that deliveries have left out: of how many contacts, of which field, and why.

The statement stands in left_out.sql.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from crm_pipelines.database.sql import load_statements
from crm_pipelines.vocabulary import counted

MOST_LOOKED_AT = 20_000
"""Contacts whose attempts are looked up, so that the answer takes below a second whatever the number."""

_SQL = load_statements("statistics/left_out")
_WARNING = re.compile(r"(?P<field>.{1,300}?) left out(?:[:,] | )(?P<reason>.+)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """Contacts of which the CRM lacks the value of one field (or attribute, where it was the CRM that refused it)."""

    field: str
    reason: str
    contacts: int


def values_left_out(engine: sa.Engine, crm: str, *, most: int = MOST_LOOKED_AT) -> list[LeftOut]:
    """By field and reason, the commonest first; of at most `most` contacts. Never a value."""
    with engine.connect() as connection:
        rows = connection.execute(_SQL["left_out"], {"crm": crm, "most": most}).all()
    return left_out_of({row.warning: row.contacts for row in rows})


def left_out_of(warnings: Mapping[str, int]) -> list[LeftOut]:
    """The same of warnings in the words of the ledger, and how many contacts have each."""
    counted: Counter[tuple[str, str]] = Counter()
    for warning, contacts in warnings.items():
        if match := _WARNING.fullmatch(warning):
            counted[match["field"], match["reason"]] += contacts
    ordered = sorted(counted.items(), key=lambda one: (-one[1], one[0]))
    return [LeftOut(field=field, reason=reason, contacts=contacts) for (field, reason), contacts in ordered]


def left_out_sentence(engine: sa.Engine, crm: str, title: str) -> str | None:
    """Of how many contacts how many fields do not arrive; None while everything does."""
    with engine.connect() as connection:
        counts = connection.execute(_SQL["left_out_in_all"], {"crm": crm, "most": MOST_LOOKED_AT}).one()
    if not counts.contacts:
        return None
    many = "more than " if counts.contacts >= MOST_LOOKED_AT else ""
    fields, contacts = counted(counts.fields, "field"), counted(counts.contacts, "contact")
    verb = "does" if counts.fields == 1 else "do"
    them = "it" if counts.contacts == 1 else "them"
    return f"{fields} of {many}{contacts} {verb} not arrive at {title}; everything else of {them} does."
