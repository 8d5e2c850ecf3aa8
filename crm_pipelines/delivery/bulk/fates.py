"""What became of the contacts of a run's bulk imports."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID

from crm_pipelines.delivery.pace.session import CrmSession
from crm_pipelines.delivery.totals import Totals, totals_of
from crm_pipelines.queue.bulk_imports import holder
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Applied, RetryPolicy


class Fates:
    """Carries outcomes over to the contacts, and counts as it goes. Safe to use by threads."""

    def __init__(self, *, session: CrmSession, queue: Queue, policy: RetryPolicy) -> None:
        self._session = session
        self._queue = queue
        self._policy = policy
        self._lock = threading.Lock()
        self._claimed = 0
        self._released = 0
        self._superseded = 0
        self._applied: list[Applied] = []
        self._lost = False

    @property
    def claimed(self) -> int:
        return self._claimed

    def add(self, *, claimed: int = 0, released: int = 0, superseded: int = 0, synced: int = 0) -> None:
        """Count so many contacts more; `synced` have their state already."""
        with self._lock:
            if synced:
                done = Applied(outcome="synced", state="synced", kind=None, contacts=synced, requests=0)
                self._applied.append(done)
            self._claimed += claimed
            self._released += released
            self._superseded += superseded

    def lose(self) -> None:
        """Somebody has taken this run's process for dead, and looks after one of its imports."""
        self._lost = True

    def carry_over(self, import_id: UUID, contact_ids: Sequence[UUID] | None = None) -> int:
        """Outcomes from the ledger to the state machine; returns of how many contacts.

        Of the contacts named those are superseded whose claim is not the import's any more.
        """
        apply = partial(self._queue.apply, holder(import_id), self._policy, contact_ids)
        applied = self._session.insistently(apply)
        carried = sum(row.contacts for row in applied)
        with self._lock:
            self._applied += applied
        self.add(superseded=max(0, len(contact_ids or ()) - carried))
        return carried

    def totals(self, *, importing: int) -> Totals:
        """Of all so far; `importing` contacts are in imports that a later run looks after."""
        totals = totals_of(self._applied, claimed=self._claimed, released=self._released, taken_over=self._superseded)
        totals = replace(
            totals,
            importing=importing,
            requests=totals.requests + self._session.requests,
            refused_for_rate=self._session.refused_for_rate,
        )
        left_to_others = totals.unaccounted if self._lost else 0
        return replace(totals, superseded=totals.superseded + left_to_others)
