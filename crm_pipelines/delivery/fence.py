"""The self-fence: nothing is sent by a worker that has not just been told that the contact is still its own.

A CRM cannot check our token. What keeps a worker that slept (a stopped process, a frozen machine), or one that Dagster
took for dead, from overwriting newer data is that each request begins within TRUST of a renewal that the database
granted, and that the lease outlasts TRUST by far more than a request can take.

Two processes may know one claim: Dagster executes a run twice when a message broker delivers it twice, and batches
travel between ops in files. So a delivery begins under a number that this process has drawn, and that is told nobody.
"""

import secrets
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from uuid import UUID

from crm_pipelines.delivery.planning import TRUST
from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.queue.model import Claim

# Where the system has it, a clock that goes on while the machine is suspended.
_CLOCK_ID = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


# Two processes draw the same number once in so many times.
_LEAPS = 2**30


def elapsed_clock() -> float:
    """Seconds from an arbitrary start, never set back, counting suspended time where the system can."""
    return time.clock_gettime(_CLOCK_ID)


class ClaimLost(CrmPipelinesError):
    """The claim was taken over; this contact must not be sent on it."""


class Fence:
    """The leases of one batch as this worker may rely on them. Safe to use from several threads.

    `revisions` holds each contact's revision as of the begin: what is loaded afterwards is at least as new.
    """

    def __init__(
        self,
        begin: Callable[[Sequence[Claim], int], dict[UUID, int]],
        renew: Callable[[Sequence[Claim]], dict[UUID, int]],
        claims: Sequence[Claim],
        *,
        clock: Callable[[], float] = elapsed_clock,
    ) -> None:
        self._renew = renew
        self._begin = begin
        self._given = tuple(claims)
        self._leap = 1 + secrets.randbelow(_LEAPS)
        self._numbers = self._given
        self._claims: dict[UUID, Claim] = {}
        self._clock = clock
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self.revisions: dict[UUID, int] = {}

    @property
    def numbers(self) -> tuple[Claim, ...]:
        """The claims under the numbers that they have now; under both, while no answer says whether they have begun."""
        return self._numbers

    def hold(self) -> list[Claim]:
        """Begin the delivery of all that nobody else has begun; returns these claims, under their new numbers."""
        with self._lock:
            begun = [replace(claim, claim_no=claim.claim_no + self._leap) for claim in self._given]
            self._numbers = (*self._given, *begun)
            asked_at = self._clock()
            self.revisions = self._begin(self._given, self._leap)
            self._asked_at = asked_at
            ours = [claim for claim in begun if claim.contact_id in self.revisions]
            self._claims = {claim.contact_id: claim for claim in ours}
            self._numbers = tuple(self._claims.get(claim.contact_id, claim) for claim in self._given)
            return ours

    def keep(self) -> None:
        """Call every second or so: renews in good time, so that a worker that lives is seen to live."""
        with self._lock:
            if self._age() > TRUST.total_seconds() / 2:
                self._renew_all()

    def still_ours(self, contact_ids: Collection[UUID]) -> set[UUID]:
        """Call right before each request with those that it is about; who was taken over is left out."""
        with self._lock:
            while self._age() > TRUST.total_seconds():  # again, if the worker slept during the renewal itself
                self._renew_all()
            return self._claims.keys() & set(contact_ids)

    def _age(self) -> float:
        return self._clock() - self._asked_at

    def _renew_all(self) -> None:
        # Counted from before the renewal was issued: the database may have granted it any time since.
        asked_at = self._clock()
        held = self._renew(list(self._claims.values()))
        self._asked_at = asked_at
        self._claims = {contact_id: claim for contact_id, claim in self._claims.items() if contact_id in held}
