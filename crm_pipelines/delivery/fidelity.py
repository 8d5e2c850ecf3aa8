"""Whether the CRM holds what it was told: some contacts are read back and compared field by field.

The turns come from the gate like those of deliveries, and a paused gate ends the reading. Failure policy: open. What
could not be read is counted as such and says nothing about the fields.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from crm_pipelines.contacts.gates import GateKeeper
from crm_pipelines.contacts.queue import Delivery, Queue
from crm_pipelines.contacts.sampling import Sampler
from crm_pipelines.crms.base import Crm, Payload, Result
from crm_pipelines.delivery.pacing import GatePaused, Stopped
from crm_pipelines.delivery.parcels import remembered_of
from crm_pipelines.delivery.passage import STOPPED, Passage
from crm_pipelines.delivery.rates import RateLimit

MISSING = "(contact)"
"""Beside the names of attributes: whether the CRM has the contact at all."""

LOWEST_PERCENT = 95.0
"""Of a field's values. People correct contacts at the CRM by hand now and then; a field that does not arrive falls far
below."""


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """Of contacts at one CRM: how many were compared, edited meanwhile (not compared), not readable.

    `seen` is in how many contacts a field was compared, `same` in how many of them it was the same.
    """

    compared: int = 0
    edited: int = 0
    unread: int = 0
    seen: Mapping[str, int] = field(default_factory=dict)
    same: Mapping[str, int] = field(default_factory=dict)
    halted: str | None = None

    def percent(self, name: str) -> float:
        """Match rate of a field."""
        return 100 * self.same.get(name, 0) / self.seen[name]

    @property
    def low(self) -> list[str]:
        """The fields that match too seldom, the worst first."""
        return sorted((name for name in self.seen if self.percent(name) < LOWEST_PERCENT), key=self.percent)


class FidelityReader(Passage):
    """Reads back a sample of what one CRM has been told."""

    def __init__(self, *, queue: Queue, sampler: Sampler, gate: GateKeeper, crm: Crm, limit: RateLimit) -> None:
        super().__init__(gate=gate, crm=crm, limit=limit)
        self._queue = queue
        self._sampler = sampler

    def read(self, since: datetime, size: int) -> Fidelity:
        """Compare at most `size` contacts that were delivered since then; those that were edited since do not count."""
        claims = self._sampler.sample(since, size)
        deliveries = self._queue.load(claims)
        tally = _Tally(edited=len(claims) - len(deliveries))
        try:
            for delivery in deliveries:
                self._compare(delivery, tally)
        except GatePaused:
            self._halt("the gate is paused")
        except Stopped:
            self._halt(STOPPED)
        return Fidelity(
            compared=tally.compared,
            edited=tally.edited,
            unread=len(claims) - tally.compared - tally.edited,
            seen=dict(tally.seen),
            same=dict(tally.same),
            halted=self.halted,
        )

    def _compare(self, delivery: Delivery, tally: "_Tally") -> None:
        payload = self._crm.prepare(delivery.record, sent_attributes=delivery.sent_attributes)
        if not isinstance(payload, Payload) or payload.hash != delivery.payload_hash:
            tally.edited += 1
            return
        outcome, held = self._crm.look_up(
            payload,
            remote_key=None,
            remote_id=delivery.remote_id,
            before_request=self._pacer.wait,
            remembered=remembered_of(delivery),
        )
        self._mind_the_gate(outcome)
        if outcome.result is not Result.SYNCED:
            return
        if not self._sampler.unchanged([delivery.claim]):
            tally.edited += 1
            return
        # What the CRM did not take says nothing about what arrives.
        untold = payload.attributes.keys() - delivery.sent_attributes
        compared = self._crm.compare(payload, held) if held else []
        tally.add(
            {MISSING: held is not None}
            | {one.attribute: one.same for one in compared if one.same is not None and one.attribute not in untold}
        )


@dataclass
class _Tally:
    """`Fidelity` as it grows."""

    edited: int
    compared: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    same: Counter[str] = field(default_factory=Counter)

    def add(self, same: Mapping[str, bool]) -> None:
        self.compared += 1
        self.seen.update(same.keys())
        self.same.update(name for name, equal in same.items() if equal)
