"""Whether contacts go in bulk: only where that is cheaper, and only after the account's block-lists were read.

The CRM does not say whether an import leaves people who unsubscribed on its block-list. So an import holds only
contacts that were on none a moment ago: the account is read to its end, and whoever is blocked goes singly. So does who
was put on the list once and is not seen on it any more. And a contact that another system has given an external id is
imported without ours.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from crm_pipelines.crms.bulk import Imports, ImportTarget
from crm_pipelines.crms.payloads import Held
from crm_pipelines.delivery import planning
from crm_pipelines.delivery.pace.pacing import GatePaused, Stopped
from crm_pipelines.delivery.pace.session import CrmSession
from crm_pipelines.delivery.reading import BrokenOff, PageReader
from crm_pipelines.destinations.blocklist import Blocklist, CompletedScan

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class AccountScan:
    """What an import needs to know of the account: where it goes, and the scan that saw who is blocked."""

    target: ImportTarget
    completed: CompletedScan


def on_list(identifier: str) -> str:
    """For the scan: whoever has this identifier is on the list that imports put contacts on."""
    return f"ON THE LIST {identifier}"


def off_list(external_id: str) -> str:
    """For the scan: our contact with this id is not on the list that imports put contacts on."""
    return f"OFF THE LIST {external_id}"


def kept_mark(address: str) -> str:
    """For the scan: whoever has this address bears the external id of another system, which is to be kept."""
    return f"MARKED {address}"


@dataclass(kw_only=True)
class Scanner:
    """Looks at an account before imports. `failed`: it could not be seen well enough."""

    session: CrmSession
    bulk: Imports
    reader: PageReader
    blocklist: Blocklist
    failed: bool = field(default=False, init=False)

    def scan(self, threshold: int, due: Callable[[int], bool]) -> AccountScan | None:
        """None when contacts go singly; `due` tells whether so many are due that may go in bulk."""
        if not due(threshold):
            return None
        try:
            size = self.reader.count(None)
            if size is None:
                raise BrokenOff("The CRM did not say how many contacts it holds.")
            least = planning.least_for_bulk(threshold, account=size, page_size=self.bulk.page_size)
            if not due(least):
                _log.info("No bulk import for fewer than %d contacts: the account would have to be read first.", least)
                return None
            outcome, target = self.bulk.open(turn=self.session.turn)
            self.session.heed_endpoint(outcome)
            if target is None:
                raise BrokenOff(outcome.message)
            return AccountScan(target=target, completed=self._scan(target))
        except BrokenOff as reason:
            self.failed = True
            _log.warning("No bulk import; contacts are sent one by one: %s", reason)
        except (GatePaused, Stopped):
            pass
        return None

    def _scan(self, target: ImportTarget) -> CompletedScan:
        """Write down who is blocked, on the list, or marked by others.

        Raises BrokenOff unless the account was seen to its end, without a gap.
        """
        until = time.monotonic() + planning.LONGEST_SCAN.total_seconds()
        scan_id: UUID = self.session.patiently(partial(self.blocklist.begin, longest_life=planning.SCAN_TRUST))
        last: Held | None = None
        seen, count, full = 0, 0, False
        # Each page begins with the last contact of the former one: a deletion before it would show there, and only a
        # deletion can move contacts past the reader.
        for page in self.reader.pages(None, overlap=1):
            if last is not None and (not page.contacts or page.contacts[0].remote_id != last.remote_id):
                raise BrokenOff("Contacts were deleted from the account while it was read.")
            if time.monotonic() > until:
                raise BrokenOff(f"The account could not be read within {planning.LONGEST_SCAN}.")
            new = page.contacts if last is None else page.contacts[1:]
            noted = self._noted(new, target)
            if noted:
                self.session.patiently(partial(self.blocklist.note, scan_id, noted))
            last = page.contacts[-1] if page.contacts else last
            seen, count, full = seen + len(new), page.count or 0, page.full
        if full or seen < count:
            raise BrokenOff(f"Of the account's {count} contacts only {seen} could be read.")
        return self.session.patiently(partial(self.blocklist.complete, scan_id))

    def _noted(self, contacts: Sequence[Held], target: ImportTarget) -> list[str]:
        imports = self.bulk
        marks = {held.remote_id: mark.lower() for held in contacts if (mark := imports.mark(held))}
        ours = self.session.patiently(partial(self.blocklist.ours, marks.values()))
        return [
            *(identifier for held in contacts for identifier in imports.blocked(held)),
            *(on_list(imports.identifier(held.remote_id)) for held in contacts if imports.is_on(held, target)),
            *(
                off_list(marks[held.remote_id])
                for held in contacts
                if marks.get(held.remote_id) in ours and not imports.is_on(held, target)
            ),
            *(
                kept_mark(address)
                for held in contacts
                if marks.get(held.remote_id, "") not in {"", *ours}
                for address in imports.addresses(held)
            ),
        ]
