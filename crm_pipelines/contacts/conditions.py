"""How a contact stands at one CRM, and in one word."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crm_pipelines.destinations.unknown import UNKNOWN

CONDITIONS = {
    "unselected": "not selected",
    "due": "the next run takes it",
    "retry": "waits for another try",
    "snoozed": "postponed, without using up a try",
    "claimed": "being delivered",
    "importing": "in a bulk import",
    "overdue": "the run that took it has ended",
    "delivered": "the CRM has it",
    "parked": "failed, until something changes",
    "unknown": "may have arrived; a person decides",
    "suppressed": "never sent, by a person's decision",
    "unsendable": "cannot be sent as it stands",
}
"""In words, by condition."""

WAITING = frozenset({"due", "retry", "snoozed", "overdue"})
"""Conditions that the next run ends."""

UNDER_WAY = WAITING | {"claimed", "importing"}
"""Those, and what a run is at."""


@dataclass(frozen=True, kw_only=True)
class CrmStory:
    """The contact at one CRM. `answer` says in words how it stands, `next` what happens next and what would change it.

    `outlook` is what would change that, without commands, for people who have a button. `attended`: whether anybody
    delivers there. `condition` is one word of CONDITIONS. `due_at` is set for what waits in the queue, `claimed_by` and
    `lease_until` for what is being delivered. `edited_since`: what the CRM holds is older than the contact. The gate is
    that of the CRM's account; `gate_until` is None for a pause without end. `left_out` are attributes of which the
    CRM holds no value, or not all of it, since it is not certain or its account did not take it.
    """

    crm: str
    sync_status: str
    processing_status: str | None
    condition: str
    selected_at: datetime | None
    due_at: datetime | None
    claimed_by: str | None
    lease_until: datetime | None
    edited_since: bool
    attempts: int
    crashes: int
    error_kind: str | None
    error: str | None
    http_status: int | None
    last_attempt_at: datetime | None
    synced_at: datetime | None
    remote_key: str | None
    remote_id: str | None
    left_out: list[str]
    suppressed_at: datetime | None
    suppressed_by: str | None
    attended: bool
    gate_paused: bool
    gate_until: datetime | None
    gate_reason: str | None
    next: str
    outlook: str = ""
    answer: str = ""


def condition_of(row: sa.Row[Any]) -> str:
    """One of CONDITIONS."""
    match row.state:
        case "queued" if row.run_at <= row.now:
            return "due"
        case "queued":
            return "retry" if row.attempts else "snoozed"
        case "claimed" if row.claimed_by.startswith("import:"):
            return "importing"
        case "claimed":
            return "claimed" if row.lease_until > row.now else "overdue"
        case "synced":
            return "delivered"
        case "failed":
            return "unknown" if row.last_error_kind == UNKNOWN else "parked"
        case "skipped":
            return "suppressed" if row.last_error_kind == "suppressed" else "unsendable"
        case _:
            return "unselected"
