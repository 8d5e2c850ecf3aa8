"""The CRMs that have columns in the view `contacts`, and the statuses."""

from crm_pipelines.errors import UsageError

CRMS = ("brevo", "hubspot", "mautic", "n8n")
"""Those with columns in the view; all there are: `known_destinations` of `destinations/registered.py`."""

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


def known_status(name: str) -> str:
    """The sync status in its usual spelling. Raises UsageError that lists the known ones."""
    for status in SYNC_STATUSES:
        if status.casefold() == name.casefold():
            return status
    raise UsageError(f"There is no status named {name!r}; known are {', '.join(SYNC_STATUSES)}.")
