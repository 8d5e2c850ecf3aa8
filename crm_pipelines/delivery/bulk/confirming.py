"""Finds out what became of the contacts of an import that has ended: only what is seen at the CRM is delivered."""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from uuid import UUID

from crm_pipelines.crms.bulk import ContactPage, Imports, ImportStatus
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Held
from crm_pipelines.delivery.bulk.fates import Fates
from crm_pipelines.delivery.bulk.progress import Progress
from crm_pipelines.delivery.pace.rates import LONGEST_PAUSE
from crm_pipelines.delivery.pace.session import CrmSession
from crm_pipelines.delivery.reading import PageReader
from crm_pipelines.destinations.gates import SANDBOX
from crm_pipelines.queue.bulk_imports import BulkImports, OpenImport

# Pages that are compared and recorded at the same time.
_CONFIRMERS = 2
_NOT_AS_SENT = "The bulk import did not bring this contact in as it was sent."

_log = logging.getLogger(__name__)


class _TooEarlyError(Exception):
    """The allowance for looks is used up for now."""


@dataclass(kw_only=True)
class Confirmer:
    """Looks after imports that were sent, and records the contacts that they brought in."""

    session: CrmSession
    bulk: Imports
    reader: PageReader
    imports: BulkImports
    fates: Fates
    _seen: Counter[UUID] = field(default_factory=Counter, init=False)
    _latest: Collection[UUID] = field(default=(), init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    @property
    def seen(self) -> int:
        """How many contacts of all imports were recorded so far."""
        return self._seen.total()

    def look(self) -> Mapping[str, ImportStatus] | None:
        """How the imports stand, by process; None when they may not be asked for. Raises GatePaused or Stopped."""

        def turn() -> None:
            self.session.turn()
            if not self.session.patiently(self._may_look):
                raise _TooEarlyError

        try:
            outcome, statuses = self.bulk.look(turn=turn)
        except _TooEarlyError:
            return None
        if (pause := self._used_up_for(outcome)) is not None:
            # This allowance is not that of the contacts.
            self.session.insistently(partial(self.session.gate.delay_poll, min(pause, LONGEST_PAUSE)))
        if outcome.result not in {Result.SYNCED, Result.SNOOZED}:
            # Nor is this limit, which the headers tell: it must not become the rate of the contacts.
            self.session.heed_endpoint(replace(outcome, rate=type(outcome.rate)()))
        return statuses

    def _may_look(self) -> bool:
        aside = self.session.crm.aside
        if aside is None:
            return True
        return self.session.gate.reserve_poll(most=aside.most, refill=aside.refill, reserve=aside.reserve)

    def _used_up_for(self, outcome: Outcome) -> timedelta | None:
        """For how long nobody may look, as the answer says: the account's other tools use this allowance, too."""
        aside, rate = self.session.crm.aside, outcome.rate
        if outcome.result is Result.SNOOZED:
            return outcome.retry_after or (aside.refill if aside else timedelta(seconds=1))
        if aside is None or rate.remaining is None or rate.reset_seconds is None or rate.remaining > aside.reserve:
            return None
        return timedelta(seconds=rate.reset_seconds)

    def settle(
        self, ended: Sequence[OpenImport], statuses: Mapping[str, ImportStatus], progress: Progress | None = None
    ) -> None:
        """Read back what changed since these imports were sent, and settle the fate of each of their contacts.

        Not again what was read before, as `progress` says. Raises BrokenOff, GatePaused or Stopped; then none of the
        imports is over.
        """
        left = self._read_back(ended, first=self._first_unread(ended, progress))
        for one in ended:
            status = statuses.get(one.process_id)
            if left > 0 and status is not None and status.reports:
                self.session.insistently(partial(self.imports.report, one.id, self._refused(status)))
            self.give_up(one, "proved", _NOT_AS_SENT)
        _log.info("%d imports ended; of their contacts %d were not found as they were sent.", len(ended), left)

    def awaits(self, imports: Iterable[OpenImport]) -> bool:
        """Whether some of their contacts have not been seen."""
        return any(self._left(one) > 0 for one in imports)

    def end_seen(self, imports: Iterable[OpenImport]) -> list[OpenImport]:
        """End those of which every contact was seen; returns them."""
        seen = [one for one in imports if self._left(one) <= 0]
        for one in seen:
            self.give_up(one, "proved", _NOT_AS_SENT)
        return seen

    def in_order(self, import_ids: Iterable[UUID]) -> list[UUID]:
        """The order in which to look: a page follows another within the same import."""
        return sorted(import_ids, key=lambda import_id: import_id not in self._latest)

    def confirm(
        self, imports: Callable[[], Iterable[UUID]], pages: Iterable[ContactPage]
    ) -> Iterator[tuple[ContactPage, set[str]]]:
        """Record those of the pages that are as imports sent them: each page, and the keys of which that is certain.

        In the order of the pages, of which some are recorded ahead. `imports` is asked after a page was read, and tells
        where to look, one after the other until all of the page are found.
        """
        under_way: deque[tuple[ContactPage, Future[set[str]]]] = deque()
        with ThreadPoolExecutor(_CONFIRMERS, thread_name_prefix="confirm") as pool:
            for page in pages:
                under_way.append((page, pool.submit(self._confirm, imports, page)))
                if len(under_way) == _CONFIRMERS:
                    first, recorded = under_way.popleft()
                    yield first, recorded.result()
            for last, recorded in under_way:
                yield last, recorded.result()

    def _confirm(self, imports: Callable[[], Iterable[UUID]], page: ContactPage) -> set[str]:
        arrived: dict[UUID, dict[str, tuple[str, str | None]]] = {}
        sought: dict[str, Held] = {one.key: one for one in page.contacts}
        for import_id in imports():
            as_sent: dict[str, tuple[str, str | None]] = {}
            for told in self.session.patiently(partial(self.imports.expected, import_id, list(sought))):
                one = sought.pop(told.key)
                if self.bulk.proof(one, told.names) == told.proof:
                    as_sent[told.key] = (one.remote_id, self.bulk.mark(one))
            if as_sent:
                arrived[import_id] = as_sent
            if not sought:
                break
        self._latest = arrived.keys()
        recorded: set[str] = set()
        for import_id, confirmed in arrived.items():
            proved = self.session.insistently(partial(self.imports.record_proved, import_id, confirmed))
            self.fates.add(synced=proved.synced, superseded=proved.gone)
            with self._lock:
                self._seen[import_id] += proved.contacts
            if proved.others:
                self.fates.carry_over(import_id, proved.others)
            if proved.contacts == len(confirmed):  # no contact is held by somebody's transaction
                recorded |= confirmed.keys()
        return recorded

    def give_up(self, one: OpenImport, ended_as: str, reason: str) -> None:
        """Send what is not confirmed back to the queue, from where it goes singly; the import is over."""
        after: str | None = ""
        while after is not None:
            unproved = self.session.insistently(partial(self.imports.record_unproved, one.id, reason, after))
            self.fates.add(superseded=unproved.gone)
            self.fates.carry_over(one.id, unproved.contacts)
            after = unproved.last
        # What is left, somebody's transaction holds. It returns to the queue by itself.
        left = self.session.insistently(partial(self.imports.end, one.id, ended_as))
        if left is None:
            self.fates.lose()
        self.fates.add(superseded=left or 0)

    def unheard(self, proved_before: Mapping[UUID, int]) -> int:
        """How many contacts of these imports were recorded by calls of which the database's answer was lost.

        `proved_before`: by the import, how many were recorded before this object looked after it.
        """
        proved = self.session.insistently(partial(self.imports.proved, proved_before.keys()))
        return sum(now - proved_before[import_id] - self._seen[import_id] for import_id, now in proved.items())

    def _refused(self, status: ImportStatus) -> Mapping[str, str]:
        return self.bulk.refused(status, local=self.session.gate.account == SANDBOX)

    def _read_back(self, imports: Sequence[OpenImport], *, first: int = 0) -> int:
        """Record the contacts that are there as they were sent; returns how many are not."""
        ids = [one.id for one in imports]
        left = sum(map(self._left, imports))
        since = min(one.modified_since for one in imports)
        for _ in self.confirm(partial(self.in_order, ids), self.reader.pages(since, first=first)) if left else ():
            left = sum(map(self._left, imports))
            if left <= 0:
                break
        return left

    def _first_unread(self, imports: Sequence[OpenImport], progress: Progress | None) -> int:
        """What stands before this position need not be read again.

        None of it is waited for by these imports, and nothing has come in between: what was last there is there still.
        """
        if progress is None or not progress.is_of_use or any(one.modified_since != progress.since for one in imports):
            return 0
        others = list(progress.others)
        if any(self.session.patiently(partial(self.imports.expected, one.id, others)) for one in imports):
            return 0
        last = self.reader.one(progress.since, progress.contacts - 1)
        return progress.contacts if last is not None and last.remote_id == progress.last else 0

    def _left(self, one: OpenImport) -> int:
        """How many contacts of the import have not been seen yet."""
        return one.contacts - self._seen[one.id]
