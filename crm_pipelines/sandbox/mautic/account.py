"""The state of the one Mautic instance that the sandbox stands for."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from crm_pipelines.sandbox.mautic.config import SandboxConfig
from crm_pipelines.sandbox.mautic.fields import GROUPS, Field, fields_of_new_instance
from crm_pipelines.sandbox.mautic.times import as_time, now_ms
from crm_pipelines.sandbox.mautic.values import Value, fold, shown

UNSUBSCRIBED, BOUNCED, MANUAL = 1, 2, 3
"""Why somebody is not to be contacted."""
EDIT = "lead:leads:editother"
"""The permission to change contacts."""


@dataclass(slots=True, kw_only=True)
class DoNotContact:
    """Somebody is not to be contacted by a channel."""

    id: int
    channel: str
    reason: int = MANUAL
    comments: str = ""
    channel_id: int | None = None
    added: int = field(default_factory=now_ms)

    def as_json(self) -> dict[str, Any]:
        """As it stands in a contact."""
        return {
            "id": self.id,
            "dateAdded": as_time(self.added),
            "reason": self.reason,
            "comments": self.comments,
            "channel": self.channel,
            "channelId": self.channel_id,
        }


class Contact:
    """One contact. `values` are those that it has, by alias; `tags` in the order in which they came."""

    __slots__ = ("created", "do_not_contact", "id", "owner", "tags", "updated", "values")

    def __init__(self, contact_id: int, created: int) -> None:
        self.id = contact_id
        self.values: dict[str, Value] = {}
        self.tags: list[str] = []
        self.do_not_contact: list[DoNotContact] = []
        self.owner: int | None = None
        self.created = created
        self.updated: int | None = None


@dataclass(slots=True, kw_only=True)
class Member:
    """A contact that is on a segment, or was and must not come back by a filter."""

    added: int = field(default_factory=now_ms)
    removed: bool = False


@dataclass(slots=True, kw_only=True)
class Segment:
    """A segment. `members` by id of the contact; those that were removed by hand stay in it."""

    id: int
    name: str
    alias: str
    published: bool = True
    members: dict[int, Member] = field(default_factory=dict)

    def present(self) -> list[int]:
        """The ids of the contacts that are on it."""
        return [number for number, member in self.members.items() if not member.removed]

    def as_json(self) -> dict[str, Any]:
        """The form of GET /api/segments/{id}."""
        return {
            "isPublished": self.published,
            "id": self.id,
            "name": self.name,
            "publicName": self.name,
            "alias": self.alias,
            "description": None,
            "category": None,
            "filters": [],
            "isGlobal": True,
            "isPreferenceCenter": False,
        }


class Account:
    """Contacts, fields and segments. `revision` grows with every change.

    `merged`: ids of contacts that were merged into another, for control to tell; the API does not know them.
    `dies_after_rows`: the next batch ends after so many contacts; 0: it does not.
    """

    def __init__(self) -> None:
        self.config = SandboxConfig()
        self.revision = 0
        self.contacts: dict[int, Contact] = {}
        self.fields: dict[str, Field] = fields_of_new_instance()
        self.segments: dict[int, Segment] = {}
        self.merged: dict[int, int] = {}
        self.owners: dict[str, dict[str, set[int]]] = {}
        self.last_contact_id = self.last_segment_id = self.last_dnc_id = 0
        self.last_field_id = len(self.fields)
        self.dies_after_rows = 0

    def may(self, *permissions: str) -> bool:
        """Whether the user behind the token is permitted all of this."""
        return self.config.permissions is None or set(permissions) <= set(self.config.permissions)

    def usable_fields(self) -> list[Field]:
        """The fields that contacts can have values of."""
        return [described for described in self.fields.values() if described.usable]

    def unique_fields(self) -> list[Field]:
        """The fields by which a contact is found."""
        return [described for described in self.usable_fields() if described.unique]

    def holders(self, alias: str, value: Value) -> list[Contact]:
        """The contacts with this value of a unique field, the newest first."""
        ids = self._index(alias).get(fold(value), ())
        return sorted((self.contacts[number] for number in ids), key=lambda one: (one.created, one.id), reverse=True)

    def create(self) -> Contact:
        """Store a new contact, as yet without values."""
        self.last_contact_id += 1
        contact = self.contacts[self.last_contact_id] = Contact(self.last_contact_id, now_ms())
        self.revision += 1
        return contact

    def store(self, contact: Contact, values: Mapping[str, Value]) -> None:
        """Store values; None clears."""
        for alias, value in values.items():
            self._reindex(contact, alias, value)
            if value is None:
                contact.values.pop(alias, None)
            else:
                contact.values[alias] = value
        self.revision += 1

    def remove(self, contact: Contact) -> None:
        """Delete a contact, with its places on segments."""
        for alias in self.owners:
            self._reindex(contact, alias, None)
        for segment in self.segments.values():
            segment.members.pop(contact.id, None)
        del self.contacts[contact.id]
        self.revision += 1

    def add_dnc(self, contact: Contact, channel: str, **more: Any) -> None:
        """Note that the contact is not to be contacted; who unsubscribed stays so, another reason is replaced."""
        known = next((one for one in contact.do_not_contact if one.channel == channel), None)
        if known is not None and known.reason == UNSUBSCRIBED:
            return
        if known is not None:
            contact.do_not_contact.remove(known)
        self.last_dnc_id += 1
        contact.do_not_contact.append(DoNotContact(id=self.last_dnc_id, channel=channel, **more))
        self.revision += 1

    def remove_dnc(self, contact: Contact, channel: str) -> bool:
        """Forget that; whether there was something to forget."""
        known = next((one for one in contact.do_not_contact if one.channel == channel), None)
        if known is not None:
            contact.do_not_contact.remove(known)
            self.revision += 1
        return known is not None

    def index_again(self, alias: str) -> None:
        """A field is unique from now on, or not any more."""
        self.owners.pop(alias, None)

    def _index(self, alias: str) -> dict[str, set[int]]:
        if alias not in self.owners:
            index: dict[str, set[int]] = {}
            for contact in self.contacts.values():
                if alias in contact.values:
                    index.setdefault(fold(contact.values[alias]), set()).add(contact.id)
            self.owners[alias] = index
        return self.owners[alias]

    def _reindex(self, contact: Contact, alias: str, value: Value) -> None:
        index = self.owners.get(alias)
        if index is None:
            return
        if alias in contact.values:
            index[fold(contact.values[alias])].discard(contact.id)
        if value is not None:
            index.setdefault(fold(value), set()).add(contact.id)

    def as_json(self, contact: Contact, *, minimal: bool = False) -> dict[str, Any]:
        """The form of GET /api/contacts/{id}; a minimal one has no more than its values."""
        points = shown(self.fields["points"], contact.values.get("points"))
        described = {
            "isPublished": True,
            "dateAdded": as_time(contact.created),
            "dateModified": None if contact.updated is None else as_time(contact.updated),
            "createdBy": 1,
            "createdByUser": "Sandbox",
            "modifiedBy": None if contact.updated is None else 1,
            "modifiedByUser": None if contact.updated is None else "Sandbox",
            "id": contact.id,
            "points": points,
            "color": None,
            "fields": self._fields_json(contact),
        }
        if minimal:
            return described
        return described | {
            "lastActive": None,
            "owner": None if contact.owner is None else {"id": contact.owner},
            "ipAddresses": [],
            "tags": [{"id": number, "tag": tag} for number, tag in enumerate(contact.tags, 1)],
            "utmtags": [],
            "stage": None,
            "dateIdentified": as_time(contact.created) if "email" in contact.values else None,
            "preferredProfileImage": "gravatar",
            "doNotContact": [one.as_json() for one in contact.do_not_contact],
            "frequencyRules": [],
        }

    def _fields_json(self, contact: Contact) -> dict[str, Any]:
        grouped: dict[str, dict[str, Any]] = {group: {} for group in GROUPS}
        every: dict[str, Any] = {"id": contact.id}
        for described in self.usable_fields():
            value = shown(described, contact.values.get(described.alias))
            grouped.setdefault(described.group, {})[described.alias] = described.with_value(value)
            every[described.alias] = value
        return {**{group: fields or [] for group, fields in grouped.items()}, "all": every}


def members_json(segments: Iterable[Segment], contact_id: int) -> dict[int, dict[str, Any]]:
    """The segments that a contact is on, by id; those that it was removed from are not told."""
    return {
        segment.id: {
            "id": segment.id,
            "name": segment.name,
            "alias": segment.alias,
            "dateAdded": as_time(segment.members[contact_id].added),
            "manuallyAdded": True,
            "manuallyRemoved": False,
        }
        for segment in segments
        if contact_id in segment.present()
    }


def segment_state(segment: Segment) -> dict[str, Any]:
    """For control: who is on it, and who was removed by hand."""
    rows = {str(number): asdict(member) for number, member in segment.members.items()}
    return {**segment.as_json(), "contacts": segment.present(), "members": rows}
