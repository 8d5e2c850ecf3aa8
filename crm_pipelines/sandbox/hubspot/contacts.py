"""The endpoints of single contacts."""

from collections.abc import Collection
from typing import Any

from crm_pipelines.sandbox.core.answers import Answer, Call, reply
from crm_pipelines.sandbox.hubspot.account import SHOWN, Account, Contact
from crm_pipelines.sandbox.hubspot.answers import (
    invalid,
    not_found,
    read_body,
    read_names,
    read_number,
    read_text,
    wants_archived,
)
from crm_pipelines.sandbox.hubspot.changes import read_changes, read_properties
from crm_pipelines.sandbox.hubspot.finding import RECORD_ID, find, is_id, read_id_property
from crm_pipelines.sandbox.hubspot.values import normal_email

_ENOUGH_FOR_A_CONTACT = frozenset(SHOWN)


def create_contact(account: Account, call: Call) -> Answer:
    """POST /objects/contacts: 201, or 409 when the address is taken."""
    changes = read_changes(account, read_properties(read_body(call)), None)
    check_enough(changes)
    contact = account.create(changes)
    answer = reply(201, account.as_json(contact, written(changes)))
    return answer._replace(headers=(*answer.headers, (b"location", f"{call.path}/{contact.id}".encode())))


def check_enough(changes: Collection[str]) -> None:
    """A new contact needs an address or a name, else ApiError 400."""
    if not _ENOUGH_FOR_A_CONTACT & set(changes):
        raise invalid("At least one of the properties email, firstname and lastname is required for a new contact")


def written(changes: Collection[str]) -> list[str]:
    """The properties that the answer to a write shows."""
    return ["email", *changes]


def list_contacts(account: Account, call: Call) -> Answer:
    """GET /objects/contacts: by id, pages of up to 100."""
    limit = read_number(call, "limit", 10, 100)
    after = read_number(call, "after", 0, 10**18 - 1)
    source = account.archived if wants_archived(call) else account.contacts
    rows = [source[number] for number in sorted(source) if number > after]
    page: dict[str, Any] = {"results": [account.as_json(contact, _asked(call)) for contact in rows[:limit]]}
    if len(rows) > limit > 0:
        page["paging"] = {"next": {"after": str(rows[limit - 1].id)}}
    return reply(200, page)


def read_contact(account: Account, call: Call, identifier: str) -> Answer:
    """GET /objects/contacts/{id}, or by `idProperty`."""
    return reply(200, account.as_json(_find(account, call, identifier), _asked(call)))


def update_contact(account: Account, call: Call, identifier: str) -> Answer:
    """PATCH /objects/contacts/{id}, or by `idProperty`."""
    contact = _find(account, call, identifier)
    changes = read_changes(account, read_properties(read_body(call)), contact)
    account.update(contact, changes)
    return reply(200, account.as_json(contact, written(changes)))


def archive_contact(account: Account, _: Call, identifier: str) -> Answer:
    """DELETE /objects/contacts/{id}: into the recycle bin. 204, also when there is none."""
    contact = account.contact(int(identifier)) if is_id(identifier) else None
    if contact is not None:
        account.archive(contact)
    return reply(204)


def erase_contact(account: Account, call: Call) -> Answer:
    """POST /objects/contacts/gdpr-delete: for good, also from the recycle bin. 204."""
    body = read_body(call)
    value = read_text(body, "objectId")
    id_property = read_id_property(account, body.get("idProperty"), "delete")
    contact = find(account, id_property, value)
    if contact is None and id_property == RECORD_ID and is_id(value):
        contact = account.archived.get(int(value))
    if contact is not None:
        account.erase(contact)
    elif id_property == "email":
        account.erased.add(normal_email(value) or value)
        account.revision += 1
    return reply(204)


def merge_contacts(account: Account, call: Call) -> Answer:
    """POST /objects/contacts/merge: the contact that stays."""
    body = read_body(call)
    winner, loser = (
        find(account, RECORD_ID, read_text(body, field)) for field in ("primaryObjectId", "objectIdToMerge")
    )
    if winner is None or loser is None:
        raise not_found()
    if winner is loser:
        raise invalid("Cannot merge a contact with itself")
    account.merge(winner, loser)
    return reply(200, account.as_json(winner))


def _find(account: Account, call: Call, identifier: str) -> Contact:
    """The contact that the path names, or ApiError 404."""
    id_property = read_id_property(account, call.query().get("idProperty", [""])[-1], "read")
    if wants_archived(call):
        contact = account.archived.get(int(identifier)) if is_id(identifier) else None
    else:
        contact = find(account, id_property, identifier)
    if contact is None:
        odd = id_property == RECORD_ID and not identifier.isdecimal()
        raise not_found("Object not found.  objectId are usually numeric." if odd else "resource not found")
    return contact


def _asked(call: Call) -> Collection[str]:
    return read_names(call, "properties") or SHOWN
