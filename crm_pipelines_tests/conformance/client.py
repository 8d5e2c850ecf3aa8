"""The one place at which the suite calls the interface of a CRM: `crm_pipelines.crms.base.Crm`.

As many contacts as a case likes are given, in calls of `most_per_request`. What a CRM may lack is asked for by cases
that need it, and by no others.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from crm_pipelines.crms.base import Crm, Identity, Reading
from crm_pipelines.crms.bulk import Imports
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Compared, Held, Payload, Remembered, Sendable
from crm_pipelines.crms.schema import Finding, Schema
from crm_pipelines.crms.turns import DeliveryTurn, Turn
from crm_pipelines_tests.one_contact import at_once, turn_for_all


class Contact:
    """A contact, and what is remembered of it between deliveries, as the tables do.

    Before a request it is noted what is about to be sent; an outcome makes that certain, or does not.
    """

    def __init__(self, number: int = 1, *, custom: Mapping[str, Any] | None = None, **record: Any) -> None:
        self.record: dict[str, Any] = {
            "id": UUID(int=number),
            "email": f"p{number}@example.com",
            "custom_fields": dict(custom or {}),
            **record,
        }
        self.sent: frozenset[str] = frozenset()
        self.remote_key: str | None = None
        self.remote_id: str | None = None
        self.remembered = Remembered()

    @property
    def address(self) -> str:
        """The present one, as the CRM is to have it."""
        return str(self.record["email"]).strip().lower()

    def edit(self, *, custom: Mapping[str, Any] | None = None, **record: Any) -> "Contact":
        """The user changes these columns; `custom` all custom fields."""
        self.record |= record
        if custom is not None:
            self.record["custom_fields"] = dict(custom)
        return self

    def intend(self, payload: Payload) -> None:
        """What a request is about to tell the CRM; whether it did is not known yet."""
        self.sent |= payload.attributes.keys()
        moved = self.remote_key not in {None, payload.key}
        maybe = self.remembered.maybe_keys | ({payload.key} if moved else set())
        self.remembered = Remembered(
            maybe_keys=maybe, lists=self.remembered.lists, remote_mark=self.remembered.remote_mark, certain=False
        )

    def remember(self, outcome: Outcome) -> None:
        """What the delivery came to."""
        if outcome.result is Result.SYNCED:
            self.sent, self.remote_key = outcome.sent_attributes, outcome.remote_key
            self.remote_id = outcome.remote_id or self.remote_id
            self.remembered = Remembered(lists=outcome.lists, remote_mark=outcome.remote_mark)


class Client:
    """One account, opened."""

    def __init__(self, crm: Crm) -> None:
        self.crm = crm

    @property
    def imports(self) -> Imports:
        """The bulk imports of the account."""
        assert self.crm.imports is not None
        return self.crm.imports

    def learn(self) -> Outcome:
        """Which fields the account has; contacts are prepared by that afterwards."""
        outcome, attributes = self._schema.attributes(turn=at_once)
        self.crm.know(attributes)
        return outcome

    def prepare(self, contact: Contact) -> Payload:
        """What is to be sent of the contact, which is one that can be sent."""
        payload = self.crm.prepare(contact.record, sent_attributes=contact.sent)
        assert isinstance(payload, Payload), payload.message
        return payload

    def deliver(self, contacts: Sequence[Contact], *, turn: Turn = at_once) -> Sequence[Outcome]:
        """All may be sent: one outcome each, in order."""
        outcomes = self.hand_over(contacts, turn=turn_for_all(turn))
        assert None not in outcomes, "who may be sent has an outcome"
        return [one for one in outcomes if one is not None]

    def hand_over(self, contacts: Sequence[Contact], *, turn: DeliveryTurn) -> Sequence[Outcome | None]:
        """One outcome each, in order; None for those whom `turn` left out. As many at a time as the CRM takes."""
        most = self.crm.most_per_request
        sendables = [self._sendable(contact) for contact in contacts]
        for contact, one in zip(contacts, sendables, strict=True):
            contact.intend(one.payload)
        chunks = [sendables[start : start + most] for start in range(0, len(sendables), most)]
        return [one for chunk in chunks for one in self.crm.deliver(chunk, turn=turn)]

    def _sendable(self, contact: Contact) -> Sendable:
        return Sendable(
            payload=self.prepare(contact),
            remote_key=contact.remote_key,
            remote_id=contact.remote_id,
            remembered=contact.remembered,
        )

    @property
    def _schema(self) -> Schema:
        assert self.crm.schema is not None
        return self.crm.schema

    @property
    def _reading(self) -> Reading:
        assert self.crm.reading is not None
        return self.crm.reading

    def look_up(self, contact: Contact) -> tuple[Outcome, Held | None]:
        """What the CRM holds of it."""
        [found] = self._reading.look_up([self._sendable(contact)], turn=at_once)
        return found

    def compare(self, contact: Contact, held: Held) -> Sequence[Compared]:
        """Field by field."""
        return self._reading.compare(self.prepare(contact), held)

    def identify(self) -> tuple[Outcome, Identity | None]:
        """Which account this is."""
        return self.crm.identify(turn=at_once)

    def probe(self, *, turn: Turn = at_once) -> Outcome:
        """Whether the credentials are accepted."""
        return self.crm.probe(turn=turn)

    def check(self, custom: Mapping[str, Any] | None = None, *, turn: Turn = at_once) -> Sequence[Finding]:
        """Whatever would keep contacts with these custom fields from arriving."""
        return self.crm.check(turn=turn, custom_fields=custom)

    def provision(self, custom: Mapping[str, Any], *, dry_run: bool = False, turn: Turn = at_once) -> Sequence[str]:
        """Create what contacts with these custom fields need; the CRM's names of what was missing."""
        return self._schema.provision(dry_run=dry_run, turn=turn, custom_fields=custom)

    def close(self) -> None:
        """Close the connections."""
        self.crm.close()
