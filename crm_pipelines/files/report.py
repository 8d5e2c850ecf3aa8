"""What an import came to, counted while it runs."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from crm_pipelines.files.suggestions import Suggestion

SHOWN = 20
"""So many rejects, and rows of any other kind, are told one by one."""

MOST_REJECTS = 10_000
"""So many are told where no file can be written for them: each is kept in memory until then."""

_MOST_REASONS = 1_000
_OTHER_REASONS = "other reasons"


@dataclass(frozen=True, kw_only=True)
class Reject:
    """A row that was not imported, by its line in the file, and why; the reason holds no value of the row."""

    line: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Merged:
    """A row with the address of an earlier one, by the lines of both."""

    line: int
    earlier: int


@dataclass(frozen=True, kw_only=True)
class ColumnTaken:
    """What becomes of a column: `meaning` in words, and the name of its field or custom field, if it has one."""

    header: str
    field: str | None
    custom_field: str | None
    meaning: str


@dataclass(frozen=True, kw_only=True)
class ImportOutcome:
    """What an import came to, or would: rows = added + updated + unchanged + duplicates + rejected.

    `duplicates` were merged into an earlier row with the same address. `rejects` are the first of the rejected rows,
    and `reasons` counts all of them by reason, the most frequent first. `selected` counts, per CRM, the contacts that
    are selected now and never were; `taken_back`, `suppressed` and `opted_out_before` those that were left alone, since
    somebody had taken them back, they must never be sent, or a custom field of an earlier file says that they have
    opted out. `held_back`: why nobody is selected, though that was asked for. `warnings` are sentences about what the
    file seems to lack, `suggestions` what columns that are custom fields may hold instead. `remarks` counts rows of
    which something was not taken, by what; `notes` are sentences about the file as a whole.
    """

    file: str
    form: str
    rows: int
    added: int | None
    updated: int | None
    unchanged: int | None
    duplicates: int
    rejected: int
    reasons: dict[str, int]
    rejects: tuple[Reject, ...]
    remarks: dict[str, int]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    suggestions: tuple[Suggestion, ...]
    held_back: str | None
    columns: tuple[ColumnTaken, ...]
    custom_fields: tuple[str, ...]
    ignored_columns: tuple[str, ...]
    selected: dict[str, int]
    taken_back: dict[str, int]
    suppressed: dict[str, int]
    opted_out_before: dict[str, int]

    @property
    def summary(self) -> str:
        """Such as "3 rows: 2 added, 1 rejected."."""
        said = ", ".join(f"{count} {what}" for what, count in self._counts().items() if count)
        return f"{self.rows} row{'' if self.rows == 1 else 's'}: {said or 'none'}."

    def _counts(self) -> dict[str, int | None]:
        return {
            "added": self.added,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "merged into an earlier row with the same address": self.duplicates,
            "rejected": self.rejected,
        }


@dataclass(frozen=True, kw_only=True)
class ImportReport(ImportOutcome):
    """What an import came to.

    All rejected rows are in `rejects_file`. `rejects_unwritable` says why there is no such file; then `rejects` are
    those that would not be in it, up to MOST_REJECTS.
    """

    added: int
    updated: int
    unchanged: int
    rejects_file: Path | None
    rejects_unwritable: str | None


@dataclass
class ImportTally:
    """The counts of an import under way."""

    rows: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: int = 0
    rejected: int = 0
    named: int = 0  # rows in which there is a name
    reasons: Counter[str] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)
    rejects: list[Reject] = field(default_factory=list)
    merged: list[Merged] = field(default_factory=list)

    def reject(self, line: int, reason: str, *, kept: int = SHOWN) -> None:
        """Count it, and keep it while there are fewer than `kept`."""
        self.rejected += 1
        # A reason may count cells or letters, and so differ from row to row.
        known = reason in self.reasons or len(self.reasons) < _MOST_REASONS
        self.reasons[reason if known else _OTHER_REASONS] += 1
        if len(self.rejects) < kept:
            self.rejects.append(Reject(line=line, reason=reason))

    def merge(self, line: int, earlier: int) -> None:
        self.duplicates += 1
        if len(self.merged) < SHOWN:
            self.merged.append(Merged(line=line, earlier=earlier))

    @property
    def reasons_by_frequency(self) -> dict[str, int]:
        return dict(self.reasons.most_common())
