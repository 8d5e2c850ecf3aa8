"""The endpoints of contacts."""

import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from crm_pipelines.sandbox.brevo.account import Account, Change, Contact
from crm_pipelines.sandbox.brevo.answers import ApiError, invalid, newest_first, not_found, read_body, read_page
from crm_pipelines.sandbox.brevo.attributes import (
    PHONES,
    normal_email,
    normal_phone,
    read_attributes,
)
from crm_pipelines.sandbox.core.answers import Answer, Call, reply

IDENTIFIER_TYPES = {
    "email_id": "EMAIL",
    "phone_id": "SMS",
    "ext_id": "EXT_ID",
    "whatsapp_id": "WHATSAPP",
    "landline_number_id": "LANDLINE_NUMBER",
}
_FILTER = re.compile(r"equals\((\w+),\"(.*)\"\)")


def create_contact(account: Account, call: Call) -> Answer:
    """POST /contacts: 201 with the id, or 204 when an existing contact was updated."""
    body = read_body(call)
    change = read_change(account, body)
    if not any(change.identifiers.values()):
        raise ApiError(400, "missing_parameter", "Please provide Email or SMS attribute value to create user")
    existing = find_existing(account, change) if body.get("updateEnabled") else None
    merged = False
    if taken := account.conflicts(change.identifiers, existing):
        if not body.get("forceMerge"):
            raise duplicate("update" if existing else "create", taken)
        existing, merged = _merge(account, change, taken, existing), True
    if existing is None:
        return reply(201, {"id": account.create(change).id})
    account.update(existing, change)
    return reply(200, {"id": existing.id}) if merged and body.get("getId") else reply(204)


def read_contact(account: Account, call: Call, identifier: str) -> Answer:
    """GET /contacts/{identifier}."""
    return reply(200, {**account.as_json(_find(account, call, identifier)), "statistics": {}})


def update_contact(account: Account, call: Call, identifier: str) -> Answer:
    """PUT /contacts/{identifier}: 204."""
    contact = _find(account, call, identifier)
    body = read_body(call)
    change = read_change(account, body)
    if taken := account.conflicts(change.identifiers, contact):
        if not body.get("forceMerge"):
            raise duplicate("update", taken)
        contact = _merge(account, change, taken, contact)
    account.update(contact, change)
    return reply(204)


def delete_contact(account: Account, call: Call, identifier: str) -> Answer:
    """DELETE /contacts/{identifier}: 204."""
    account.delete(_find(account, call, identifier))
    return reply(204)


def list_contacts(account: Account, call: Call) -> Answer:
    """GET /contacts: sorted by creation, newest first unless `sort=asc`."""
    limit, offset = read_page(call, 50, 1000)
    query = call.query()
    rows: Collection[Contact] = account.contacts.values()
    if "ids" in query:
        wanted = read_query_numbers(query, "ids")
        if len(wanted) > 20:
            raise invalid("ids should not have more than 20 items")
        rows = [account.contacts[number] for number in sorted(wanted) if number in account.contacts]
    tests = _tests(account, query)
    if len(tests) == 1 and query.keys() <= {"modifiedSince", "limit", "offset", "sort"}:
        rows = account.filtered(query["modifiedSince"][-1], tests[0])
    elif tests:
        rows = [contact for contact in rows if all(test(contact) for test in tests)]
    return reply(200, page_of_contacts(account, rows, limit, offset, newest_first=newest_first(call)))


def page_of_contacts(
    account: Account, rows: Collection[Contact], limit: int, offset: int, *, newest_first: bool
) -> dict[str, Any]:
    """One page of rows that are sorted by creation, and their number."""
    # Dictionary views and lists can both be read backwards.
    ordered = reversed(rows) if newest_first else rows  # type: ignore[call-overload]
    page = islice(ordered, offset, offset + limit)
    return {"contacts": [account.as_json(contact) for contact in page], "count": len(rows)}


def update_batch(account: Account, call: Call) -> Answer:
    """POST /contacts/batch: updates known contacts, all of them or none."""
    rows = read_body(call).get("contacts")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or not rows:
        raise invalid("contacts should be a non-empty array of objects")
    targets = [_batch_target(account, row) for row in rows]
    if unknown := [str(index) for index, contact in enumerate(targets) if contact is None]:
        raise not_found(f"No contact found for indexes {','.join(unknown)}")
    changes: list[tuple[Contact, Change]] = []
    claimed: dict[tuple[str, str], Contact] = {}
    for row, contact in zip(rows, targets, strict=True):
        assert contact is not None
        change = read_change(account, {key: value for key, value in row.items() if key != "email"})
        taken = account.conflicts(change.identifiers, contact)
        taken += [
            name
            for name, value in change.identifiers.items()
            if claimed.setdefault((name, value), contact) is not contact
        ]
        if taken:
            raise duplicate("update", taken)
        changes.append((contact, change))
    for contact, change in changes:
        account.update(contact, change)
    return reply(204)


def read_change(account: Account, body: dict[str, Any]) -> Change:
    """What a create or update asks to store, or ApiError 400."""
    attributes = body.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise invalid("attributes should be type object")
    identifiers, values = read_attributes(account.attributes, attributes, habits=account.habits)
    if body.get("ext_id") is not None:
        identifiers["EXT_ID"] = str(body["ext_id"])
    if body.get("email") is not None:
        email = normal_email(body["email"])
        if email is None:
            raise invalid("Invalid email address")
        identifiers["EMAIL"] = email
    return Change(
        identifiers,
        values,
        _flag(body, "emailBlacklisted"),
        _flag(body, "smsBlacklisted"),
        read_list_ids(account, body, "listIds"),
        read_list_ids(account, body, "unlinkListIds"),
    )


def find_existing(account: Account, change: Change) -> Contact | None:
    """The contact that an upsert means: by address when one is given, else by EXT_ID, else by phone."""
    for name in ("EMAIL", "EXT_ID", "SMS", "WHATSAPP", "LANDLINE_NUMBER"):
        if value := change.identifiers.get(name):
            return account.owner(name, value)
    return None


def read_list_ids(account: Account, body: dict[str, Any], field: str) -> list[int]:
    """Numbers of existing lists, or ApiError 400."""
    numbers = body.get(field)
    if numbers is None:
        return []
    if not isinstance(numbers, list):
        raise invalid(f"{field} should be type array")
    for index, number in enumerate(numbers):
        if not isinstance(number, int) or isinstance(number, bool):
            raise invalid(f"{field}/{index} should be type number")
        if number not in account.lists:
            raise invalid("List ID does not exist")
    return numbers


def duplicate(action: str, names: list[str]) -> ApiError:
    """The refusal of an identifier that another contact has."""
    shown = ["email" if name == "EMAIL" else name for name in names]
    verb = "is" if len(shown) == 1 else "are"
    return ApiError(
        400,
        "duplicate_parameter",
        f"Unable to {action} contact, {' or '.join(shown)} {verb} already associated with another Contact",
        {"duplicate_identifiers": shown},
    )


def read_query_numbers(query: dict[str, list[str]], field: str) -> set[int]:
    """Numbers of a repeated or comma-separated query field, or ApiError 400."""
    try:
        return {int(part) for value in query[field] for part in value.split(",")}
    except ValueError:
        raise invalid(f"{field} should be type number") from None


def read_since(text: str, field: str) -> int:
    """A point in time in milliseconds, or ApiError 400."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(f"{field} should be in the format YYYY-MM-DDTHH:mm:ss.SSSZ") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def modified_since(query: dict[str, list[str]]) -> list[Callable[[Contact], bool]]:
    """The test that `modifiedSince` asks for, if it is given; inclusive."""
    if "modifiedSince" not in query:
        return []
    since = read_since(query["modifiedSince"][-1], "modifiedSince")
    return [lambda contact: contact.modified >= since]


def _tests(account: Account, query: dict[str, list[str]]) -> list[Callable[[Contact], bool]]:
    tests = modified_since(query)
    if "createdSince" in query:
        created = read_since(query["createdSince"][-1], "createdSince")
        tests.append(lambda contact: contact.created >= created)
    if "listIds" in query:
        wanted = read_query_numbers(query, "listIds")
        groups = [group.members for group in account.lists.values() if group.id in wanted]
        tests.append(lambda contact: any(contact.id in members for members in groups))
    if "filter" in query:
        match = _FILTER.fullmatch(query["filter"][-1])
        if not match:
            raise invalid('filter should have the form equals(ATTRIBUTE,"value")')
        name, value = match.groups()
        tests.append(lambda contact: str(contact.attributes.get(name, "")) == value)
    return tests


def _find(account: Account, call: Call, identifier: str) -> Contact:
    """The contact that the path names, or ApiError 404, or 400 for an identifier of a wrong form."""
    kind = call.query().get("identifierType", [""])[-1]
    if kind == "contact_id" or (not kind and _is_id(identifier) and int(identifier) in account.contacts):
        contact = account.contacts.get(int(identifier)) if _is_id(identifier) else None
    elif not kind:
        contact = _find_by_form(account, call.method, identifier)
    elif kind not in IDENTIFIER_TYPES:
        raise invalid("Invalid value passed for identifierType")
    else:
        name = IDENTIFIER_TYPES[kind]
        value = normal_email(identifier) if name == "EMAIL" else identifier
        if name in PHONES:
            value = normal_phone(identifier)
        if value is None:
            raise invalid(f"Invalid value passed for identifierType {kind}")
        contact = account.owner(name, value)
    if contact is None:
        raise not_found("Contact does not exist")
    return contact


def _find_by_form(account: Account, method: str, identifier: str) -> Contact | None:
    """Without identifierType: an address, or a number; a phone number only for reading."""
    if "@" in identifier:
        email = normal_email(identifier)
        if email is None:
            raise invalid("Invalid email address")
        return account.owner("EMAIL", email)
    phone = normal_phone(identifier)
    if phone is None and not identifier.isdecimal():
        raise invalid("Invalid email address")
    return account.owner("SMS", phone) if phone and method == "GET" else None


def _is_id(identifier: str) -> bool:
    return identifier.isdecimal() and len(identifier) <= 18


def _batch_target(account: Account, row: dict[str, Any]) -> Contact | None:
    if row.get("email") is not None:
        return account.owner("EMAIL", normal_email(row["email"]) or "")
    if row.get("id") is not None:
        return account.contacts.get(row["id"]) if isinstance(row["id"], int) else None
    if row.get("sms") is not None:
        return account.owner("SMS", normal_phone(row["sms"]) or "")
    raise ApiError(400, "missing_parameter", "Please provide one of email, id or sms for each contact")


def _flag(body: dict[str, Any], field: str) -> bool | None:
    value = body.get(field)
    if value is not None and not isinstance(value, bool):
        raise invalid(f"{field} should be type boolean")
    return value


def _merge(account: Account, change: Change, taken: list[str], contact: Contact | None) -> Contact:
    """forceMerge: the contact that was modified last stays, the others in conflict are deleted."""
    rivals = {owner.id: owner for name in taken if (owner := account.owner(name, change.identifiers[name]))}
    if contact is not None:
        rivals[contact.id] = contact
    survivor = max(rivals.values(), key=lambda rival: (rival.modified, rival.id))
    for rival in rivals.values():
        if rival is not survivor:
            account.delete(rival)
    return survivor
