"""The one place at which the suite calls the interface of a CRM: `crm_pipelines.crms.base.Crm`.

Many contacts are given and one outcome each comes back, in their order, whatever the CRM takes in one request.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from crm_pipelines.crms.base import (
    BeforeRequest,
    Compared,
    Crm,
    Finding,
    Held,
    Identity,
    Imports,
    Outcome,
    Payload,
    Remembered,
    Result,
)


def at_once() -> None:
    """No waiting for one's turn."""


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
        return self.crm.imports

    def learn(self) -> Outcome:
        """Which fields the account has; contacts are prepared by that afterwards."""
        outcome, attributes = self.crm.attributes(before_request=at_once)
        self.crm.know(attributes)
        return outcome

    def prepare(self, contact: Contact) -> Payload:
        """What is to be sent of the contact, which is one that can be sent."""
        payload = self.crm.prepare(contact.record, sent_attributes=contact.sent)
        assert isinstance(payload, Payload), payload.message
        return payload

    def deliver(self, contacts: Sequence[Contact], *, turn: BeforeRequest = at_once) -> Sequence[Outcome]:
        """One outcome each, in order."""
        return [self._deliver(contact, turn) for contact in contacts]

    def _deliver(self, contact: Contact, turn: BeforeRequest) -> Outcome:
        payload, remembered = self.prepare(contact), contact.remembered
        contact.intend(payload)
        return self.crm.deliver(
            payload,
            remote_key=contact.remote_key,
            remote_id=contact.remote_id,
            before_request=turn,
            remembered=remembered,
        )

    def look_up(self, contact: Contact) -> tuple[Outcome, Held | None]:
        """What the CRM holds of it."""
        return self.crm.look_up(
            self.prepare(contact),
            remote_key=contact.remote_key,
            remote_id=contact.remote_id,
            before_request=at_once,
            remembered=contact.remembered,
        )

    def compare(self, contact: Contact, held: Held) -> Sequence[Compared]:
        """Field by field."""
        return self.crm.compare(self.prepare(contact), held)

    def identify(self) -> tuple[Outcome, Identity | None]:
        """Which account this is."""
        return self.crm.identify(before_request=at_once)

    def probe(self, *, turn: BeforeRequest = at_once) -> Outcome:
        """Whether the credentials are accepted."""
        return self.crm.probe(before_request=turn)

    def check(self, custom: Mapping[str, Any] | None = None, *, turn: BeforeRequest = at_once) -> Sequence[Finding]:
        """Whatever would keep contacts with these custom fields from arriving."""
        return self.crm.check(before_request=turn, custom_fields=custom)

    def provision(
        self, custom: Mapping[str, Any], *, dry_run: bool = False, turn: BeforeRequest = at_once
    ) -> Sequence[str]:
        """Create what contacts with these custom fields need; the CRM's names of what was missing."""
        return self.crm.provision(dry_run=dry_run, before_request=turn, custom_fields=custom)

    def close(self) -> None:
        """Close the connections."""
        self.crm.close()
