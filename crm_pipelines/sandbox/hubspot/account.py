"""The state of the one HubSpot account that the sandbox stands for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crm_pipelines.sandbox.hubspot.properties import GROUP, Group, Property, properties_of_new_account
from crm_pipelines.sandbox.hubspot.times import as_time, now_ms

SHOWN = ("email", "firstname", "lastname")
"""What reading shows unless it asks for other properties."""
_ALWAYS_SHOWN = ("createdate", "hs_object_id", "lastmodifieddate")
_FIRST_CONTACT = 101


class Contact:
    """One contact. `properties` are those that can be written and have a value; `additional` are further addresses."""

    __slots__ = ("additional", "archived", "created", "id", "properties", "updated")

    def __init__(self, contact_id: int, created: int) -> None:
        self.id = contact_id
        self.properties: dict[str, str] = {}
        self.additional: list[str] = []
        self.created = created
        self.updated = created
        self.archived: int | None = None

    @property
    def email(self) -> str | None:
        """The primary address."""
        return self.properties.get("email")


@dataclass(slots=True, kw_only=True)
class ContactList:
    """A list. `members` maps ids of contacts to the time when they were added, in milliseconds."""

    id: int
    name: str
    processing: str = "MANUAL"
    created: int = field(default_factory=now_ms)
    updated: int = field(default_factory=now_ms)
    members: dict[int, int] = field(default_factory=dict)


class Account:
    """Contacts, properties, groups and lists. `revision` grows with every change.

    `opted_out`: when the person behind an address unsubscribed from everything, in milliseconds. `merged`: ids that
    stand for another contact by now. `erased`: addresses that may never come back. `scopes`: what the key may do;
    None: everything. `portal_id`: what the account is called. `echoes_traces`: results of a batch tell their trace id.
    `refused`: in which words contacts with an address are refused. `hides_first`: a batch does not tell
    of its first one.
    """

    def __init__(self) -> None:
        self.revision = 0
        self.portal_id = 0
        self.scopes: frozenset[str] | None = None
        self.echoes_traces = True
        self.refused: Mapping[str, str] = {}
        self.hides_first = False
        self.contacts: dict[int, Contact] = {}
        self.archived: dict[int, Contact] = {}
        self.merged: dict[int, int] = {}
        self.opted_out: dict[str, int] = {}
        self.erased: set[str] = set()
        self.owners: dict[str, dict[str, Contact]] = {"email": {}}
        self.properties: dict[str, Property] = properties_of_new_account()
        self.archived_properties: dict[str, Property] = {}
        self.groups: dict[str, Group] = {GROUP: Group(name=GROUP, label="Contact information")}
        self.lists: dict[int, ContactList] = {}
        self.last_contact_id = _FIRST_CONTACT - 1
        self.last_list_id = 0

    def contact(self, contact_id: int) -> Contact | None:
        """The contact with this id, or the one into which it was merged."""
        while contact_id in self.merged:
            contact_id = self.merged[contact_id]
        return self.contacts.get(contact_id)

    def owner(self, name: str, value: str) -> Contact | None:
        """The contact that has this value of a unique property; further addresses count as an address."""
        return self.owners.get(name, {}).get(value)

    def is_unique(self, name: str) -> bool:
        """Whether contacts are found by this property."""
        return name == "email" or (name in self.properties and self.properties[name].unique)

    def create(self, changes: Mapping[str, str]) -> Contact:
        """Store a new contact; its unique values must be free."""
        self.last_contact_id += 1
        contact = self.contacts[self.last_contact_id] = Contact(self.last_contact_id, now_ms())
        self.update(contact, changes)
        contact.updated = contact.created
        return contact

    def update(self, contact: Contact, changes: Mapping[str, str]) -> None:
        """Store values, an empty one clears; unique ones must be free or the contact's own."""
        for name, value in changes.items():
            if self.is_unique(name):
                self._identify(contact, name, value)
            if value:
                contact.properties[name] = value
            else:
                contact.properties.pop(name, None)
        contact.updated = now_ms()
        self.revision += 1

    def _identify(self, contact: Contact, name: str, value: str) -> None:
        owners = self.owners.setdefault(name, {})
        old = contact.properties.get(name)
        if old == value:
            return
        if name == "email" and value in contact.additional:
            # One of the further addresses becomes the primary one, and the other way round.
            contact.additional[contact.additional.index(value)] = old or ""
            contact.additional = [address for address in contact.additional if address]
            return
        if old is not None:
            owners.pop(old, None)
        if value:
            owners[value] = contact

    def add_address(self, contact: Contact, address: str) -> None:
        """Give the contact a further address, which must be free."""
        contact.additional.append(address)
        self.owners["email"][address] = contact
        self.revision += 1

    def archive(self, contact: Contact) -> None:
        """Put a contact into the recycle bin; its unique values are free again."""
        contact.archived = now_ms()
        self._forget(contact)
        self.archived[contact.id] = contact

    def erase(self, contact: Contact) -> None:
        """Forget a contact for good."""
        if contact.archived is None:
            self._forget(contact)
        self.archived.pop(contact.id, None)
        self.revision += 1

    def merge(self, winner: Contact, loser: Contact) -> None:
        """Make one contact of two: the winner's values count, and it gets the other's addresses and lists."""
        addresses = [address for address in (loser.email, *loser.additional) if address]
        lists = [group for group in self.lists.values() if loser.id in group.members]
        self._forget(loser)
        self.merged[loser.id] = winner.id
        rest = {name: value for name, value in loser.properties.items() if name not in winner.properties}
        self.update(winner, {name: value for name, value in rest.items() if name != "email"})
        for address in addresses:
            self.add_address(winner, address)
        for group in lists:
            group.members.setdefault(winner.id, now_ms())

    def _forget(self, contact: Contact) -> None:
        for name in self.owners:
            for value in (contact.properties.get(name), *(contact.additional if name == "email" else ())):
                if value is not None:
                    self.owners[name].pop(value, None)
        for group in self.lists.values():
            group.members.pop(contact.id, None)
        del self.contacts[contact.id]
        self.revision += 1

    def value(self, contact: Contact, name: str) -> str | None:
        """What the contact has of a property; None: nothing."""
        match name:
            case "hs_object_id":
                return str(contact.id)
            case "createdate":
                return as_time(contact.created)
            case "lastmodifieddate":
                return as_time(contact.updated)
            case "hs_additional_emails":
                return ";".join(contact.additional) or None
            case "hs_email_optout":
                return "true" if contact.email in self.opted_out else None
        return contact.properties.get(name)

    def as_json(self, contact: Contact, names: Iterable[str] = SHOWN) -> dict[str, Any]:
        """The form of GET /crm/v3/objects/contacts/{id}; of the properties those that there are."""
        shown = [name for name in dict.fromkeys((*_ALWAYS_SHOWN, *names)) if name in self.properties]
        described: dict[str, Any] = {
            "id": str(contact.id),
            "properties": {name: self.value(contact, name) for name in shown},
            "createdAt": as_time(contact.created),
            "updatedAt": as_time(contact.updated),
            "archived": contact.archived is not None,
        }
        return described if contact.archived is None else {**described, "archivedAt": as_time(contact.archived)}
