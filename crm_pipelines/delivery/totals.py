"""What became of the contacts that a run claimed."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

from crm_pipelines.destinations.unknown import UNKNOWN
from crm_pipelines.queue.model import Applied

NO_FATES = frozenset({"claimed", "requests", "refused_for_rate"})
"""The counts that are no part of those claimed."""

_WORDS = {
    "synced": "delivered",
    "unchanged": "unchanged",
    "retrying": "waiting for another try",
    "failed": "failed",
    "skipped": "never sent",
    "released": "given back",
    "superseded": "changed or taken back meanwhile",
    "importing": "in a bulk import",
}


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Counts of contacts. Every claimed contact is in exactly one of the counts after `claimed`.

    synced: delivered. unchanged: the CRM already holds it. retrying: failed, another attempt is due. failed: given up,
    rejected, or of the kind `unknown` (may have arrived, and is not sent again by itself). skipped: can never be sent
    as it stands. released: given back uncharged. superseded: edited out of our hands meanwhile (unselected, deleted,
    taken over). importing: in a bulk import that is still under way at the CRM; a later run claims them again in this
    count. `reasons` counts failures by kind; `requests` is HTTP requests, and `refused_for_rate` those that were
    answered with 429.
    """

    claimed: int = 0
    synced: int = 0
    unchanged: int = 0
    retrying: int = 0
    failed: int = 0
    skipped: int = 0
    released: int = 0
    superseded: int = 0
    importing: int = 0
    requests: int = 0
    refused_for_rate: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def unaccounted(self) -> int:
        """Claimed contacts whose fate is unknown; anything but 0 is a defect."""
        return self.claimed - sum(count for name, count in self.counts().items() if name not in NO_FATES)

    def counts(self) -> dict[str, int]:
        """The counts by name, `reasons` left out."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "reasons"}

    @staticmethod
    def sum(parts: "Iterable[Totals]") -> "Totals":
        parts = list(parts)
        reasons: Counter[str] = Counter()
        for part in parts:
            reasons.update(part.reasons)
        names = [f.name for f in fields(Totals) if f.name != "reasons"]
        return Totals(**{name: sum(getattr(part, name) for part in parts) for name in names}, reasons=dict(reasons))


_FATE_BY_STATE = {"failed": "failed", "skipped": "skipped", "superseded": "superseded", "queued": "retrying"}


def fate(outcome: str, state: str) -> str:
    """The count in which a contact with this recorded outcome and resulting state belongs."""
    if state != "superseded":
        if outcome in {"synced", "unchanged"}:
            return outcome
        if outcome in {"snoozed", "refused"}:
            return "released"
    return _FATE_BY_STATE[state]


def totals_of(applied: Iterable[Applied], *, claimed: int, released: int, taken_over: int) -> Totals:
    """The totals of one batch: outcomes carried over, claims given back and claims lost to others."""
    counts: Counter[str] = Counter({"released": released, "superseded": taken_over})
    reasons: Counter[str] = Counter()
    for row in applied:
        counts[fate(row.outcome, row.state)] += row.contacts
        counts["requests"] += row.requests
        kind = UNKNOWN if row.outcome == UNKNOWN else row.kind
        if row.outcome not in {"synced", "unchanged"} and kind:
            reasons[kind] += row.contacts
    return Totals(claimed=claimed, reasons=dict(reasons), **counts)


def fates_in_words(counts: Mapping[str, int]) -> str:
    """What became of the contacts, by the counts of Totals: `48 delivered, 2 failed`. Empty if there were none."""
    return ", ".join(f"{counts[name]} {words}" for name, words in _WORDS.items() if counts.get(name))
