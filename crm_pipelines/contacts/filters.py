"""Contacts by what they have in common. The conditions stand in filters.sql."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.database.sql import load_statements
from crm_pipelines.database.view import STATES, known_status

_SQL = load_statements("contacts/filters")


@dataclass(frozen=True, kw_only=True)
class ContactFilter:
    """Those contacts for which everything that is given holds; with nothing given: all.

    `status` is the sync status at the CRM that the statement is about; `domain` is that of the address; `text` stands
    somewhere in the name, the address or a text of the custom fields, whatever the case and the accents; one letter or
    two, at the beginning of a word there. Of texts of more than 4000 letters the beginning is looked through.
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
        if self.text is not None and "@" in self.text[1:]:
            given["address"] = self.text
        return {name: value for name, value in given.items() if value is not None}


def _of_status(status: str) -> dict[str, Any]:
    """By the state an index is found, and the planner can tell how many there are; by the status, neither."""
    if status == "New":
        return {"status": None, "is_new": True}
    state = STATES[status]
    says_all = list(STATES.values()).count(state) == 1
    return {"status": None if says_all else status, "state": state}


def matching(statement: sa.TextClause, filter_: ContactFilter) -> sa.TextClause:
    """The statement with its {matching} filled in. Only conditions of filters.sql get in; values are parameters."""
    conditions = {name: _SQL[name].text for name in filter_.parameters()}
    if "address" in conditions:
        conditions["address"] = conditions["address"].replace("{text}", conditions.pop("text"))
    return sa.text(statement.text.replace("{matching}", " AND ".join(["true", *conditions.values()])))
