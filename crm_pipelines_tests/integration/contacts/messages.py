"""Messages of workflows, as they are taken, for tests that only look at what became of them."""

from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.contacts.enriching import Enrichment, Offer, take

FOUND = Offer(field="phone_number", value="+12025550143")
_NUMBERS = count(1)


def tell(engine: sa.Engine, contact: UUID, *offers: Offer, crm: str = "n8n", **message: Any) -> None:
    """A message that is like no other."""
    told: dict[str, Any] = {
        "crm": crm,
        "enrichment_id": f"run-{next(_NUMBERS)}",
        "digest": b"",
        "status": "complete",
        "sent_at": datetime.now(UTC),
        "error": None,
        "confidence": None,
        "sources": [],
        "duration_seconds": None,
        "api_calls": None,
        "cost_estimate": None,
        "found": {},
        "metadata": {},
    }
    with engine.begin() as connection:
        enrichment = Enrichment(contact_id=contact, offers=offers, **{**told, **message})
        take(connection, enrichment, overwrite={"phone_number"}, workflows=["n8n", "n8n_eu"])
