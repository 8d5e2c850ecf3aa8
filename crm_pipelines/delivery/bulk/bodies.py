"""The body of an import while it is put together, and what is written down of each row."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from crm_pipelines.crms.bulk import ImportRow
from crm_pipelines.delivery.preparing import Prepared
from crm_pipelines.queue.bulk_imports import ToldRow

# Room for what stands around the rows of a body.
_FRAME_BYTES = 500
# An import that has room for no more than this is full.
_ROOM_LEFT = 20


@dataclass
class Body:
    """An import that is being put together: the rows by key.

    `taken`: contacts that were taken from the queue for it; `let_go`: those of them that have gone on otherwise.
    """

    most_bytes: int
    rows: dict[str, bytes] = field(default_factory=dict)
    size: int = _FRAME_BYTES
    seen: set[str] = field(default_factory=set)
    taken: int = 0
    let_go: int = 0

    @property
    def room(self) -> int:
        """About how many more contacts of average length fit in; 0 when a longer one might not."""
        more = (self.most_bytes - self.size) * max(1, len(self.rows)) // self.size
        return more if more > _ROOM_LEFT else 0

    def add(self, key: str, row: ImportRow) -> None:
        self.rows[key] = row.content
        self.size += len(row.content) + 1
        self.seen.update(row.identifiers)

    def drop(self, keys: Iterable[str]) -> None:
        """Rows that must not be sent after all."""
        for key in keys:
            self.size -= len(self.rows.pop(key)) + 1


def told_of(prepared: Prepared, row: ImportRow) -> ToldRow:
    """What an import tells the CRM by this row."""
    payload = prepared.payload
    return ToldRow(
        claim=prepared.delivery.claim,
        revision=prepared.revision,
        key=payload.key,
        payload_hash=payload.hash,
        proof=row.proof,
        names=row.names,
        warnings=payload.warnings,
        left_out=tuple(sorted(payload.left_out)) if payload.left_out else (),
        lists=row.lists,
    )
