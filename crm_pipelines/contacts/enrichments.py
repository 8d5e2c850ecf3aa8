"""What workflows have found out about one contact, and which of them have told nothing since they were asked.

The statements stand in enrichments.sql.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.database.sql import load_statements

_SQL = load_statements("contacts/enrichments")
_MOST = 10


@dataclass(frozen=True, kw_only=True)
class PastEnrichment:
    """One message of a workflow; see crm_enrichments.

    `filled` and `overwritten` name the contact's fields that were taken from it; `kept` those that were left as they
    were, each with the reason. `cost_estimate` is in whatever currency the workflow counts, usually dollars.
    """

    crm: str
    enrichment_id: str
    status: str
    sent_at: datetime
    received_at: datetime
    error: str | None
    confidence: int | None
    sources: list[str]
    source: str | None
    version: str | None
    duration_seconds: float | None
    api_calls: int | None
    cost_estimate: float | None
    found: Mapping[str, Any]
    filled: list[str]
    overwritten: list[str]
    kept: Mapping[str, str]

    @property
    def findings(self) -> list[tuple[str, str]]:
        """What was found, part by part: `company.name` and the like, with the value in words."""
        return list(_flat(self.found))

    @property
    def remarks(self) -> list[str]:
        """Who told it, how sure it is, and what it took, each in a few words."""
        said = [
            ", ".join(self.sources) and f"sources: {', '.join(self.sources)}",
            self.source and f"by {self.source}{f' {self.version}' if self.version else ''}",
            self.confidence is not None and f"confidence {self.confidence} of 100",
            self.duration_seconds is not None and f"took {self.duration_seconds:g} s",
            self.api_calls is not None and f"{self.api_calls} API call{'' if self.api_calls == 1 else 's'}",
            self.cost_estimate is not None and f"cost {self.cost_estimate:g}",
        ]
        return [one for one in said if one]


def _flat(found: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    for name, value in found.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{within}{name}.")
        elif isinstance(value, list) and all(isinstance(one, str) for one in value):
            yield f"{within}{name}", ", ".join(value)
        else:
            yield f"{within}{name}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, kw_only=True)
class Awaited:
    """The contact went to a workflow at `asked_at`, and nothing has come back since."""

    crm: str
    asked_at: datetime


def enrichments_of(connection: sa.Connection, contact_id: UUID) -> tuple[PastEnrichment, ...]:
    """The last ten, the most recent first."""
    rows = connection.execute(_SQL["of_contact"], {"contact_id": contact_id, "limit": _MOST})
    return tuple(PastEnrichment(**row._mapping) for row in rows)


def awaited(connection: sa.Connection, contact_id: UUID) -> tuple[Awaited, ...]:
    return tuple(Awaited(**row._mapping) for row in connection.execute(_SQL["awaited"], {"contact_id": contact_id}))
