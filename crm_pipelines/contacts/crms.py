"""The names of the CRMs and of the statuses that the contacts database knows."""

from crm_pipelines.errors import UsageError

CRMS = ("brevo", "hubspot", "mautic", "n8n")
SYNC_STATUSES = ("New", "Selected", "Queued", "Processing", "Complete", "Error", "Skipped")
STATES = {
    "Selected": "queued",
    "Queued": "queued",
    "Processing": "claimed",
    "Complete": "synced",
    "Error": "failed",
    "Skipped": "skipped",
}
"""The state in crm_syncs behind each sync status; New has none, since who was never selected has no row."""


def known_crm(name: str) -> str:
    """The name in its usual spelling. Raises UsageError that lists the known ones."""
    if name.casefold() not in CRMS:
        raise UsageError(f"There is no CRM named {name!r}; known are {', '.join(CRMS)}.")
    return name.casefold()


def known_status(name: str) -> str:
    """The sync status in its usual spelling. Raises UsageError that lists the known ones."""
    for status in SYNC_STATUSES:
        if status.casefold() == name.casefold():
            return status
    raise UsageError(f"There is no status named {name!r}; known are {', '.join(SYNC_STATUSES)}.")
