"""Delivers many contacts in a few requests, and looks after imports that earlier runs have begun.

docs/architecture.md, "In bulk", says what holds an import's claims, and what if a worker dies.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from crm_pipelines.contacts.blocklist import Blocklist
from crm_pipelines.contacts.imports import BulkClaim, ImportLost, OpenImport, ToldRow, holder
from crm_pipelines.contacts.queue import Attempt, Delivery, Intent
from crm_pipelines.crms.bulk import ImportRow, ImportTarget
from crm_pipelines.crms.outcomes import Result
from crm_pipelines.delivery import planning
from crm_pipelines.delivery.bodies import Body, told_of
from crm_pipelines.delivery.fence import ClaimLost, elapsed_clock
from crm_pipelines.delivery.pacing import GatePaused, Stopped
from crm_pipelines.delivery.parcels import Parcel, prepare, without_suppressed
from crm_pipelines.delivery.passage import STOPPED
from crm_pipelines.delivery.proving import Prover
from crm_pipelines.delivery.reading import BrokenOff
from crm_pipelines.delivery.signals import undisturbed
from crm_pipelines.delivery.surveying import Survey, kept_mark, off_list, on_list
from crm_pipelines.delivery.totals import Totals

# Contacts that are read and prepared at a time.
_PORTION = 2000
# One look at the CRM's processes shows 50.
_MOST_UNDER_WAY = 40
# Bytes; most rows are smaller.
_LARGE_ROW = 1000
_LONGEST_PAUSE = 8.0
_FAILURES = {"timeout": "timed_out", "too_large": "too_large"}
_FAILED = frozenset({Result.RETRY, Result.REFUSED, Result.SNOOZED})
# Seconds until those that have not arrived are looked for again.
_AHEAD_PAUSE = 0.5

_log = logging.getLogger(__name__)


class Importer(Prover):
    """The imports of one run to one CRM. `failed`: how the last one ended that had no good answer."""

    def __init__(self, *, blocklist: Blocklist, **prover: Any) -> None:
        super().__init__(**prover)
        self._blocklist = blocklist
        self._open: dict[UUID, OpenImport] = {}
        self._read_ahead = 0
        self.failed: str | None = None

    def run(self, survey: Survey | None, *, most: int = 0, budget: timedelta = timedelta()) -> Totals:
        """Finish what is under way and has ended; with a survey import up to `most` more, and wait a little for them.

        Further imports are begun for as long as the budget lasts. What does not end in time is left to the next run;
        what interrupts this one (a stop signal, say) passes through after that, and not before the CRM's answer to an
        import is written down.
        """
        return undisturbed(partial(self._run, survey, most, budget), partial(self._halt, STOPPED))

    def _run(self, survey: Survey | None, most: int, budget: timedelta) -> Totals:
        try:
            self._take_up()
            self._settle()
            if survey is not None:
                with self._proving_ahead(survey.target):
                    self._send_all(survey, most, budget)
                self._wait_for_all(survey.target)
        except GatePaused:
            self._halt("the gate is paused")
        except Stopped:
            self._halt(STOPPED)
        except BrokenOff as reason:
            _log.warning("Imports are looked after by the next run: %s", reason)
            if survey is not None:  # contacts were left to it
                self.failed = self.failed or "unanswered"
        finally:
            importing = self._insistently(self._imports.leave)
            if survey is not None:
                self._insistently(partial(self._blocklist.forget, survey.walk.id))
        totals = self.fates.totals(importing=importing, requests=self.requests)
        if self._insistently(self._belongs_to_another_account):  # which forgot the imports of this one
            totals = replace(totals, superseded=totals.superseded + totals.unaccounted)
        return totals

    def _take_up(self) -> None:
        for one in self._patiently(partial(self._imports.tend, silence=planning.IMPORT_SILENCE)):
            self._open[one.id] = one
            self.fates.claimed += one.contacts
            # Outcomes that a dead worker knew.
            self.fates.claimed += self._carry_over(one.id)

    def _settle(self) -> None:
        """Ask the CRM how its imports stand, unless it is too early, and finish those that have ended."""
        statuses = self._look() if any(not one.completed for one in self._open.values()) else {}
        ended = []
        for one in list(self._open.values()):
            status = statuses.get(one.process_id)
            if one.completed or (status is not None and status.completed):
                self._patiently(partial(self._imports.completed, one.id))
                ended.append(one)
            elif status is not None and status.failed:
                self._give_up(one, "failed", f"The bulk import ended as {status.said}.")
                del self._open[one.id]
        try:
            if ended:
                self._prove(ended, statuses)
                for one in ended:
                    del self._open[one.id]
        finally:  # nor is it waited for longer when nobody can see what it brought in
            self._give_up_overdue()

    def _give_up_overdue(self) -> None:
        for one in [one for one in self._open.values() if one.overdue]:
            self._give_up(one, "overdue", f"The bulk import did not end within {planning.IMPORT_DEADLINE}.")
            del self._open[one.id]

    @contextmanager
    def _proving_ahead(self, target: ImportTarget) -> Iterator[None]:
        """While further imports are put together, those contacts are recorded that have arrived already."""
        over = threading.Event()
        with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
            proving = pool.submit(self._prove_ahead, target, over)
            try:
                yield
            finally:
                over.set()
        with suppress(GatePaused, Stopped, BrokenOff):  # whoever goes on meets it again
            proving.result()

    def _prove_ahead(self, target: ImportTarget, over: threading.Event) -> None:
        size = self._bulk.page_size
        while not over.is_set():
            ids = list(self._open)
            page = self._read(target.moment, self._read_ahead, size=size) if ids else None
            if page is not None and page.full:
                self._compare(ids, page)
                self._read_ahead += size
            else:
                over.wait(_AHEAD_PAUSE)

    def _wait_for_all(self, target: ImportTarget) -> None:
        """In growing pauses, until all have ended or patience has.

        The CRM may be asked for its imports only once in a while; the number of contacts that changed, which may be
        asked for often, tells when looking is worthwhile. An import of which every contact was seen has ended.
        """
        give_up = time.monotonic() + planning.IMPORT_PATIENCE.total_seconds()
        pause, looked = 0.25, False
        while self._open and time.monotonic() + pause < give_up:
            self._pause(pause)
            expected = sum(one.contacts for one in self._open.values())
            if (self._read(target.moment, 0, size=1).count or 0) >= expected:
                if looked:
                    self._settle()
                else:
                    self._end_those_seen()
                looked = True
            pause = min(2 * pause, _LONGEST_PAUSE)
        if self._open:
            self._settle()

    def _end_those_seen(self) -> None:
        self._read_back(list(self._open.values()), first=self._read_ahead)
        for one in [one for one in self._open.values() if self._left(one) <= 0]:
            self._give_up(one, "proved", "The bulk import did not bring this contact in as it was sent.")
            del self._open[one.id]

    def _send_all(self, survey: Survey, most: int, budget: timedelta) -> None:
        until = time.monotonic() + budget.total_seconds()
        more = True
        while more and most > 0 and time.monotonic() < until and len(self._open) < _MOST_UNDER_WAY:
            claimed_before = self.fates.claimed
            more = self._send_one(survey, most)
            most -= self.fates.claimed - claimed_before

    def _send_one(self, survey: Survey, most: int) -> bool:
        """One import; False when there is nothing left for a further one, or no use in trying."""
        import_id = self._patiently(
            partial(
                self._imports.begin,
                self._crm.mapping_version,
                walk_id=survey.walk.id,
                attributes_version=self._crm.attributes_version,
            )
        )
        ends = self._patiently(self._imports.latest_ends)
        body = Body(planning.body_bytes(self._bulk.most_bytes, ends))
        sent = False
        try:
            more = self._fill(import_id, body, survey, most)
            sent = self._submit(import_id, body, survey.target)
            return more and (sent or not body.rows)
        except (ImportLost, ClaimLost):
            _log.warning("An import was given up before it was sent, since too much time had passed.")
            return False
        finally:
            if not sent:
                ended_as = self.failed or "given_back"
                returned = self._insistently(partial(self._imports.give_back, import_id, ended_as))
                self.fates.released += returned
                self._superseded(len(body.rows) - returned)

    def _fill(self, import_id: UUID, body: Body, survey: Survey, most: int) -> bool:
        """Whether more contacts are due than fit in."""
        # Of the first contacts it is not known how much room they take; what does not fit in goes singly.
        first = max(1, min(_PORTION, body.most_bytes // _LARGE_ROW))
        while limit := min(_PORTION, most, body.room if body.rows else first):
            if self._stop.is_set():
                raise Stopped
            claims = self._patiently(partial(self._imports.claim, import_id, limit=limit, lease=planning.IMPORT_LEASE))
            if claims:
                self._take_in(import_id, claims, body, survey)
            if len(claims) < limit:
                return False
            most -= limit
        return True

    def _take_in(self, import_id: UUID, claims: Sequence[BulkClaim], body: Body, survey: Survey) -> None:
        """Put these contacts into the body, or see to it that they get on otherwise.

        Whether somebody is blocked is asked of what is about to be sent: the present data, read after the claim.
        """
        revisions = {one.claim.contact_id: one.revision for one in claims}
        deliveries = self._patiently(partial(self._queue.load, [one.claim for one in claims]))
        self.fates.claimed += len(claims)
        self._superseded(len(claims) - len(deliveries))
        known: list[Attempt] = []
        apart: list[UUID] = []
        ready: list[tuple[Parcel, ImportRow]] = []
        prepared = [prepare(self._crm, one, revisions[one.claim.contact_id]) for one in deliveries]
        version = self._crm.mapping_version
        for one in self._patiently(partial(without_suppressed, self._queue, prepared, version)):
            if isinstance(one, Attempt):
                known.append(one)
            elif (row := self._row(one.delivery, one, survey.target)) is None:
                apart.append(one.delivery.claim.contact_id)
            else:
                ready.append((one, row))
        seen = self._walked(ready, survey)
        told: list[ToldRow] = []
        intents: list[Intent] = []
        for parcel, row in ready:
            if kept_mark(parcel.payload.key) in seen:
                row = self._unmarked(parcel, row, survey.target)
            off = _was_put_on(parcel.delivery, survey.target) and self._on_list(parcel.delivery) not in seen
            off = off or off_list(parcel.payload.external_id) in seen
            taken = off or row.identifiers & body.seen or row.identifiers & seen
            if taken or body.size + len(row.content) >= body.most_bytes:
                apart.append(parcel.delivery.claim.contact_id)
                continue
            body.add(parcel.payload.key, row)
            told.append(told_of(parcel, row))
            intents.append(replace(parcel.intent, names=frozenset(row.names)))
        # Of whom somebody's transaction holds the row it cannot be written down: they are not sent.
        intended = self._patiently(partial(self._queue.intend, intents))
        for held in [row for row in told if row.claim.contact_id not in intended]:
            body.drop(held.key)
            told.remove(held)
            apart.append(held.claim.contact_id)
        if apart:
            returned = self._patiently(partial(self._imports.set_apart, import_id, apart))
            self.fates.released += returned
            self._superseded(len(apart) - returned)
        if known:
            self._patiently(partial(self._queue.record, holder(import_id), known))
            self._carry_over(import_id, [one.claim.contact_id for one in known])
        self._patiently(partial(self._imports.note, import_id, told))

    def _walked(self, rows: Sequence[tuple[Parcel, ImportRow]], survey: Survey) -> set[str]:
        """What the walk has written down of these contacts."""
        identifiers = [identifier for _, row in rows for identifier in row.identifiers]
        identifiers += [kept_mark(parcel.payload.key) for parcel, _ in rows]
        put_on = [parcel.delivery for parcel, _ in rows if _was_put_on(parcel.delivery, survey.target)]
        identifiers += [self._on_list(delivery) for delivery in put_on]
        identifiers += [off_list(parcel.payload.external_id) for parcel, _ in rows if _may_be_known(parcel.delivery)]
        return self._patiently(partial(self._blocklist.among, survey.walk, identifiers))

    def _unmarked(self, parcel: Parcel, row: ImportRow, target: ImportTarget) -> ImportRow:
        unmarked = self._bulk.row(parcel.payload, target, marked=False)
        return replace(unmarked, identifiers=row.identifiers) if unmarked else row

    def _on_list(self, delivery: Delivery) -> str:
        return on_list(self._bulk.identifier(delivery.remote_id or ""))

    def _row(self, delivery: Delivery, parcel: Parcel, target: ImportTarget) -> ImportRow | None:
        """None for what an import cannot do: a change of address, and what the CRM's module says."""
        if delivery.remote_key not in {None, parcel.payload.key} or delivery.maybe_keys - {parcel.payload.key}:
            return None
        try:
            row = self._bulk.row(parcel.payload, target)
        except Exception as error:  # noqa: BLE001 - our own defect: the single path charges it to the contact
            _log.error("Unexpected %s while a contact was put into an import", type(error).__name__)
            return None
        if row is None or delivery.remote_id is None:
            return row
        return replace(row, identifiers=row.identifiers | {self._bulk.identifier(delivery.remote_id)})

    def _submit(self, import_id: UUID, body: Body, target: ImportTarget) -> bool:
        """Whether it has come to something: it is under way, or the CRM refused it for good."""
        if not body.rows:
            return False
        asked_at = elapsed_clock()
        lost = self._patiently(
            partial(
                self._imports.begin_submitting,
                import_id,
                modified_since=target.moment,
                time_limit=planning.IMPORT_DEADLINE,
                walk_trust=planning.WALK_TRUST,
            )
        )
        for key in lost:
            del body.rows[key]
        self._superseded(len(lost))
        if not body.rows:
            return False

        def turn() -> None:
            self._turn()
            if elapsed_clock() - asked_at > planning.TRUST.total_seconds():
                raise ClaimLost

        outcome, process_id = self._bulk.submit(list(body.rows.values()), target, turn=turn)
        one = OpenImport(
            id=import_id,
            process_id=process_id or "",
            modified_since=target.moment,
            overdue=False,
            completed=False,
            contacts=len(body.rows),
        )
        if process_id is not None:
            self._insistently(partial(self._imports.accepted, import_id, process_id))
            self._open[import_id] = one
            _log.info("Import of %d contacts is under way as process %s.", one.contacts, process_id)
        self._heed_in_bulk(outcome)
        if process_id is None and outcome.result is Result.REJECTED:
            self._give_up(one, "refused", f"The bulk import was refused: {outcome.message}")
            return True
        if outcome.result in _FAILED:
            refused = outcome.result is not Result.RETRY
            self.failed = "refused" if refused else _FAILURES.get(outcome.kind or "", "unanswered")
            _log.warning("An import of %d contacts came to nothing (%s).", one.contacts, self.failed)
        return process_id is not None


def _may_be_known(delivery: Delivery) -> bool:
    """Whether an earlier delivery, of which nothing is known, may have brought the contact to the CRM."""
    return delivery.remote_key is None and delivery.claim.claim_no > 1


def _was_put_on(delivery: Delivery, target: ImportTarget) -> bool:
    """Whether an earlier delivery put the contact on this list, or may have done so."""
    if delivery.lists is None:  # not noted then; every delivery asked for the user's list
        return delivery.remote_key is not None and not target.own
    return target.list_id in delivery.lists
