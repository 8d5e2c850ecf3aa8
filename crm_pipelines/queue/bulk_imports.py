"""Bulk imports in the contacts database: what is under way at the CRM, and what it was told of each contact.

Every function is one short transaction. The claims of an import are held by the import, not by a run, and are fenced
like all others: whatever a contact's claim_no says at the end decides. The statements stand in bulk_imports.sql.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.database.copying import copying
from crm_pipelines.database.literals import copied, copied_bytes, text_array
from crm_pipelines.database.sql import load_statements
from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.queue.model import Claim

_SQL = load_statements("queue/bulk_imports")
# In the order of _copied_row.
_COLUMNS = "import_id, key, contact_id, claim_no, revision, payload_hash, proof, names, warnings, left_out, lists"
_PORTION = 5000
# More than it takes to halve a body to its floor and to double it again.
_ENDS = 20
_START = ("-infinity", UUID(int=0))


class ImportLost(CrmPipelinesError):
    """The import must not be sent: another run took it for dead, or the scan behind it is not complete or too old."""


@dataclass(kw_only=True, slots=True)  # frozen, it would take twice the time to make
class BulkClaim:
    """A claim and the revision as of it; what is loaded afterwards is at least as new."""

    claim: Claim
    revision: int


@dataclass(kw_only=True, slots=True)  # as above
class ToldRow:
    """What an import tells the CRM of one contact; the columns of crm_bulk_rows."""

    claim: Claim
    revision: int
    key: str
    payload_hash: bytes
    proof: bytes
    names: tuple[str, ...]
    warnings: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    lists: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenImport:
    """An import under way at the CRM. `completed`: the CRM has said so. `contacts`: whose fate is not known yet.

    `proved`: how many more of it were recorded before, as `BulkImports.proved` tells.
    """

    id: UUID
    process_id: str
    modified_since: datetime
    overdue: bool
    completed: bool
    contacts: int
    proved: int = 0


@dataclass(kw_only=True, slots=True)  # as above
class Expected:
    """What the CRM should hold of one contact, if the import brought it in."""

    key: str
    names: tuple[str, ...]
    proof: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Proved:
    """What became of contacts that were seen at the CRM.

    `synced` are delivered; `others` have their entry in the ledger, which is to be carried over; `gone` were deleted.
    """

    synced: int
    gone: int
    others: list[UUID]

    @property
    def contacts(self) -> int:
        """All of them: less than were asked about where somebody's transaction holds a contact."""
        return self.synced + self.gone + len(self.others)


@dataclass(frozen=True, kw_only=True, slots=True)
class Unproved:
    """What became of some of the contacts that were not seen at the CRM.

    `contacts` have their entry in the ledger, which is to be carried over; `gone` were deleted. `last` is the key
    behind which the next ones are, None if no more were there. Those that somebody's transaction holds are left.
    """

    contacts: list[UUID]
    gone: int
    last: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportEnd:
    """How an import ended that was sent, and how long ago."""

    ended_as: str
    age: timedelta


def holder(import_id: UUID) -> str:
    """The name under which an import holds its claims and keeps its outcomes in the ledger."""
    return f"import:{import_id}"


class BulkImports:
    """The bulk imports to one CRM on behalf of one run, as far as this object has begun them or taken them in hand."""

    def __init__(self, engine: sa.Engine, crm: str, run_id: str) -> None:
        self._engine = engine
        self.crm = crm
        self._tender = f"{run_id}/{secrets.token_hex(8)}"
        self._floor = _START

    def _all(self, name: str, **parameters: Any) -> Sequence[sa.Row[Any]]:
        with self._engine.begin() as connection:
            return self._execute(connection, name, **parameters)

    def _execute(self, connection: sa.Connection, name: str, **parameters: Any) -> Sequence[sa.Row[Any]]:
        result = connection.execute(_SQL[name], {"crm": self.crm, "tender": self._tender, **parameters})
        return result.all() if result.returns_rows else []

    def due(self, threshold: int) -> bool:
        """Whether at least so many contacts that may go in bulk are due."""
        return bool(self._all("due", threshold=threshold)[0][0])

    def begin(self, mapping_version: str, *, scan_id: UUID, attributes_version: str | None = None) -> UUID:
        """A new import, with nothing in it yet, of contacts that the scan saw on no block-list."""
        versions = {"mapping_version": mapping_version, "attributes_version": attributes_version}
        found: UUID = self._all("begin", walk_id=scan_id, **versions)[0].id
        return found

    def note_failed(self, mapping_version: str) -> None:
        """Count one as failed that was not begun, since the account could not be read for it."""
        self._all("note_failed", mapping_version=mapping_version)

    def claim(self, import_id: UUID, *, limit: int, lease: timedelta) -> list[BulkClaim]:
        """Up to `limit` more due contacts for this import, oldest first.

        Those before the ones that this object has claimed are left to the next run, unless it has given some back: with
        somebody's old snapshot open, they are behind all that was claimed since.
        """
        after_run_at, after_id = self._floor
        rows = self._all(
            "claim",
            holder=holder(import_id),
            limit=limit,
            lease=lease,
            after_run_at=after_run_at,
            after_id=after_id,
        )
        if rows:
            self._floor = (rows[-1].run_at.isoformat(), rows[-1].contact_id)
        return [
            BulkClaim(claim=Claim(contact_id=row.contact_id, claim_no=row.claim_no), revision=row.revision)
            for row in rows
        ]

    def set_apart(self, import_id: UUID, contact_ids: Sequence[UUID]) -> int:
        """Give these claims back uncharged, to be delivered singly."""
        return len(self._all("set_apart", holder=holder(import_id), contact_ids=list(contact_ids)))

    def note(self, import_id: UUID, rows: Sequence[ToldRow]) -> None:
        """Write down what is going to be told, and give a sign of life. Raises ImportLost."""
        with self._engine.begin() as connection:
            if not self._execute(connection, "beat", id=import_id, state="preparing"):
                raise ImportLost
            with copying(connection, f"COPY crm_bulk_rows ({_COLUMNS}) FROM STDIN") as copy:
                copy.write("".join([_copied_row(import_id, row) for row in rows]))

    def begin_submitting(
        self, import_id: UUID, *, modified_since: datetime, time_limit: timedelta, scan_trust: timedelta
    ) -> set[str]:
        """Write down that the import is about to be sent; returns the keys that must not be. Raises ImportLost.

        `scan_trust`: how long ago the scan behind it may have begun.
        """
        with self._engine.begin() as connection:
            if not self._execute(
                connection,
                "submitting",
                id=import_id,
                modified_since=modified_since,
                time_limit=time_limit,
                scan_trust=scan_trust,
            ):
                raise ImportLost
            return {row.key for row in self._execute(connection, "drop_lost", id=import_id)}

    def accepted(self, import_id: UUID, process_id: str) -> bool:
        """The CRM has taken it; `process_id` is what the CRM calls it. Returns whether the import is still ours."""
        return bool(self._all("accepted", id=import_id, process_id=process_id))

    def tend(self, *, silence: timedelta) -> list[OpenImport]:
        """Take those imports in hand that wait at the CRM and that no living run looks after."""
        rows = self._all("tend", silence=silence)
        return [OpenImport(**row._mapping) for row in rows]

    def leave(self) -> dict[UUID, int]:
        """Let the next run look after what is still under way; returns of how many contacts the fate is not known."""
        return {row.id: row.contacts for row in self._all("leave")}

    def proved(self, import_ids: Collection[UUID]) -> dict[UUID, int]:
        """How many contacts of each `record_proved` has recorded, whoever called it."""
        return {row.id: row.proved for row in self._all("proved", ids=list(import_ids))}

    def any_open(self) -> bool:
        """Whether an import is under way at the CRM."""
        return bool(self._all("any_open")[0][0])

    def completed(self, import_id: UUID) -> bool:
        """The CRM says that it is done; now it has to be seen. Returns whether the import is still ours."""
        return bool(self._all("completed", id=import_id))

    def expected(self, import_id: UUID, keys: Sequence[str]) -> list[Expected]:
        """What the import told of the contacts with these keys, as far as they are in it."""
        rows = self._all("expected", id=import_id, keys=text_array(keys))
        return [Expected(key=row.key, names=tuple(row.names), proof=bytes(row.proof)) for row in rows]

    def record_proved(self, import_id: UUID, proved: Mapping[str, tuple[str, str | None]]) -> Proved:
        """Enter these (key -> the CRM's id, and the external id that it shows) into the ledger as delivered.

        Whose claim is the current one and of the revision that was sent is delivered at once.
        """
        ids = text_array([remote_id for remote_id, _ in proved.values()])
        marks = text_array([mark for _, mark in proved.values()])
        [row] = self._all("record_proved", id=import_id, keys=text_array(proved), remote_ids=ids, marks=marks)
        return Proved(synced=row.synced, gone=row.gone, others=row.others)

    def record_unproved(self, import_id: UUID, reason: str, after: str = "") -> Unproved:
        """Enter some thousand of the others, by their keys behind `after`, into the ledger as not delivered."""
        [row] = self._all("record_unproved", id=import_id, reason=reason, after=after, limit=_PORTION)
        return Unproved(contacts=row.contacts, gone=row.gone, last=row.last)

    def report(self, import_id: UUID, reported: Mapping[str, str]) -> None:
        """Note in which of the CRM's reports (value) a contact (key) was found."""
        self._all("report", id=import_id, keys=list(reported), reports=list(reported.values()))

    def end(self, import_id: UUID, ended_as: str) -> int | None:
        """Nothing more will come of it; returns of how many contacts no outcome could be recorded.

        None: somebody else looks after it, or has ended it.
        """
        with self._engine.begin() as connection:
            if not self._execute(connection, "end", id=import_id, ended_as=ended_as):
                return None
            return len(self._execute(connection, "drop_rows", id=import_id))

    def latest_ends(self) -> list[ImportEnd]:
        """Of the latest imports that were sent, the newest first."""
        return [ImportEnd(**row._mapping) for row in self._all("latest_ends", limit=_ENDS)]

    def give_back(self, import_id: UUID, ended_as: str = "given_back") -> int:
        """End an import that was not sent, or whose sending failed; its claims are queued again, uncharged."""
        self._floor = _START
        with self._engine.begin() as connection:
            self._execute(connection, "end", id=import_id, ended_as=ended_as)
            self._execute(connection, "drop_rows", id=import_id)
            return len(self._execute(connection, "give_back", holder=holder(import_id)))

    def recover(self, *, silence: timedelta, ended_runs: Sequence[str] = ()) -> int:
        """Queue the contacts of imports whose worker died on the way to the CRM; returns how many."""
        returned = 0
        with self._engine.begin() as connection:
            self._execute(connection, "without_nested_loops")
            for row in self._execute(connection, "lose", silence=silence, ended_runs=list(ended_runs)):
                returned += len(self._execute(connection, "return_lost", id=row.id, holder=holder(row.id)))
                self._execute(connection, "drop_rows", id=row.id)
        return returned


def _copied_row(import_id: UUID, row: ToldRow) -> str:
    claim = row.claim
    return (
        f"{import_id.hex}\t{copied(row.key)}\t{claim.contact_id.hex}\t{claim.claim_no}\t{row.revision}\t"
        f"{copied_bytes(row.payload_hash)}\t{copied_bytes(row.proof)}\t{_copied_list(row.names)}\t"
        f"{_copied_list(row.warnings)}\t{_copied_list(row.left_out)}\t{_copied_list(row.lists)}\n"
    )


@lru_cache(maxsize=1000)
def _copied_list(values: tuple[str, ...] | frozenset[str]) -> str:
    """Made once for contacts that are alike: they differ in their values, rarely in what these are called."""
    return copied(text_array(sorted(values) if isinstance(values, frozenset) else values))
