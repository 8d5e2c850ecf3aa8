"""Reads what the CRM holds, page by page, at the gate's pace."""

import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any

from crm_pipelines.contacts.gates import Tally
from crm_pipelines.crms.bulk import Imports, Page
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.delivery.passage import Passage
from crm_pipelines.errors import CrmPipelinesError

# Pages that are asked for at once: enough to keep the rate with answers that take half a second.
_READERS = 4
# Of one reading; more would mean that the CRM gives the same ones again.
_MOST_PAGES = 5000

_log = logging.getLogger(__name__)


class BrokenOff(CrmPipelinesError):
    """The CRM did not give the answer that is needed to go on."""


class Reader(Passage):
    """Base of those who read an account; `requests` counts what was asked."""

    def __init__(self, **passage: Any) -> None:
        super().__init__(**passage)
        self.requests = 0

    @property
    def _bulk(self) -> Imports:
        assert self._crm.imports is not None
        return self._crm.imports

    def _turn(self) -> None:
        self._pacer.wait()
        with self._lock:
            self.requests += 1

    def _heed(self, outcome: Outcome) -> None:
        """As for a single delivery: what concerns the account takes effect before the next request."""
        self._insistently(partial(self._mind_the_gate, outcome))
        if outcome.result is Result.RETRY:
            failure = Tally(successes=0, failures=1, trailing_failures=1, rejects=0, last_failure=outcome.message or "")
            self._insistently(partial(self._gate.judge, failure))

    def _heed_in_bulk(self, outcome: Outcome) -> None:
        """The same, but for a refusal: it may be of this endpoint alone. If not, the next single delivery meets it."""
        if outcome.result is not Result.REFUSED:
            self._heed(outcome)

    def _pages(self, since: datetime | None, *, first: int = 0, overlap: int = 0) -> Iterator[Page]:
        """All pages from contact `first` on, some asked for ahead; each begins with the last `overlap` of the former.

        The last one is full only when there were too many.
        """
        size = self._bulk.page_size
        step = size - overlap
        pool = ThreadPoolExecutor(_READERS, thread_name_prefix="read")
        ahead: deque[Future[Page]] = deque()
        try:
            page = self._read(since, first, size=size)
            yield page
            end, number = page.count or 0, 1
            while (page.full or ahead) and number < _MOST_PAGES:
                while len(ahead) < _READERS and (first + number * step < end or (page.full and not ahead)):
                    ahead.append(pool.submit(self._read, since, first + number * step, size=size))
                    number += 1
                if not ahead:
                    return
                page = ahead.popleft().result()
                yield page
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _read(self, since: datetime | None, offset: int, *, size: int) -> Page:
        """Raises BrokenOff."""
        outcome, page = self._bulk.read(since, offset=offset, size=size, turn=self._turn)
        self._heed_in_bulk(outcome)
        if page is None:
            raise BrokenOff(outcome.message)
        return page
