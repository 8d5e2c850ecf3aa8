"""Finds out what became of the contacts of an import that has ended: only what is seen at the CRM is delivered."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import UUID

from crm_pipelines.contacts.gates import SANDBOX
from crm_pipelines.contacts.imports import BulkImports, OpenImport, holder
from crm_pipelines.contacts.queue import Applied, Queue, RetryPolicy
from crm_pipelines.crms.bulk import ImportStatus, Page
from crm_pipelines.crms.outcomes import Result
from crm_pipelines.crms.payloads import Held
from crm_pipelines.delivery.rates import LONGEST_PAUSE
from crm_pipelines.delivery.reading import Reader
from crm_pipelines.delivery.totals import Totals, totals_of

_log = logging.getLogger(__name__)


class _TooEarlyError(Exception):
    """The imports were looked at not long ago."""


@dataclass
class Fates:
    """What became of the contacts so far."""

    claimed: int = 0
    released: int = 0
    superseded: int = 0
    applied: list[Applied] = field(default_factory=list)

    def totals(self, *, importing: int, requests: int) -> Totals:
        totals = totals_of(self.applied, claimed=self.claimed, released=self.released, taken_over=self.superseded)
        return replace(totals, importing=importing, requests=totals.requests + requests)


class Prover(Reader):
    """What `Importer` needs to finish an import. `fates` counts as it goes."""

    def __init__(self, *, queue: Queue, imports: BulkImports, policy: RetryPolicy, **passage: Any) -> None:
        super().__init__(**passage)
        self._queue = queue
        self._imports = imports
        self._policy = policy
        self._seen: Counter[UUID] = Counter()
        self.fates = Fates()

    def _look(self) -> Mapping[str, ImportStatus]:
        """How the imports stand; nothing when it is too early to ask."""

        def turn() -> None:
            self._turn()
            if not self._patiently(partial(self._gate.reserve_poll, self._bulk.look_pause)):
                raise _TooEarlyError

        try:
            outcome, statuses = self._bulk.look(turn=turn)
        except _TooEarlyError:
            return {}
        if outcome.result is Result.SNOOZED:
            # This allowance is not that of the contacts.
            pause = min(outcome.retry_after or self._bulk.look_pause, LONGEST_PAUSE)
            self._insistently(partial(self._gate.delay_poll, max(pause, self._bulk.look_pause)))
        elif outcome.result is not Result.SYNCED:
            # Nor is this limit, which the headers tell: it must not become the rate of the contacts.
            self._heed_in_bulk(replace(outcome, rate=type(outcome.rate)()))
        return statuses

    def _prove(self, ended: Sequence[OpenImport], statuses: Mapping[str, ImportStatus]) -> None:
        """Read back what changed since these imports were sent, and settle the fate of each of their contacts."""
        left = self._read_back(ended)
        for one in ended:
            status = statuses.get(one.process_id)
            if left > 0 and status is not None and status.reports:
                self._insistently(partial(self._imports.report, one.id, self._refused(status)))
            self._give_up(one, "proved", "The bulk import did not bring this contact in as it was sent.")
        _log.info("%d imports ended; of their contacts %d were not found as they were sent.", len(ended), left)

    def _refused(self, status: ImportStatus) -> Mapping[str, str]:
        return self._bulk.refused(status, local=self._gate.account == SANDBOX)

    def _read_back(self, imports: Sequence[OpenImport], *, first: int = 0) -> int:
        """Record the contacts that are there as they were sent; returns how many are not."""
        ids = [one.id for one in imports]
        left = sum(self._left(one) for one in imports)
        for page in self._pages(min(one.modified_since for one in imports), first=first) if left else ():
            left -= self._compare(ids, page)
            if left <= 0:
                break
        return left

    def _left(self, one: OpenImport) -> int:
        """How many contacts of the import have not been seen yet."""
        return one.contacts - self._seen[one.id]

    def _compare(self, import_ids: list[UUID], page: Page) -> int:
        """Record those of the page that are as they were sent; returns how many."""
        arrived: dict[UUID, dict[str, tuple[str, str | None]]] = {}
        sought: dict[str, Held] = {one.key: one for one in page.contacts}
        for import_id in list(import_ids):
            for told in self._patiently(partial(self._imports.expected, import_id, list(sought))):
                one = sought.pop(told.key)
                if self._bulk.proof(one, told.names) == told.proof:
                    arrived.setdefault(import_id, {})[told.key] = (one.remote_id, self._bulk.mark(one))
            if not sought:
                break
        # A page follows another within the same import: there it is looked for first.
        import_ids.sort(key=lambda import_id: import_id not in arrived)
        for import_id, proved in arrived.items():
            found, gone = self._insistently(partial(self._imports.record_proved, import_id, proved))
            self._superseded(gone)
            self._seen[import_id] += len(proved)
            self._carry_over(import_id, found)
        return sum(map(len, arrived.values()))

    def _give_up(self, one: OpenImport, ended_as: str, reason: str) -> None:
        """Send what is not proved back to the queue, from where it goes singly; the import is over."""
        while True:
            found, gone = self._insistently(partial(self._imports.record_unproved, one.id, reason))
            if not found and not gone:
                break
            self._superseded(gone)
            self._carry_over(one.id, found)
        # What is left, somebody's transaction holds. It returns to the queue by itself.
        self._superseded(self._insistently(partial(self._imports.end, one.id, ended_as)))

    def _superseded(self, contacts: int) -> None:
        with self._lock:
            self.fates.superseded += contacts

    def _carry_over(self, import_id: UUID, contact_ids: Sequence[UUID] | None = None) -> int:
        """Outcomes from the ledger to the state machine; returns of how many contacts."""
        applied = self._insistently(partial(self._queue.apply, holder(import_id), self._policy, contact_ids))
        self.fates.applied += applied
        carried = sum(row.contacts for row in applied)
        self._superseded(max(0, len(contact_ids or ()) - carried))
        return carried
