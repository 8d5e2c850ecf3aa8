"""What people read where SQL and the API say a status of the contract, and numbers with their nouns.

Pages, commands, alerts and checks take their words from here; docs/glossary.md explains them.
"""

STATUS_WORDS = {
    "New": "not selected",
    "Selected": "waiting",
    "Queued": "waiting for another try",
    "Processing": "being delivered",
    "Complete": "delivered",
    "Error": "failed",
    "Skipped": "never sent",
}
"""By sync status."""

OUTCOME_WORDS = {
    "synced": "delivered",
    "unchanged": "nothing new",
    "retry": "try failed",
    "snoozed": "postponed",
    "rejected": "failed",
    "skipped": "never sent",
    "refused": "sending stopped",
    "unknown": "no answer",
}
"""By the outcome of an attempt in the ledger."""


def in_brief(seconds: float) -> str:
    """`0.4 s`, `12 s`, `8 min`, `3 h`, `4 days`: in the largest unit of which there are two."""
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = seconds / 60
    if minutes < 120:
        return f"{minutes:.0f} min"
    hours = minutes / 60
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 contact`, `2 contacts`; the plural is the noun with an s unless given."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
