"""Learns which attributes the account has, before anything is claimed for it.

The turns come from the gate like those of deliveries. Failure policy: open where the account was seen before, since
attributes change seldom; closed where it never was, since a value that the account drops would count as sent.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crm_pipelines.crms.base import Crm, Mapper
from crm_pipelines.crms.schema import Schema
from crm_pipelines.crms.turns import Turn
from crm_pipelines.delivery.pace.gatekeeping import is_short_refusal
from crm_pipelines.delivery.pace.pacing import GatePaused, Stopped
from crm_pipelines.delivery.pace.session import CrmSession
from crm_pipelines.destinations.attributes import AttributeStore

# Refused for rate this often, although each pause was kept, it waits for the next run.
_MOST_ASKED = 4


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What came of a look: how many contacts were queued for it, and why there was no answer, if there was none."""

    queued: int = 0
    problem: str | None = None


class Learner:
    """Looks at one account on behalf of a run."""

    def __init__(self, *, session: CrmSession, schema: Schema, store: AttributeStore) -> None:
        self._session = session
        self._crm = session.crm
        self._schema = schema
        self._store = store

    def learn(self) -> Learned:
        """Tell the CRM's module what the account has now. Without an answer it goes by what was seen before, if any."""
        self._session.insistently(self._store.note_look)
        try:
            for _ in range(_MOST_ASKED):
                outcome, attributes = self._schema.attributes(turn=self._session.turn)
                if attributes is not None:
                    self._session.heed_unrecorded(outcome)
                    return Learned(queued=take_in(self._store, self._crm, attributes))
                told = outcome
                if self._crm.attributes_version is not None:
                    # It may be this endpoint alone, whose answer is not needed. Another question tells of the account.
                    told = self._crm.probe(turn=self._session.turn)
                self._session.heed_unrecorded(told)
                if not is_short_refusal(told):
                    break
        except GatePaused:
            return Learned(problem="Sending is paused.")
        except Stopped:
            return Learned(problem=f"Stopped: {self._session.halted}.")
        return Learned(problem=outcome.message or outcome.kind or "No answer.")


def take_in(store: AttributeStore, crm: Crm, attributes: list[dict[str, Any]]) -> int:
    """Go by these from now on, and keep them for all others; returns how many contacts were queued for it."""
    crm.know(attributes)
    return store.keep(attributes, crm.attributes_version or "", crm.writable)


def learn_now(engine: sa.Engine, crm: Crm, turn: Turn) -> int:
    """On a person's demand; 0 as well when there was no answer: the next run asks again."""
    attributes = None if crm.schema is None else crm.schema.attributes(turn=turn)[1]
    return 0 if attributes is None else take_in(AttributeStore(engine, crm.name), crm, attributes)


def remind(engine: sa.Engine, mapper: Mapper) -> None:
    """Tell the CRM's module what was last seen of its account."""
    mapper.know(AttributeStore(engine, mapper.name).read())
