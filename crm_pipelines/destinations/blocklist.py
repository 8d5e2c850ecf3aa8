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
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm_pipelines.database.sql import asking, load_statements

_SQL = load_statements("destinations/blocklist")
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

    def begin(self, *, longest_life: timedelta) -> UUID:
        """A new scan, from now on; what older ones than `longest_life` have left is deleted."""
        self._all("forget_old", longest_life=longest_life)
        found: UUID = self._all("begin")[0].id
        return found

    def note(self, scan_id: UUID, identifiers: Iterable[str]) -> None:
        """Write down that these were seen."""
        digests = {_digest(scan_id, one) for one in identifiers}
        with self._engine.begin() as connection:
            driver: Any = connection.connection.driver_connection
            with driver.cursor() as cursor, cursor.copy("COPY crm_blocked (walk_id, digest) FROM STDIN") as copy:
                for digest in digests:
                    copy.write_row((scan_id, digest))

    def complete(self, scan_id: UUID) -> CompletedScan:
        """The account was seen to its end."""
        return CompletedScan(id=scan_id, blocked=self._all("complete", id=scan_id)[0].blocked)

    def among(self, scan: CompletedScan, identifiers: Iterable[str]) -> set[str]:
        """Those of the identifiers that were written down."""
        if not scan.blocked:
            return set()
        by_digest = {_digest(scan.id, one): one for one in identifiers}
        rows = self._all("among", id=scan.id, digests=list(by_digest))
        return {by_digest[bytes(row.digest)] for row in rows}

    def ours(self, marks: Iterable[str]) -> set[str]:
        """Those of the external ids, in lower case, that are ids of contacts here."""
        ids = [one for one in marks if _UUID.fullmatch(one)]
        return {row.id for row in self._all("ours", ids=ids)} if ids else set()

    def forget(self, scan_id: UUID) -> None:
        """Delete what the scan has left; no import can be sent on it any more."""
        self._all("forget", id=scan_id)


def _digest(scan_id: UUID, identifier: str) -> bytes:
    # Keyed by the scan: the digests of two scans cannot be compared, nor those of known addresses computed beforehand.
    return hashlib.blake2b(identifier.encode(), key=scan_id.bytes, digest_size=16).digest()
