"""Whom the CRM has on its block-lists, and what else an import must know of, as one scan of the account saw it.

Digests, no addresses.

An import is sent only if a scan that is complete and young stands behind it (`submitting` in bulk_imports.sql). The
statements stand in blocklist.sql.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.database.copying import copying
from crm_pipelines.database.literals import bytes_array, copied_bytes
from crm_pipelines.database.sql import asking, load_statements

_SQL = load_statements("destinations/blocklist")
# Of so many digests all are kept in memory, some 100 bytes each, so that none need be asked for.
_FEW = 10_000
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, kw_only=True)
class CompletedScan:
    """`blocked` counts the digests that it left."""

    id: UUID
    blocked: int


class Blocklist:
    """The scans of one CRM's account."""

    def __init__(self, engine: sa.Engine, crm: str) -> None:
        self._engine = engine
        self._all = asking(engine, _SQL, crm)
        self._kept: tuple[UUID | None, frozenset[bytes]] = (None, frozenset())

    def begin(self, *, longest_life: timedelta) -> UUID:
        """A new scan, from now on; what older ones than `longest_life` have left is deleted."""
        self._all("forget_old", longest_life=longest_life)
        found: UUID = self._all("begin")[0].id
        return found

    def note(self, scan_id: UUID, identifiers: Iterable[str]) -> None:
        """Write down that these were seen."""
        digests = _digests(scan_id, identifiers)
        with (
            self._engine.begin() as connection,
            copying(connection, "COPY crm_blocked (walk_id, digest) FROM STDIN") as copy,
        ):
            copy.write("".join([f"{scan_id.hex}\t{copied_bytes(digest)}\n" for digest in digests]))

    def complete(self, scan_id: UUID) -> CompletedScan:
        """The account was seen to its end."""
        return CompletedScan(id=scan_id, blocked=self._all("complete", id=scan_id)[0].blocked)

    def among(self, scan: CompletedScan, identifiers: Iterable[str]) -> set[str]:
        """Those of the identifiers that were written down."""
        if not scan.blocked:
            return set()
        by_digest = _digests(scan.id, identifiers)
        if scan.blocked > _FEW:
            found = self._all("among", id=scan.id, digests=bytes_array(by_digest))
            return {by_digest[bytes(row.digest)] for row in found}
        return {by_digest[digest] for digest in by_digest.keys() & self._few(scan)}

    def _few(self, scan: CompletedScan) -> frozenset[bytes]:
        """All that the scan has written down: nothing is added to it any more."""
        if self._kept[0] != scan.id:
            self._kept = scan.id, frozenset([bytes(row.digest) for row in self._all("written_down", id=scan.id)])
        return self._kept[1]

    def ours(self, marks: Iterable[str]) -> set[str]:
        """Those of the external ids, in lower case, that are ids of contacts here."""
        ids = [one for one in marks if _UUID.fullmatch(one)]
        return {row.id for row in self._all("ours", ids=ids)} if ids else set()

    def forget(self, scan_id: UUID) -> None:
        """Delete what the scan has left; no import can be sent on it any more."""
        self._all("forget", id=scan_id)


def _digests(scan_id: UUID, identifiers: Iterable[str]) -> dict[bytes, str]:
    """The identifiers by their digests."""
    # Keyed by the scan: the digests of two scans cannot be compared, nor those of known addresses computed beforehand.
    keyed = hashlib.blake2b(key=scan_id.bytes, digest_size=16)
    found = {}
    for one in identifiers:
        hashed = keyed.copy()
        hashed.update(one.encode())
        found[hashed.digest()] = one
    return found
