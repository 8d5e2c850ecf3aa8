"""Puts due contacts into the body of an import, and sees to it that those who must not be in one get on otherwise."""

import logging
from collections.abc import Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from uuid import UUID

from crm_pipelines.crms.bulk import ImportRow, Imports, ImportTarget
from crm_pipelines.delivery import planning
from crm_pipelines.delivery.bulk.bodies import Body, told_of
from crm_pipelines.delivery.bulk.fates import Fates
from crm_pipelines.delivery.bulk.scanning import AccountScan, kept_mark, off_list, on_list
from crm_pipelines.delivery.pace.session import CrmSession
from crm_pipelines.delivery.preparing import Prepared, prepare, without_suppressed
from crm_pipelines.destinations.blocklist import Blocklist
from crm_pipelines.queue.bulk_imports import BulkImports, ToldRow, holder
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Attempt, Delivery

# Contacts that are read and prepared at a time.
_PORTION = 1000
# Bytes; most rows are smaller.
_LARGE_ROW = 1000
# The next portion is taken ahead where there is room for so many: rows may become longer than they were so far.
_ROOM_AHEAD = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Taken:
    """Contacts that were taken from the queue together. `more`: as many as were asked for.

    `revisions`: by the number of the contact's id, which is hashed faster than the id.
    """

    deliveries: Sequence[Delivery]
    revisions: Mapping[int, int]
    more: bool


@dataclass
class _Portion:
    """Contacts that were read together: rows for an import, outcomes that are known already, and who goes singly.

    `told`: of the rows that are in the body.
    """

    rows: list[tuple[Prepared, ImportRow]] = field(default_factory=list)
    told: list[ToldRow] = field(default_factory=list)
    known: list[Attempt] = field(default_factory=list)
    apart: list[UUID] = field(default_factory=list)


@dataclass(kw_only=True)
class Filler:
    """Claims contacts for imports, and fills their bodies with them."""

    session: CrmSession
    bulk: Imports
    queue: Queue
    imports: BulkImports
    blocklist: Blocklist
    fates: Fates

    def fill(self, import_id: UUID, body: Body, scan: AccountScan, most: int) -> bool:
        """Take up to `most` contacts; returns whether more are due than fit in. Raises ImportLost or Stopped.

        While a portion is put together, the next one is taken and the former one is written down, so that the database
        and this process work at the same time.
        """
        # Of the first contacts it is not known how much room they take; what does not fit in goes singly.
        first = max(1, min(_PORTION, body.most_bytes // _LARGE_ROW))
        ahead: Future[_Taken] | None = None
        written: Future[list[str]] | None = None
        more = True
        with (
            ThreadPoolExecutor(1, thread_name_prefix="take") as taker,
            ThreadPoolExecutor(1, thread_name_prefix="write") as writer,
        ):
            while more and (limit := _PORTION if ahead else min(_PORTION, most, body.room if body.rows else first)):
                self.session.require_going()
                taken = ahead.result() if ahead else self._take(import_id, body, limit)
                more, most = taken.more, most - limit
                is_room = more and min(most, body.room // _ROOM_AHEAD) >= _PORTION
                ahead = taker.submit(self._take, import_id, body, _PORTION) if is_room else None
                portion = self._portion(taken, scan.target)
                self._put_in(portion, body, scan)
                if written:
                    body.drop(written.result())
                written = writer.submit(self._write_down, import_id, body, portion)
            if written:
                body.drop(written.result())
        return more

    def _take(self, import_id: UUID, body: Body, limit: int) -> _Taken:
        """Whether somebody is blocked is asked of what is about to be sent: the present data, read after the claim."""
        claim = partial(self.imports.claim, import_id, limit=limit, lease=planning.IMPORT_LEASE)
        claims = self.session.patiently(claim)
        body.taken += len(claims)
        self.fates.add(claimed=len(claims))
        deliveries = self.session.patiently(partial(self.queue.load, [one.claim for one in claims]))
        superseded = len(claims) - len(deliveries)
        body.taken -= superseded
        self.fates.add(superseded=superseded)
        revisions = {one.claim.contact_id.int: one.revision for one in claims}
        return _Taken(deliveries=deliveries, revisions=revisions, more=len(claims) == limit)

    def _write_down(self, import_id: UUID, body: Body, portion: _Portion) -> list[str]:
        """What the CRM is going to be told of this portion, and what becomes of its others.

        Returns the keys of those that must not be sent: somebody's transaction holds their row, so it cannot be written
        down.
        """
        told, apart = portion.told, portion.apart
        intended = self.session.patiently(partial(self.queue.intend, told))
        held = [row for row in told if row.claim.contact_id not in intended] if len(intended) < len(told) else []
        if held:
            told = [row for row in told if row.claim.contact_id in intended]
            apart = apart + [row.claim.contact_id for row in held]
        if apart:
            returned = self.session.patiently(partial(self.imports.set_apart, import_id, apart))
            body.let_go += len(apart)
            self.fates.add(released=returned, superseded=len(apart) - returned)
        if portion.known:
            self.session.patiently(partial(self.queue.record, holder(import_id), portion.known))
            self.fates.carry_over(import_id, [one.claim.contact_id for one in portion.known])
            body.let_go += len(portion.known)
        self.session.patiently(partial(self.imports.note, import_id, told))
        return [row.key for row in held]

    def _portion(self, taken: _Taken, target: ImportTarget) -> _Portion:
        crm, portion = self.session.crm, _Portion()
        prepared = [prepare(crm, one, taken.revisions[one.claim.contact_id.int]) for one in taken.deliveries]
        for one in self.session.patiently(partial(without_suppressed, self.queue, prepared, crm.mapping_version)):
            if isinstance(one, Attempt):
                portion.known.append(one)
            elif (row := self._row(one, target)) is None:
                portion.apart.append(one.delivery.claim.contact_id)
            else:
                portion.rows.append((one, row))
        return portion

    def _put_in(self, portion: _Portion, body: Body, scan: AccountScan) -> None:
        """The rows into the body; whoever must not be in this one is set apart."""
        seen = self._seen(portion.rows, scan)
        for prepared, row in portion.rows:
            if seen and kept_mark(prepared.payload.key) in seen:
                row = self._unmarked(prepared, row, scan.target)
            taken = not body.seen.isdisjoint(row.identifiers) or not seen.isdisjoint(row.identifiers)
            if taken or self._is_off(prepared, seen, scan) or body.size + len(row.content) >= body.most_bytes:
                portion.apart.append(prepared.delivery.claim.contact_id)
                continue
            body.add(prepared.payload.key, row)
            portion.told.append(told_of(prepared, row))

    def _is_off(self, prepared: Prepared, seen: Set[str], scan: AccountScan) -> bool:
        """Whether the contact has left the list, or is off it after an import of which nothing is known."""
        if _was_put_on(prepared.delivery, scan.target) and self._on_list(prepared.delivery) not in seen:
            return True
        return bool(seen) and off_list(prepared.payload.external_id) in seen

    def _seen(self, rows: Sequence[tuple[Prepared, ImportRow]], scan: AccountScan) -> Set[str]:
        """What the scan has written down of these contacts."""
        if not scan.completed.blocked:
            return frozenset()
        identifiers = [identifier for _, row in rows for identifier in row.identifiers]
        identifiers += [kept_mark(prepared.payload.key) for prepared, _ in rows]
        put_on = [prepared.delivery for prepared, _ in rows if _was_put_on(prepared.delivery, scan.target)]
        identifiers += [self._on_list(delivery) for delivery in put_on]
        identifiers += [
            off_list(prepared.payload.external_id) for prepared, _ in rows if _may_be_known(prepared.delivery)
        ]
        return self.session.patiently(partial(self.blocklist.among, scan.completed, identifiers))

    def _unmarked(self, prepared: Prepared, row: ImportRow, target: ImportTarget) -> ImportRow:
        unmarked = self.bulk.row(prepared.payload, target, marked=False)
        return replace(unmarked, identifiers=row.identifiers) if unmarked else row

    def _on_list(self, delivery: Delivery) -> str:
        return on_list(self.bulk.identifier(delivery.remote_id or ""))

    def _row(self, prepared: Prepared, target: ImportTarget) -> ImportRow | None:
        """None for what an import cannot do: a change of address, and what the CRM's module says."""
        delivery, key = prepared.delivery, prepared.payload.key
        if delivery.remote_key not in (None, key) or (delivery.maybe_keys and delivery.maybe_keys - {key}):
            return None
        try:
            row = self.bulk.row(prepared.payload, target)
        except Exception as error:  # noqa: BLE001 - our own defect: the single path charges it to the contact
            _log.error("Unexpected %s while a contact was put into an import", type(error).__name__)
            return None
        if row is None or delivery.remote_id is None:
            return row
        return replace(row, identifiers=row.identifiers | {self.bulk.identifier(delivery.remote_id)})


def _may_be_known(delivery: Delivery) -> bool:
    """Whether an earlier delivery, of which nothing is known, may have brought the contact to the CRM."""
    return delivery.remote_key is None and delivery.claim.claim_no > 1


def _was_put_on(delivery: Delivery, target: ImportTarget) -> bool:
    """Whether an earlier delivery put the contact on this list, or may have done so."""
    if delivery.lists is None:  # not noted then; every delivery asked for the user's list
        return delivery.remote_key is not None and not target.own
    return target.list_id in delivery.lists
