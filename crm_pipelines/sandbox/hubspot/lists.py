"""The endpoints of lists and who is on them."""

from collections.abc import Iterable
from typing import Any

from crm_pipelines.sandbox.core.answers import Answer, Call, reply
from crm_pipelines.sandbox.hubspot.account import Account, ContactList
from crm_pipelines.sandbox.hubspot.answers import ApiError, invalid, not_found, read_body, read_number, read_text
from crm_pipelines.sandbox.hubspot.finding import RECORD_ID, find
from crm_pipelines.sandbox.hubspot.times import as_time, now_ms

CONTACTS = "0-1"
_PROCESSING = {"MANUAL", "SNAPSHOT", "DYNAMIC"}


def create_list(account: Account, call: Call) -> Answer:
    """POST /lists: 200."""
    body = read_body(call)
    name, kind = read_text(body, "name"), read_text(body, "processingType")
    if read_text(body, "objectTypeId") != CONTACTS or kind not in _PROCESSING:
        raise invalid("The sandbox has lists of contacts (0-1), whose processingType is MANUAL, SNAPSHOT or DYNAMIC")
    if any(group.name == name for group in account.lists.values()):
        message = f"A list already exists with the name '{name}'."
        raise ApiError(400, message, "VALIDATION_ERROR", subcategory="ILS.DUPLICATE_LIST_NAMES")
    account.last_list_id += 1
    group = account.lists[account.last_list_id] = ContactList(id=account.last_list_id, name=name, processing=kind)
    account.revision += 1
    return reply(200, {"list": list_json(group)})


def read_list(account: Account, _: Call, list_id: str) -> Answer:
    """GET /lists/{listId}."""
    return reply(200, {"list": list_json(_list(account, list_id))})


def read_list_by_name(account: Account, _: Call, name: str) -> Answer:
    """GET /lists/object-type-id/0-1/name/{name}."""
    group = next((group for group in account.lists.values() if group.name == name), None)
    if group is None:
        raise not_found(f"There is no list with the name {name}")
    return reply(200, {"list": list_json(group)})


def read_lists(account: Account, call: Call) -> Answer:
    """GET /lists?listIds=1&listIds=2: those of them that there are."""
    wanted = call.query().get("listIds", [])
    groups = [account.lists[int(one)] for one in wanted if _is_list(account, one)]
    return reply(200, {"lists": [list_json(group) for group in groups]})


def delete_list(account: Account, _: Call, list_id: str) -> Answer:
    """DELETE /lists/{listId}: its contacts stay. 204."""
    del account.lists[_list(account, list_id).id]
    account.revision += 1
    return reply(204)


def list_members(account: Account, call: Call, list_id: str) -> Answer:
    """GET /lists/{listId}/memberships: by id of the contact, pages of up to 250."""
    group = _list(account, list_id)
    limit, after = read_number(call, "limit", 100, 250), read_number(call, "after", 0, 10**18 - 1)
    rows = [number for number in sorted(group.members) if number > after]
    page: dict[str, Any] = {
        "results": [
            {"recordId": str(number), "membershipTimestamp": as_time(group.members[number])} for number in rows[:limit]
        ],
        "total": len(group.members),
    }
    if len(rows) > limit > 0:
        page["paging"] = {"next": {"after": str(rows[limit - 1])}}
    return reply(200, page)


def lists_of_contact(account: Account, _: Call, record_id: str) -> Answer:
    """GET /lists/records/0-1/{recordId}/memberships."""
    contact = find(account, RECORD_ID, record_id)
    if contact is None:
        raise not_found()
    rows = [
        {
            "listId": str(group.id),
            "listVersion": 1,
            "firstAddedTimestamp": as_time(group.members[contact.id]),
            "lastAddedTimestamp": as_time(group.members[contact.id]),
        }
        for group in account.lists.values()
        if contact.id in group.members
    ]
    return reply(200, {"results": rows, "total": len(rows)})


def add_members(account: Account, call: Call, list_id: str) -> Answer:
    """PUT /lists/{listId}/memberships/add: ids of contacts; those on it already and unknown ones have no effect."""
    return _change(account, list_id, _ids(call.json()), [])


def remove_members(account: Account, call: Call, list_id: str) -> Answer:
    """PUT /lists/{listId}/memberships/remove: ids of contacts."""
    return _change(account, list_id, [], _ids(call.json()))


def change_members(account: Account, call: Call, list_id: str) -> Answer:
    """PUT /lists/{listId}/memberships/add-and-remove."""
    body = read_body(call)
    return _change(account, list_id, _ids(body.get("recordIdsToAdd", [])), _ids(body.get("recordIdsToRemove", [])))


def list_json(group: ContactList) -> dict[str, Any]:
    """The form of GET /lists/{listId}."""
    return {
        "listId": str(group.id),
        "listVersion": 1,
        "name": group.name,
        "objectTypeId": CONTACTS,
        "processingType": group.processing,
        "processingStatus": "COMPLETE",
        "createdAt": as_time(group.created),
        "updatedAt": as_time(group.updated),
        "size": len(group.members),
    }


def _change(account: Account, list_id: str, add: list[str], remove: list[str]) -> Answer:
    group = _list(account, list_id)
    if group.processing == "DYNAMIC":
        raise invalid(f"The list {list_id} is DYNAMIC: its memberships cannot be changed")
    missing = [one for one in (*add, *remove) if find(account, RECORD_ID, one) is None]
    added = [number for number in _known(account, add) if number not in group.members]
    removed = [number for number in _known(account, remove) if number in group.members]
    group.members.update(dict.fromkeys(added, now_ms()))
    for number in removed:
        del group.members[number]
    account.revision += 1
    return reply(
        200,
        {
            "recordsIdsAdded": [str(number) for number in added],
            "recordIdsRemoved": [str(number) for number in removed],
            "recordIdsMissing": missing,
        },
    )


def _known(account: Account, ids: Iterable[str]) -> list[int]:
    found = (find(account, RECORD_ID, one) for one in ids)
    return list(dict.fromkeys(contact.id for contact in found if contact is not None))


def _ids(given: object) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(one, str | int) for one in given):
        raise invalid("Invalid input JSON: an array of record ids is expected")
    return [str(one) for one in given]


def _is_list(account: Account, text: str) -> bool:
    return text.isdecimal() and len(text) <= 18 and int(text) in account.lists


def _list(account: Account, list_id: str) -> ContactList:
    if not _is_list(account, list_id):
        raise not_found(f"There is no list with the id {list_id}")
    return account.lists[int(list_id)]
