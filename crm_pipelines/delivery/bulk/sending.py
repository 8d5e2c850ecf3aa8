"""Delivers many contacts in a few requests, and looks after imports that earlier runs have begun.

docs/architecture.md, "In bulk", says what holds an import's claims, and what if a worker dies.
"""

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from uuid import UUID

from crm_pipelines.crms.bulk import Imports, ImportTarget
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.delivery import planning
from crm_pipelines.delivery.bulk.bodies import Body
from crm_pipelines.delivery.bulk.confirming import Confirmer
from crm_pipelines.delivery.bulk.fates import Fates
from crm_pipelines.delivery.bulk.filling import Filler
from crm_pipelines.delivery.bulk.progress import Progress
from crm_pipelines.delivery.bulk.scanning import AccountScan
from crm_pipelines.delivery.bulk.stalls import Stall
from crm_pipelines.delivery.fence import ClaimLost, elapsed_clock
from crm_pipelines.delivery.pace.pacing import GatePaused, Stopped
from crm_pipelines.delivery.pace.session import STOPPED, CrmSession
from crm_pipelines.delivery.reading import BrokenOff, PageReader
from crm_pipelines.delivery.signals import undisturbed
from crm_pipelines.delivery.totals import Totals
from crm_pipelines.destinations.blocklist import Blocklist
from crm_pipelines.queue.bulk_imports import BulkImports, ImportLost, OpenImport

# One look at the CRM's processes shows 50.
_MOST_UNDER_WAY = 40
# Seconds between two questions how many contacts have changed.
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.25, 2.0
_FAILURES = {"timeout": "timed_out", "too_large": "too_large"}
_FAILED = frozenset({Result.RETRY, Result.REFUSED, Result.SNOOZED})
# This share of the contacts that are waited for is worth reading back while the rest may still arrive.
_NEARLY_ALL = 0.8
# Seconds until those that have not arrived are looked for again.
_AHEAD_PAUSE = 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BulkReceipt:
    """`failed` is how the last import ended that had no good answer; `halted` says why sending stopped early."""

    totals: Totals
    failed: str | None
    halted: str | None


@dataclass(kw_only=True)
class BulkSender:
    """The imports of one run to one CRM."""

    session: CrmSession
    bulk: Imports
    imports: BulkImports
    blocklist: Blocklist
    reader: PageReader
    filler: Filler
    confirmer: Confirmer
    fates: Fates
    _open: dict[UUID, OpenImport] = field(default_factory=dict, init=False)
    _sending: threading.Lock = field(default_factory=threading.Lock, init=False)
    _proved_before: dict[UUID, int] = field(default_factory=dict, init=False)
    _progress: Progress | None = field(default=None, init=False)
    _changed_before: int = field(default=0, init=False)
    _stall: Stall = field(default_factory=lambda: Stall(time.monotonic()), init=False)
    _failed: str | None = field(default=None, init=False)

    def run(self, scan: AccountScan | None, *, most: int = 0, budget: timedelta = timedelta()) -> BulkReceipt:
        """Finish what is under way and has ended; with a scan import up to `most` more, and wait a little for them.

        Further imports are begun for as long as the budget lasts. What does not end in time is left to the next run;
        what interrupts this one (a stop signal, say) passes through after that, and not before the CRM's answer to an
        import is written down.
        """
        return undisturbed(partial(self._run, scan, most, budget), partial(self.session.halt, STOPPED))

    def _run(self, scan: AccountScan | None, most: int, budget: timedelta) -> BulkReceipt:
        try:
            self._take_up()
            self._settle()
            if scan is not None:
                self._progress = Progress(since=scan.target.moment)
                with self._confirming_ahead(scan.target):
                    self._send_all(scan, most, budget)
                self._wait_for_all(scan.target)
        except (GatePaused, Stopped):
            self.session.halt("sending is paused")  # unless it is halted for something else
        except BrokenOff as reason:
            _log.warning("The next run looks after the imports: %s", reason)
            if scan is not None:  # contacts were left to it
                self._failed = self._failed or "unanswered"
        finally:
            left = self.session.insistently(self.imports.leave)
            if self._open.keys() - left.keys():
                self.fates.lose()
            if scan is not None:
                self.session.insistently(partial(self.blocklist.forget, scan.completed.id))
        importing = sum(left.values())
        if self.fates.totals(importing=importing).unaccounted > 0:
            self._count_again(importing)
        totals = self.fates.totals(importing=importing)
        if self.session.insistently(self.session.belongs_to_another_account):  # which forgot the imports of this one
            totals = replace(totals, superseded=totals.superseded + totals.unaccounted)
        return BulkReceipt(totals=totals, failed=self._failed, halted=self.session.halted)

    def _count_again(self, importing: int) -> None:
        """Count what was written down though the database's answer was lost: a repeated call finds nothing to do."""
        for import_id in self._proved_before:
            self.fates.carry_over(import_id)
        unheard = self.confirmer.unheard(self._proved_before)
        self.fates.add(synced=max(0, min(unheard, self.fates.totals(importing=importing).unaccounted)))

    def _take_up(self) -> None:
        for one in self.session.patiently(partial(self.imports.tend, silence=planning.IMPORT_SILENCE)):
            self._open[one.id] = one
            self._proved_before[one.id] = one.proved
            known_to_a_dead_worker = self.fates.carry_over(one.id)
            self.fates.add(claimed=one.contacts + known_to_a_dead_worker)

    def _settle(self) -> bool:
        """Ask how the imports stand, and finish those that have ended. False: the CRM may not be asked yet."""
        seen = self.confirmer.look() if any(not one.completed for one in self._open.values()) else {}
        statuses, ended = seen or {}, []
        for one in list(self._open.values()):
            status = statuses.get(one.process_id)
            if one.completed or (status is not None and status.completed):
                if self.session.patiently(partial(self.imports.completed, one.id)):
                    ended.append(one)
                else:
                    self.fates.lose()
                    del self._open[one.id]
            elif status is not None and status.failed:
                self._give_up(one, "failed", f"The bulk import ended as {status.said}.")
        try:
            if ended:
                self.confirmer.settle(ended, statuses, self._progress)
                for one in ended:
                    del self._open[one.id]
        finally:  # nor is it waited for longer when nobody can see what it brought in
            self._give_up_overdue()
        return seen is not None

    def _give_up_overdue(self) -> None:
        for one in [one for one in self._open.values() if one.overdue]:
            self._give_up(one, "overdue", f"The bulk import did not end within {planning.IMPORT_DEADLINE}.")

    def _give_up(self, one: OpenImport, ended_as: str, reason: str) -> None:
        self.confirmer.give_up(one, ended_as, reason)
        del self._open[one.id]

    @contextmanager
    def _confirming_ahead(self, target: ImportTarget) -> Iterator[None]:
        """While further imports are put together, those contacts are recorded that have arrived already."""
        over = threading.Event()
        with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
            confirming = pool.submit(self._confirm_ahead, target, over)
            try:
                yield
            finally:
                over.set()
        with suppress(GatePaused, Stopped, BrokenOff):  # whoever goes on meets it again
            confirming.result()

    def _confirm_ahead(self, target: ImportTarget, over: threading.Event) -> None:
        progress = self._progress
        assert progress is not None
        progress.read = self._changed_before = self.reader.count(target.moment) or 0
        while not over.is_set():
            if self._open:
                self._read_on(progress)
            over.wait(_AHEAD_PAUSE)

    def _read_on(self, progress: Progress) -> None:
        """Record what has arrived since. Raises BrokenOff, GatePaused or Stopped."""
        pages = self.reader.pages(progress.since, first=progress.contacts)
        for page, recorded in self.confirmer.confirm(self._sent, pages):
            progress.add(page, recorded)
            self._saw(page.count)
            if not self.confirmer.awaits(list(self._open.values())):
                break

    def _saw(self, changed: int | None) -> None:
        self._stall.saw((changed or 0) - self._changed_before, time.monotonic())

    def _sent(self) -> Iterator[UUID]:
        """The imports under way: last of all the one that is just being sent, once it is.

        The CRM may be so quick that its contacts are on a page that was read before its answer came.
        """
        known = self.confirmer.in_order(list(self._open))
        yield from known
        with self._sending:
            newer = self._open.keys() - set(known)
        yield from newer

    def _wait_for_all(self, target: ImportTarget) -> None:
        """In growing pauses, until all have ended or patience has.

        The CRM may be asked for its imports only so often; the number of contacts that changed, which may be asked for
        at any time, tells when looking is worthwhile. An import of which every contact was seen has ended.
        """
        give_up = time.monotonic() + planning.IMPORT_PATIENCE.total_seconds()
        pause, changed, progress = 0.0, self._changed_before, self._progress
        assert progress is not None
        self._end_those_seen()
        while self._open and time.monotonic() + pause < give_up:
            self.session.pause(pause)
            before, changed = changed, self.reader.count(target.moment) or 0
            self._saw(changed)
            is_long = self._stall.is_long(time.monotonic())
            pause = 2 * _SHORTEST_PAUSE if changed > before else min(2 * pause or _SHORTEST_PAUSE, _LONGEST_PAUSE)
            nearly_all = changed >= _NEARLY_ALL * self._waited_for
            if changed != progress.read and (is_long or nearly_all):
                seen = self.confirmer.seen
                self._read_on(progress)
                self._end_those_seen()
                # Of ours more would have arrived in the time that has passed. Others may write all the time.
                pause = 0.0 if self.confirmer.seen > seen else _LONGEST_PAUSE
            if is_long and self._open:
                if not self._settle() and nearly_all:
                    return  # what is missing was refused, as far as can be told; the next run looks
                self._stall.looked(time.monotonic())
        if self._open:
            self._settle()

    @property
    def _waited_for(self) -> int:
        return sum(one.contacts for one in self._open.values())

    def _end_those_seen(self) -> None:
        for one in self.confirmer.end_seen(self._open.values()):
            del self._open[one.id]

    def _send_all(self, scan: AccountScan, most: int, budget: timedelta) -> None:
        until = time.monotonic() + budget.total_seconds()
        more = True
        while more and most > 0 and time.monotonic() < until and len(self._open) < _MOST_UNDER_WAY:
            claimed_before = self.fates.claimed
            more = self._send_one(scan, most)
            most -= self.fates.claimed - claimed_before

    def _send_one(self, scan: AccountScan, most: int) -> bool:
        """One import; False when there is nothing left for a further one, or no use in trying."""
        crm = self.session.crm
        import_id = self.session.patiently(
            partial(
                self.imports.begin,
                crm.mapping_version,
                scan_id=scan.completed.id,
                attributes_version=crm.attributes_version,
            )
        )
        ends = self.session.patiently(self.imports.latest_ends)
        body = Body(planning.body_bytes(self.bulk.most_bytes, ends))
        sent = False
        try:
            more = self.filler.fill(import_id, body, scan, most)
            sent = self._submit(import_id, body, scan.target)
            return more and (sent or not body.rows)
        except (ImportLost, ClaimLost):
            _log.warning("An import was given up before it was sent, since too much time had passed.")
            return False
        finally:
            if not sent:
                ended_as = self._failed or "given_back"
                returned = self.session.insistently(partial(self.imports.give_back, import_id, ended_as))
                uncounted = returned - (body.taken - body.let_go)  # below 0: somebody else has them by now
                self.fates.add(claimed=max(0, uncounted), released=returned, superseded=max(0, -uncounted))

    def _submit(self, import_id: UUID, body: Body, target: ImportTarget) -> bool:
        """Whether it has come to something: it is under way, or the CRM refused it for good."""
        if not body.rows:
            return False
        asked_at = elapsed_clock()
        lost = self.session.patiently(
            partial(
                self.imports.begin_submitting,
                import_id,
                modified_since=target.moment,
                time_limit=planning.IMPORT_DEADLINE,
                scan_trust=planning.SCAN_TRUST,
            )
        )
        body.drop(lost)
        body.let_go += len(lost)
        self.fates.add(superseded=len(lost))
        if not body.rows:
            return False

        def turn() -> None:
            self.session.turn()
            if elapsed_clock() - asked_at > planning.TRUST.total_seconds():
                raise ClaimLost

        with self._sending:
            outcome, process_id = self.bulk.submit(list(body.rows.values()), target, turn=turn)
            one = OpenImport(
                id=import_id,
                process_id=process_id or "",
                modified_since=target.moment,
                overdue=False,
                completed=False,
                contacts=len(body.rows),
            )
            if process_id is not None:
                self._proved_before[import_id] = 0
                if self.session.insistently(partial(self.imports.accepted, import_id, process_id)):
                    self._open[import_id] = one
                    self._stall.sent(time.monotonic())
                else:
                    self.fates.lose()
        if process_id is not None:
            _log.info("Import of %d contacts is under way as process %s.", one.contacts, process_id)
        self.session.heed_endpoint(outcome)
        if process_id is None and outcome.result is Result.REJECTED:
            self.confirmer.give_up(one, "refused", f"The bulk import was refused: {outcome.message}")
            return True
        self._note_failure(outcome, one.contacts)
        return process_id is not None

    def _note_failure(self, outcome: Outcome, contacts: int) -> None:
        if outcome.result in _FAILED:
            refused = outcome.result is not Result.RETRY
            self._failed = "refused" if refused else _FAILURES.get(outcome.kind or "", "unanswered")
            _log.warning("An import of %d contacts failed (%s).", contacts, self._failed)
