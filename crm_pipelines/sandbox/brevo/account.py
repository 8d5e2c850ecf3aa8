"""The state of the one Brevo account that the sandbox stands for.

Plain dictionaries and slotted objects: a million imported contacts fit into about a gigabyte.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from crm_pipelines.sandbox.brevo.attributes import (
    IDENTIFIERS,
    Attribute,
    Habits,
    Value,
    attributes_of_new_account,
)

_ACCOUNT_ZONE = timezone(timedelta(hours=2))  # answers carry the account's offset, not Z


def now_ms() -> int:
    """Milliseconds since the epoch, the precision of Brevo's times."""
    return time.time_ns() // 1_000_000


@lru_cache(maxsize=10_000)
def as_time(milliseconds: int) -> str:
    """A time as Brevo writes it."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone(_ACCOUNT_ZONE).isoformat(timespec="milliseconds")


class Contact:
    """One contact. Identifiers other than the address are attributes, as at Brevo."""

    __slots__ = ("attributes", "created", "email", "email_blacklisted", "id", "left", "modified", "sms_blacklisted")

    def __init__(self, contact_id: int, created: int) -> None:
        self.id = contact_id
        self.email: str | None = None
        self.attributes: dict[str, Value] = {}
        self.email_blacklisted = False
        self.sms_blacklisted = False
        self.left: set[int] = set()  # numbers of lists
        self.created = created
        self.modified = created

    def identifier(self, name: str) -> str | None:
        """The value of one of IDENTIFIERS."""
        return self.email if name == "EMAIL" else self.attributes.get(name)  # type: ignore[return-value]


@dataclass(slots=True)
class MailingList:
    """A list and the ids of its contacts."""

    id: int
    name: str
    folder_id: int
    created: int
    members: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Process:
    """A background process. `reports` holds the rows of each kind of trouble."""

    id: int
    name: str
    status: str = "queued"
    notification: bool = False
    reports: dict[str, list[list[str]]] = field(default_factory=dict)


@dataclass(slots=True)
class Change:
    """What is to be stored of one contact; an empty identifier or a None value clears."""

    identifiers: Mapping[str, str]
    values: Mapping[str, Value | None]
    email_blacklisted: bool | None = None
    sms_blacklisted: bool | None = None
    link: Iterable[int] = ()
    unlink: Iterable[int] = ()


Launch = Callable[[Process, Iterator[None]], None]
"""Runs a process in the background: takes it and the steps of its work."""


class Account:
    """Contacts, lists, folders, attributes and processes. `revision` grows with every change.

    `imports_unblock`: the bad case, in which an import takes contacts off the block-lists. `imports_refuse`: the share
    of the rows of an import that are not taken. `imports_ignore_false`:
    the one in which `false` in an imported row has no effect. `habits`: what becomes of values. `organization` and
    `owner_email` are what GET /account tells of it; None: nothing. `one_for_each_key`: it tells another for each key.
    """

    def __init__(self, language: str, launch: Launch) -> None:
        started = now_ms()
        self.revision = 0
        self._last_filtered: tuple[object, list[Contact]] = (None, [])
        self.imports_unblock = False
        self.one_for_each_key = False
        self.organization: str | None = None
        self.owner_email: str | None = None
        self.imports_ignore_false = False
        self.imports_refuse = 0.0
        self.habits = Habits()
        self.contacts: dict[int, Contact] = {}
        self.owners: dict[str, dict[str, Contact]] = {name: {} for name in IDENTIFIERS}
        # A new account has this folder and this list (live capture by the authors of estuary/connectors).
        self.folders: dict[int, str] = {1: "Your first folder"}
        self.lists: dict[int, MailingList] = {2: MailingList(2, "Your first list", 1, started)}
        self.attributes: dict[str, Attribute] = attributes_of_new_account(language)
        self.processes: dict[int, Process] = {}
        self.last_contact_id = 0
        self.last_group_id = 2
        self.last_process_id = 0
        self.launch = launch

    def new_group_id(self) -> int:
        """The next number of a list or folder: they share one sequence."""
        self.last_group_id += 1
        return self.last_group_id

    def new_process(self, name: str) -> Process:
        """A queued process."""
        self.last_process_id += 1
        self.revision += 1
        process = self.processes[self.last_process_id] = Process(self.last_process_id, name)
        return process

    def owner(self, name: str, value: str) -> Contact | None:
        """The contact that has this identifier."""
        return self.owners[name].get(value)

    def conflicts(self, identifiers: Mapping[str, str], contact: Contact | None) -> list[str]:
        """Names of the identifiers that belong to another contact than this one."""
        taken = {
            name for name, value in identifiers.items() if value and self.owners[name].get(value) not in (None, contact)
        }
        return [name for name in IDENTIFIERS if name in taken]

    def create(self, change: Change) -> Contact:
        """Store a new contact; its identifiers must be free."""
        self.last_contact_id += 1
        contact = self.contacts[self.last_contact_id] = Contact(self.last_contact_id, now_ms())
        self.update(contact, change)
        contact.modified = contact.created
        return contact

    def update(self, contact: Contact, change: Change) -> None:
        """Store the change; its identifiers must be free or the contact's own."""
        old_email = contact.email
        for name, value in change.identifiers.items():
            self._identify(contact, name, value)
        if contact.email_blacklisted and old_email is not None and contact.email != old_email:
            contact.email_blacklisted = False
        for name, stored in change.values.items():
            if stored is None:
                contact.attributes.pop(name, None)
            else:
                contact.attributes[name] = stored
        if change.email_blacklisted is not None:
            contact.email_blacklisted = change.email_blacklisted
        if change.sms_blacklisted is not None:
            contact.sms_blacklisted = change.sms_blacklisted
        for list_id in change.link:
            self.join(contact, self.lists[list_id])
        for list_id in change.unlink:
            self.lists[list_id].members.discard(contact.id)
        contact.modified = now_ms()
        self.revision += 1

    def join(self, contact: Contact, group: MailingList) -> bool:
        """Put the contact on the list, also if the person has left it; whether it was off it."""
        was_off = contact.id not in group.members
        group.members.add(contact.id)
        contact.left.discard(group.id)
        return was_off

    def leave(self, contact: Contact, group: MailingList) -> bool:
        """Take the contact off the list as the person's own act; whether it was on it."""
        was_on = contact.id in group.members
        if was_on:
            group.members.discard(contact.id)
            contact.left.add(group.id)
        return was_on

    def _identify(self, contact: Contact, name: str, value: str) -> None:
        old = contact.identifier(name)
        if old == value:
            return
        if old is not None:
            del self.owners[name][old]
        if value:
            self.owners[name][value] = contact
        if name == "EMAIL":
            contact.email = value
        elif value:
            contact.attributes[name] = value
        else:
            contact.attributes.pop(name, None)

    def filtered(self, key: str, test: Callable[[Contact], bool]) -> list[Contact]:
        """Contacts that pass the test, which `key` names; the next page of the same listing finds them at hand."""
        known = (self.revision, key)
        if self._last_filtered[0] != known:
            self._last_filtered = (known, [contact for contact in self.contacts.values() if test(contact)])
        return self._last_filtered[1]

    def delete(self, contact: Contact) -> None:
        """Forget a contact."""
        for name in IDENTIFIERS:
            value = contact.identifier(name)
            if value is not None:
                del self.owners[name][value]
        for mailing_list in self.lists.values():
            mailing_list.members.discard(contact.id)
        del self.contacts[contact.id]
        self.revision += 1

    def as_json(self, contact: Contact) -> dict[str, Any]:
        """The form of GET /contacts."""
        phone = contact.attributes.get("SMS")
        return {
            "id": contact.id,
            "email": contact.email or (f"{phone}@mailin-sms.com" if phone else None),
            "emailBlacklisted": contact.email_blacklisted,
            "smsBlacklisted": contact.sms_blacklisted,
            "whatsappBlacklisted": False,
            "createdAt": as_time(contact.created),
            "modifiedAt": as_time(contact.modified),
            "listIds": [group.id for group in self.lists.values() if contact.id in group.members],
            "listUnsubscribed": sorted(contact.left & self.lists.keys()) or None,
            "subscriptions": {},
            "attributes": contact.attributes,
        }
