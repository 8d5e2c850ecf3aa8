"""Whether the CRM holds what it was told: some contacts are read back and compared field by field.

The turns come from the gate like those of deliveries, and a paused gate ends the reading. Failure policy: open. What
could not be read is counted as such and says nothing about the fields.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from crm_pipelines.crms.base import Reading
from crm_pipelines.crms.outcomes import Result
from crm_pipelines.crms.payloads import Held, Payload
from crm_pipelines.delivery.pace.pacing import GatePaused, Stopped
from crm_pipelines.delivery.pace.session import CrmSession
from crm_pipelines.delivery.preparing import sendable_of
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Delivery
from crm_pipelines.queue.sampling import Sampler

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


@dataclass(kw_only=True)
class FidelityReader:
    """Reads back a sample of what one CRM has been told."""

    session: CrmSession
    reading: Reading
    queue: Queue
    sampler: Sampler

    def read(self, since: datetime, size: int) -> Fidelity:
        """Compare at most `size` contacts that were delivered since then; those that were edited since do not count."""
        claims = self.sampler.sample(since, size)
        deliveries = self.queue.load(claims)
        tally = _Tally(edited=len(claims) - len(deliveries))
        most = self.reading.most_per_request
        try:
            for start in range(0, len(deliveries), most):
                self._compare(deliveries[start : start + most], tally)
        except (GatePaused, Stopped):
            self.session.halt("sending is paused")  # unless it is halted for something else
        unread = len(claims) - tally.compared - tally.edited
        return Fidelity(**vars(tally), unread=unread, halted=self.session.halted)

    def _compare(self, deliveries: Sequence[Delivery], tally: "_Tally") -> None:
        prepared = [(one, self._sent(one)) for one in deliveries]
        sent = [(one, payload) for one, payload in prepared if payload is not None]
        tally.edited += len(prepared) - len(sent)
        if not sent:
            return
        # Not by the former address: whoever has that by now is another contact.
        sought = [replace(sendable_of(one, payload), remote_key=None) for one, payload in sent]
        found = self.reading.look_up(sought, turn=self.session.turn)
        for outcome in dict.fromkeys(outcome for outcome, _ in found):  # once where they shared a request
            self.session.heed(outcome)
        unchanged = self.sampler.unchanged([one.claim for one, _ in sent])
        for (delivery, payload), (outcome, held) in zip(sent, found, strict=True):
            if outcome.result is not Result.SYNCED:
                continue
            if delivery.claim.contact_id in unchanged:
                tally.add(self._same(delivery, payload, held))
            else:
                tally.edited += 1

    def _sent(self, delivery: Delivery) -> Payload | None:
        """What was sent of the contact; None if it was edited since."""
        payload = self.session.crm.prepare(delivery.record, sent_attributes=delivery.sent_attributes)
        return payload if isinstance(payload, Payload) and payload.hash == delivery.payload_hash else None

    def _same(self, delivery: Delivery, payload: Payload, held: Held | None) -> dict[str, bool]:
        """Whether each field is the same; what the CRM did not take says nothing about what arrives."""
        untold = payload.attributes.keys() - delivery.sent_attributes
        compared = self.reading.compare(payload, held) if held else []
        return {MISSING: held is not None} | {
            one.attribute: one.same for one in compared if one.same is not None and one.attribute not in untold
        }


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
