"""Reads what the CRM holds, page by page, at the gate's pace."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from crm_pipelines.crms.bulk import ContactPage, Imports
from crm_pipelines.crms.payloads import Held
from crm_pipelines.delivery.pace.session import CrmSession
from crm_pipelines.errors import CrmPipelinesError

# Pages that are asked for at once: enough to keep the rate with answers that take half a second.
_READERS = 4
# Of one reading; more would mean that the CRM gives the same ones again.
_MOST_PAGES = 5000


class BrokenOff(CrmPipelinesError):
    """The CRM did not give the answer that is needed to go on."""


@dataclass(kw_only=True)
class PageReader:
    """Reads the contacts of an account that changed since a moment (None: all), oldest first."""

    session: CrmSession
    bulk: Imports

    def pages(self, since: datetime | None, *, first: int = 0, overlap: int = 0) -> Iterator[ContactPage]:
        """All pages from contact `first` on, some asked for ahead; each begins with the last `overlap` of the former.

        The last one is full only when there were too many. Raises BrokenOff, GatePaused or Stopped.
        """
        size = self.bulk.page_size
        step = size - overlap
        pool = ThreadPoolExecutor(_READERS, thread_name_prefix="read")
        ahead: deque[Future[ContactPage]] = deque()
        try:
            page = self.page(since, first)
            yield page
            end, number = page.count or 0, 1
            while (page.full or ahead) and number < _MOST_PAGES:
                while len(ahead) < _READERS and (first + number * step < end or (page.full and not ahead)):
                    ahead.append(pool.submit(self.page, since, first + number * step))
                    number += 1
                if not ahead:
                    return
                page = ahead.popleft().result()
                yield page
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def page(self, since: datetime | None, offset: int) -> ContactPage:
        """The contacts from `offset` on. Raises BrokenOff, GatePaused or Stopped."""
        return self._read(since, offset, self.bulk.page_size)

    def one(self, since: datetime | None, offset: int) -> Held | None:
        """The contact at `offset`, if there are so many. Raises BrokenOff, GatePaused or Stopped."""
        return next(iter(self._read(since, offset, 1).contacts), None)

    def count(self, since: datetime | None) -> int | None:
        """How many there are; None: not told. Raises BrokenOff, GatePaused or Stopped."""
        return self._read(since, 0, 1).count

    def _read(self, since: datetime | None, offset: int, size: int) -> ContactPage:
        outcome, page = self.bulk.read(since, offset=offset, size=size, turn=self.session.turn)
        self.session.heed_endpoint(outcome)
        if page is None:
            raise BrokenOff(outcome.message)
        return page
