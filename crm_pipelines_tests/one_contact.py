"""One contact through the interface of a CRM, which takes many."""

from collections.abc import Callable, Sequence
from typing import Any

from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.outcomes import Outcome
from crm_pipelines.crms.payloads import Held, Payload, Sendable
from crm_pipelines.crms.turns import DeliveryTurn, Turn


def at_once() -> None:
    """A turn that need not be waited for."""


def turn_for_all(turn: Turn) -> DeliveryTurn:
    """Whoever waits for this turn may be sent."""

    def wait(contacts: Sequence[Sendable]) -> Sequence[Sendable]:
        turn()
        return contacts

    return wait


def deliver(crm: Crm, payload: Payload, *, turn: Turn = at_once, **known: Any) -> Outcome:
    """Its outcome. `known` is for `Sendable`, but for `is_contact`."""
    is_contact: Callable[..., bool] = known.pop("is_contact", lambda _: False)
    contact = Sendable(payload=payload, **{"remote_key": None, "remote_id": None, **known})
    [outcome] = crm.deliver([contact], turn=turn_for_all(turn), is_contact=is_contact)
    assert outcome is not None
    return outcome


def look_up(crm: Crm, payload: Payload, *, turn: Turn = at_once, **known: Any) -> tuple[Outcome, Held | None]:
    """What the CRM holds of it."""
    assert crm.reading is not None
    contact = Sendable(payload=payload, **{"remote_key": None, "remote_id": None, **known})
    [found] = crm.reading.look_up([contact], turn=turn)
    return found
