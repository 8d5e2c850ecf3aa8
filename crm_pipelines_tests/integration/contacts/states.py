"""Brings contacts into a state of the machine by plain SQL, for tests that only look at states."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

STATES: dict[str, dict[str, Any]] = {
    "unselected": {"state": "unselected"},
    "queued": {"state": "queued"},
    "waiting": {"state": "queued", "attempts": 2, "last_error_kind": "outage", "last_error": "HTTP 503"},
    "claimed": {"state": "claimed", "claimed_by": "run-1", "lease_until": sa.text("now() + interval '25 min'")},
    "synced": {"state": "synced", "synced_revision": 1, "remote_key": "old@example.com", "remote_id": "42"},
    "failed": {"state": "failed", "attempts": 4, "last_error_kind": "outage", "last_error": "HTTP 503"},
    "rejected": {"state": "failed", "attempts": 1, "last_error_kind": "rejected", "last_error": "Invalid phone"},
    "skipped": {"state": "skipped", "last_error_kind": "no_address", "last_error": "The contact has no address."},
    "suppressed": {"state": "skipped", "last_error_kind": "suppressed", "last_error": "Suppressed."},
}

_TYPES = {"custom_fields": JSONB()}

STATUS_PAIRS: dict[str | None, tuple[str, str | None]] = {
    None: ("New", None),
    "unselected": ("New", None),
    "queued": ("Selected", "Queued"),
    "waiting": ("Queued", "Queued"),
    "claimed": ("Processing", "Processing"),
    "synced": ("Complete", "Complete"),
    "failed": ("Error", "Error"),
    "skipped": ("Skipped", None),
    "suppressed": ("Skipped", None),
}


def add_contact(connection: sa.Connection, email: str | None = "ada@example.com", **columns: Any) -> UUID:
    """A new row of crm_contacts; returns its id."""
    row = {"email": email, **columns}
    table = sa.table("crm_contacts", sa.column("id"), *(sa.column(name, _TYPES.get(name)) for name in row))
    identifier: UUID = connection.execute(sa.insert(table).values(row).returning(table.c.id)).scalar_one()
    return identifier


def put(connection: sa.Connection, contact_id: UUID, state: str | None, *, crm: str = "brevo", **columns: Any) -> None:
    """Bring the contact into one of STATES (None: never selected) at `crm`."""
    if state is None:
        return
    row = {"contact_id": contact_id, "crm": crm, "contact_revision": 1, **STATES[state], **columns}
    table = sa.table("crm_syncs", *(sa.column(name) for name in row))
    connection.execute(sa.insert(table).values(row))
