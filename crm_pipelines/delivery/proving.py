"""Finds out what became of the contacts of an import that has ended: only what is seen at the CRM is delivered."""

import logging
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from uuid import UUID

from crm_pipelines.contacts.gates import GateKeeper, Tally
from crm_pipelines.contacts.imports import BulkImports, OpenImport, holder
from crm_pipelines.contacts.queue import Applied, Queue, RetryPolicy
from crm_pipelines.crms.base import Crm, Held, ImportStatus, Outcome, Page, Result
from crm_pipelines.delivery import planning
from crm_pipelines.delivery.passage import LONGEST_PAUSE, Passage
from crm_pipelines.delivery.rates import RateLimit
from crm_pipelines.delivery.totals import Totals, totals_of
from crm_pipelines.errors import CrmPipelinesError

# Pages that are asked for at once: enough to keep the rate with answers that take half a second.
_READERS = 4
# Pages of a walk; more would mean that the CRM gives the same ones again.
_MOST_PAGES = 5000

_log = logging.getLogger(__name__)


class BrokenOff(CrmPipelinesError):
    """The CRM did not give the answer that is needed to go on."""


class _TooEarlyError(Exception):
    """The imports were looked at not long ago."""


@dataclass
class Fates:
    """What became of the contacts so far."""

    claimed: int = 0
    released: int = 0
    superseded: int = 0
    requests: int = 0
    applied: list[Applied] = field(default_factory=list)

    def totals(self, *, importing: int) -> Totals:
        totals = totals_of(self.applied, claimed=self.claimed, released=self.released, taken_over=self.superseded)
        return replace(totals, importing=importing, requests=totals.requests + self.requests)


class Prover(Passage):
    """What `Importer` needs to finish an import. `fates` counts as it goes."""

    def __init__(
        self,
        *,
        queue: Queue,
        imports: BulkImports,
        gate: GateKeeper,
        crm: Crm,
        policy: RetryPolicy,
        limit: RateLimit,
        stop: threading.Event | None = None,
    ) -> None:
        super().__init__(gate=gate, crm=crm, limit=limit, stop=stop)
        self._queue = queue
        self._imports = imports
        self._policy = policy
        self._lock = threading.Lock()
        self.fates = Fates()

    def _turn(self) -> None:
        self._pacer.wait()
        with self._lock:
            self.fates.requests += 1

    def _heed(self, outcome: Outcome) -> None:
        """As for a single delivery: what concerns the account takes effect before the next request."""
        self._insistently(partial(self._mind_the_gate, outcome))
        if outcome.result is Result.RETRY:
            failure = Tally(successes=0, failures=1, trailing_failures=1, rejects=0, last_failure=outcome.message or "")
            self._insistently(partial(self._gate.judge, failure))

    def _look(self) -> Mapping[str, ImportStatus]:
        """How the imports stand; nothing when it is too early to ask."""

        def before_request() -> None:
            self._turn()
            if not self._patiently(partial(self._gate.reserve_poll, planning.POLL_PAUSE)):
                raise _TooEarlyError

        try:
            outcome, statuses = self._crm.imports.look(before_request=before_request)
        except _TooEarlyError:
            return {}
        if outcome.result is Result.SNOOZED:
            # This allowance is not that of the contacts.
            pause = min(outcome.retry_after or planning.POLL_PAUSE, LONGEST_PAUSE)
            self._insistently(partial(self._gate.delay_poll, max(pause, planning.POLL_PAUSE)))
        elif outcome.result is not Result.SYNCED:
            # Nor is this limit, which the headers tell: it must not become the rate of the contacts.
            self._heed(replace(outcome, rate=type(outcome.rate)()))
        return statuses

    def _prove(self, ended: Sequence[OpenImport], statuses: Mapping[str, ImportStatus]) -> None:
        """Read back what changed since these imports were sent, and settle the fate of each of their contacts."""
        ids = [one.id for one in ended]
        left = sum(one.contacts for one in ended)
        for page in self._pages(min(one.modified_since for one in ended)) if left else ():
            left -= self._compare(ids, page)
            if left <= 0:
                break
        for one in ended:
            status = statuses.get(one.process_id)
            if left > 0 and status is not None and status.reports:
                self._insistently(partial(self._imports.report, one.id, self._crm.imports.refused(status)))
            self._give_up(one, "proved", "The bulk import did not bring this contact in as it was sent.")
        _log.info("%d imports ended; of their contacts %d were not found as they were sent.", len(ids), left)

    def _compare(self, import_ids: list[UUID], page: Page) -> int:
        """Record those of the page that are as they were sent; returns how many."""
        arrived: dict[UUID, dict[str, str]] = {}
        sought: dict[str, Held] = {one.key: one for one in page.contacts}
        for import_id in list(import_ids):
            for told in self._patiently(partial(self._imports.expected, import_id, list(sought))):
                one = sought.pop(told.key)
                if self._crm.imports.proof(one, told.names) == told.proof:
                    arrived.setdefault(import_id, {})[told.key] = one.remote_id
            if not sought:
                break
        # A page follows another within the same import: there it is looked for first.
        import_ids.sort(key=lambda import_id: import_id not in arrived)
        for import_id, remote_ids in arrived.items():
            found, gone = self._insistently(partial(self._imports.record_proved, import_id, remote_ids))
            self.fates.superseded += gone
            self._carry_over(import_id, found)
        return sum(map(len, arrived.values()))

    def _give_up(self, one: OpenImport, ended_as: str, reason: str) -> None:
        """Send what is not proved back to the queue, from where it goes singly; the import is over."""
        while True:
            found, gone = self._insistently(partial(self._imports.record_unproved, one.id, reason))
            if not found and not gone:
                break
            self.fates.superseded += gone
            self._carry_over(one.id, found)
        self._insistently(partial(self._imports.end, one.id, ended_as))

    def _carry_over(self, import_id: UUID, contact_ids: Sequence[UUID] | None = None) -> int:
        """Outcomes from the ledger to the state machine; returns of how many contacts."""
        applied = self._insistently(partial(self._queue.apply, holder(import_id), self._policy, contact_ids))
        self.fates.applied += applied
        return sum(row.contacts for row in applied)

    def _pages(self, since: datetime) -> Iterator[Page]:
        """All pages, in their order, some of them asked for ahead."""
        size = self._crm.imports.page_size
        pool = ThreadPoolExecutor(_READERS, thread_name_prefix="read")
        ahead: deque[Future[Page]] = deque()
        try:
            page = self._read(since, 0, size=size)
            yield page
            end, number = page.count or 0, 1
            while (page.full or ahead) and number < _MOST_PAGES:
                while len(ahead) < _READERS and (number * size < end or (page.full and not ahead)):
                    ahead.append(pool.submit(self._read, since, number * size, size=size))
                    number += 1
                if not ahead:
                    return
                page = ahead.popleft().result()
                yield page
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _read(self, since: datetime, offset: int, *, size: int) -> Page:
        """Raises BrokenOff."""
        outcome, page = self._crm.imports.changed(since, offset=offset, size=size, before_request=self._turn)
        self._heed(outcome)
        if page is None:
            raise BrokenOff(outcome.message)
        return page
