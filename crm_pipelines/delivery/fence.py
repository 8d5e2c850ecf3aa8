"""The self-fence: nothing is sent on a lease that might end before the request does.

A CRM cannot check our token. What keeps a worker that slept (a stopped process, a frozen machine) from overwriting
newer data is that it looks at its own clock right before each request.
"""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

from crm_pipelines.contacts.queue import Claim
from crm_pipelines.errors import CrmPipelinesError

MARGIN = timedelta(seconds=30)
"""Allows for the write-back after the last request, and for clocks that run at slightly different speeds."""

# Where the system has it, a clock that goes on while the machine is suspended.
_CLOCK_ID = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def elapsed_clock() -> float:
    """Seconds from an arbitrary start, never set back, counting suspended time where the system can."""
    return time.clock_gettime(_CLOCK_ID)


class ClaimLost(CrmPipelinesError):
    """The claim was taken over; this contact must not be sent on it."""


class Fence:
    """The leases of one batch as this worker may rely on them. Safe to use from several threads."""

    def __init__(
        self,
        renew: Callable[[Sequence[Claim]], dict[UUID, int]],
        claims: Sequence[Claim],
        *,
        lease: timedelta,
        longest_request: timedelta,
        clock: Callable[[], float] = elapsed_clock,
    ) -> None:
        self._renew = renew
        self._claims = {claim.contact_id: claim for claim in claims}
        self._lease = lease.total_seconds()
        self._needed = (longest_request + MARGIN).total_seconds()
        self._clock = clock
        self._lock = threading.Lock()
        self._safe_until = float("-inf")
        self.revisions: dict[UUID, int] = {}

    def hold(self) -> dict[UUID, int]:
        """Renew all leases; returns the revision of each contact that is still ours."""
        with self._lock:
            self._renew_all()
            return dict(self.revisions)

    def check(self, contact_id: UUID) -> None:
        """Call right before sending. Renews when the lease runs short; raises ClaimLost for a contact taken over."""
        with self._lock:
            if self._clock() + self._needed > self._safe_until:
                self._renew_all()
            if contact_id not in self._claims:
                raise ClaimLost

    def _renew_all(self) -> None:
        # Counted from before the renewal was issued: the database may have granted it any time since.
        asked_at = self._clock()
        held = self._renew(list(self._claims.values()))
        self._safe_until = asked_at + self._lease
        self._claims = {contact_id: claim for contact_id, claim in self._claims.items() if contact_id in held}
        for contact_id, revision in held.items():
            self.revisions.setdefault(contact_id, revision)
