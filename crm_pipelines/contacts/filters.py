"""Contacts by what they have in common. The conditions stand in filters.sql."""

import string
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.database.sql import load_statements
from crm_pipelines.database.view import STATES, known_status

_SQL = load_statements("contacts/filters")
# As in "Müller, Erika <erika@example.com>".
_AROUND_WORDS = ",;<>()\"'"
_MOST_WORDS = 8


@dataclass(frozen=True, kw_only=True)
class ContactFilter:
    """Those contacts for which everything that is given holds; with nothing given: all.

    `status` is the sync status at the CRM that the statement is about; `domain` is that of the address; each word of
    `text` stands somewhere in the name, the address or a text of the custom fields, whatever the case, the accents and
    the order; one letter or two, at the beginning of a word there. Of texts of more than 4000 letters the beginning is
    looked through.
    """

    status: str | None = None
    domain: str | None = None
    domain_id: UUID | None = None
    email_type: str | None = None
    text: str | None = None
    created_since: datetime | None = None
    created_before: datetime | None = None

    def parameters(self) -> dict[str, Any]:
        """For the conditions. Raises UsageError for an unknown status."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.status is not None:
            given |= _of_status(known_status(self.status))
        if self.text is not None:
            given |= _of_text(self.text)
        return {name: value for name, value in given.items() if value is not None}


def _of_text(text: str) -> dict[str, str]:
    """The words by the name of their parameters, and the address, if it may be one."""
    words = [word.strip(_AROUND_WORDS) for word in text.split(maxsplit=_MOST_WORDS - 1)]
    words = [word for word in words if word.strip(string.punctuation)] or [text.strip()]
    address = next((word for word in words if "@" in word[1:]), None)
    numbered = {f"text{number or ''}": word for number, word in enumerate(words)}
    return numbered if address is None else {**numbered, "address": address}


def _of_status(status: str) -> dict[str, Any]:
    """By the state an index is found, and the planner can tell how many there are; by the status, neither."""
    if status == "New":
        return {"status": None, "is_new": True}
    state = STATES[status]
    says_all = list(STATES.values()).count(state) == 1
    return {"status": None if says_all else status, "state": state}


def matching(statement: sa.TextClause, filter_: ContactFilter) -> sa.TextClause:
    """The statement with its {matching} filled in. Only conditions of filters.sql get in; values are parameters."""
    conditions = {name: _condition(name) for name in filter_.parameters()}
    if "address" in conditions:
        texts = [conditions.pop(name) for name in list(conditions) if name.startswith("text")]
        conditions["address"] = conditions["address"].replace("{text}", " AND ".join(texts))
    return sa.text(statement.text.replace("{matching}", " AND ".join(["true", *conditions.values()])))


def _condition(name: str) -> str:
    """Each word is looked for on its own."""
    return _SQL["text"].text.replace(":text", f":{name}") if name.startswith("text") else _SQL[name].text
