"""Draws contacts to be read back at the CRM. The statements stand in sampling.sql."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.database.sql import asking, load_statements
from crm_pipelines.queue.model import Claim

_SQL = load_statements("queue/sampling")


class Sampler:
    """Of the contacts that one CRM holds; a Claim here names a past delivery and is not held."""

    def __init__(self, engine: sa.Engine, crm: str) -> None:
        self._all = asking(engine, _SQL, crm)

    def sample(self, since: datetime, size: int) -> list[Claim]:
        """At most `size` contacts that were delivered since then, by chance."""
        rows = self._all("sample", since=since, size=size)
        return [Claim(contact_id=row.contact_id, claim_no=row.claim_no) for row in rows]

    def any_delivered(self, since: datetime) -> bool:
        return bool(self._all("any_delivered", since=since)[0][0])

    def unchanged(self, claims: Sequence[Claim]) -> set[UUID]:
        """Those that are still as they were when they were drawn."""
        given = {
            "contact_ids": [claim.contact_id for claim in claims],
            "claim_nos": [claim.claim_no for claim in claims],
        }
        return {row.contact_id for row in self._all("unchanged", **given)}
