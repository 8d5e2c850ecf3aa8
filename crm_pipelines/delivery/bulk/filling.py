"""Puts due contacts into the body of an import, and sees to it that those who must not be in one get on otherwise."""

import logging
from collections.abc import Mapping, Sequence, Set
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
from crm_pipelines.queue.bulk_imports import BulkClaim, BulkImports, ToldRow, holder
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Attempt, Delivery

# Contacts that are read and prepared at a time.
_PORTION = 2000
# Bytes; most rows are smaller.
_LARGE_ROW = 1000

_log = logging.getLogger(__name__)


@dataclass
class _Portion:
    """Contacts that were read together: rows for an import, outcomes that are known already, and who goes singly."""

    rows: list[tuple[Prepared, ImportRow]] = field(default_factory=list)
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
        """Take up to `most` contacts; returns whether more are due than fit in. Raises ImportLost or Stopped."""
        # Of the first contacts it is not known how much room they take; what does not fit in goes singly.
        first = max(1, min(_PORTION, body.most_bytes // _LARGE_ROW))
        while limit := min(_PORTION, most, body.room if body.rows else first):
            self.session.require_going()
            claim = partial(self.imports.claim, import_id, limit=limit, lease=planning.IMPORT_LEASE)
            claims = self.session.patiently(claim)
            if claims:
                self._take_in(import_id, claims, body, scan)
            if len(claims) < limit:
                return False
            most -= limit
        return True

    def _take_in(self, import_id: UUID, claims: Sequence[BulkClaim], body: Body, scan: AccountScan) -> None:
        """Put these contacts into the body, or see to it that they get on otherwise.

        Whether somebody is blocked is asked of what is about to be sent: the present data, read after the claim.
        """
        deliveries = self.session.patiently(partial(self.queue.load, [one.claim for one in claims]))
        self.fates.add(claimed=len(claims), superseded=len(claims) - len(deliveries))
        revisions = {one.claim.contact_id.int: one.revision for one in claims}
        portion = self._portion(deliveries, revisions, scan.target)
        told = self._put_in(portion, body, scan)
        if portion.apart:
            returned = self.session.patiently(partial(self.imports.set_apart, import_id, portion.apart))
            self.fates.add(released=returned, superseded=len(portion.apart) - returned)
        if portion.known:
            self.session.patiently(partial(self.queue.record, holder(import_id), portion.known))
            self.fates.carry_over(import_id, [one.claim.contact_id for one in portion.known])
        self.session.patiently(partial(self.imports.note, import_id, told))

    def _portion(self, deliveries: Sequence[Delivery], revisions: Mapping[int, int], target: ImportTarget) -> _Portion:
        """`revisions`: by the number of the contact's id, which is hashed faster than the id."""
        crm, portion = self.session.crm, _Portion()
        prepared = [prepare(crm, one, revisions[one.claim.contact_id.int]) for one in deliveries]
        for one in self.session.patiently(partial(without_suppressed, self.queue, prepared, crm.mapping_version)):
            if isinstance(one, Attempt):
                portion.known.append(one)
            elif (row := self._row(one, target)) is None:
                portion.apart.append(one.delivery.claim.contact_id)
            else:
                portion.rows.append((one, row))
        return portion

    def _put_in(self, portion: _Portion, body: Body, scan: AccountScan) -> list[ToldRow]:
        """The rows that are in the body now; whoever must not be in this one is set apart."""
        seen = self._seen(portion.rows, scan)
        told: list[ToldRow] = []
        for prepared, row in portion.rows:
            if seen and kept_mark(prepared.payload.key) in seen:
                row = self._unmarked(prepared, row, scan.target)
            taken = not body.seen.isdisjoint(row.identifiers) or not seen.isdisjoint(row.identifiers)
            if taken or self._is_off(prepared, seen, scan) or body.size + len(row.content) >= body.most_bytes:
                portion.apart.append(prepared.delivery.claim.contact_id)
                continue
            body.add(prepared.payload.key, row)
            told.append(told_of(prepared, row))
        # Of whom somebody's transaction holds the row it cannot be written down: they are not sent.
        intended = self.session.patiently(partial(self.queue.intend, told))
        if len(intended) == len(told):
            return told
        for held in [row for row in told if row.claim.contact_id not in intended]:
            body.drop(held.key)
            portion.apart.append(held.claim.contact_id)
        return [row for row in told if row.claim.contact_id in intended]

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
