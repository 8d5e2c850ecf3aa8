"""The endpoints of lists and folders."""

from collections.abc import Callable
from itertools import islice
from typing import Any

from crm_pipelines.sandbox.brevo.account import Account, Contact, MailingList, as_time, now_ms
from crm_pipelines.sandbox.brevo.answers import ApiError, invalid, newest_first, not_found, read_body, read_page
from crm_pipelines.sandbox.brevo.contacts import modified_since, page_of_contacts
from crm_pipelines.sandbox.core.answers import Answer, Call, reply

_MOST_PER_CALL = 150
# Brevo writes 0 into the old totals by now; only uniqueSubscribers counts (live capture).
_DEAD_TOTALS = {"totalSubscribers": 0, "totalBlacklisted": 0}


def list_lists(account: Account, call: Call) -> Answer:
    """GET /contacts/lists."""
    return reply(200, _page(call, "lists", [_list_json(group) for group in account.lists.values()]))


def create_list(account: Account, call: Call) -> Answer:
    """POST /contacts/lists: 201 with the id."""
    body = read_body(call)
    name = _name(body, "List name is missing")
    folder_id = existing_folder(account, body.get("folderId"))
    return reply(201, {"id": add_list(account, name, folder_id).id})


def add_list(account: Account, name: str, folder_id: int) -> MailingList:
    """A new empty list."""
    account.revision += 1
    group = MailingList(account.new_group_id(), name, folder_id, now_ms())
    account.lists[group.id] = group
    return group


def read_list(account: Account, _: Call, list_id: str) -> Answer:
    """GET /contacts/lists/{id}."""
    group = _list(account, list_id)
    details = {"createdAt": as_time(group.created), "campaignStats": [], "dynamicList": False}
    return reply(200, {**_list_json(group), **details})


def update_list(account: Account, call: Call, list_id: str) -> Answer:
    """PUT /contacts/lists/{id}: the name or the folder, one at a time. 204."""
    group = _list(account, list_id)
    body = read_body(call)
    if ("name" in body) == ("folderId" in body):
        raise invalid("Please provide either name or folderId")
    if "name" in body:
        group.name = _name(body, "List name is missing")
    else:
        group.folder_id = existing_folder(account, body["folderId"])
    account.revision += 1
    return reply(204)


def delete_list(account: Account, _: Call, list_id: str) -> Answer:
    """DELETE /contacts/lists/{id}: its contacts stay. 204."""
    del account.lists[_list(account, list_id).id]
    account.revision += 1
    return reply(204)


def list_contacts_of_list(account: Account, call: Call, list_id: str) -> Answer:
    """GET /contacts/lists/{id}/contacts."""
    group = _list(account, list_id)
    limit, offset = read_page(call, 50, 500)
    rows = [account.contacts[number] for number in sorted(group.members)]
    for test in modified_since(call.query()):
        rows = [contact for contact in rows if test(contact)]
    return reply(200, page_of_contacts(account, rows, limit, offset, newest_first=newest_first(call)))


def add_to_list(account: Account, call: Call, list_id: str) -> Answer:
    """POST /contacts/lists/{id}/contacts/add: existing contacts only."""
    group = _list(account, list_id)

    return _move(
        account,
        read_body(call),
        lambda contact: account.join(contact, group),
        "Contact already in list and/or does not exist",
    )


def remove_from_list(account: Account, call: Call, list_id: str) -> Answer:
    """POST /contacts/lists/{id}/contacts/remove: some, or `{"all": true}` by a process."""
    group = _list(account, list_id)
    body = read_body(call)
    if body.get("all") is True:
        total = len(group.members)
        group.members.clear()
        process = account.new_process("REMOVE_CONTACTS_FROM_LIST")
        process.status = "completed"
        return reply(201, {"contacts": {"processId": process.id, "total": total}})

    return _move(
        account,
        body,
        lambda contact: account.leave(contact, group),
        "Contact already removed from list and/or does not exist",
    )


def list_folders(account: Account, call: Call) -> Answer:
    """GET /contacts/folders."""
    return reply(200, _page(call, "folders", [_folder_json(account, number) for number in account.folders]))


def create_folder(account: Account, call: Call) -> Answer:
    """POST /contacts/folders: 201 with the id."""
    number = account.new_group_id()
    account.folders[number] = _name(read_body(call), "Folder name is missing")
    account.revision += 1
    return reply(201, {"id": number})


def read_folder(account: Account, _: Call, folder_id: str) -> Answer:
    """GET /contacts/folders/{id}."""
    return reply(200, _folder_json(account, _folder(account, folder_id)))


def update_folder(account: Account, call: Call, folder_id: str) -> Answer:
    """PUT /contacts/folders/{id}: 204."""
    account.folders[_folder(account, folder_id)] = _name(read_body(call), "Folder name is missing")
    account.revision += 1
    return reply(204)


def delete_folder(account: Account, _: Call, folder_id: str) -> Answer:
    """DELETE /contacts/folders/{id}: with its lists. 204."""
    number = _folder(account, folder_id)
    del account.folders[number]
    account.lists = {group.id: group for group in account.lists.values() if group.folder_id != number}
    account.revision += 1
    return reply(204)


def list_lists_of_folder(account: Account, call: Call, folder_id: str) -> Answer:
    """GET /contacts/folders/{id}/lists."""
    number = _folder(account, folder_id)
    rows = [_list_json(group) for group in account.lists.values() if group.folder_id == number]
    return reply(200, _page(call, "lists", rows))


def _move(account: Account, body: dict[str, Any], move: Callable[[Contact], bool], all_failed: str) -> Answer:
    given = [field for field in ("emails", "ids", "extIds") if body.get(field) is not None]
    if len(given) != 1:
        raise ApiError(400, "missing_parameter", "Please provide one of emails, ids or extIds")
    names = body[given[0]]
    if not isinstance(names, list) or not 1 <= len(names) <= _MOST_PER_CALL:
        raise invalid(f"{given[0]} should be an array of 1 to {_MOST_PER_CALL} items")
    success: list[Any] = []
    failure: list[Any] = []
    for name in names:
        contact = _named(account, given[0], name)
        if contact is not None and move(contact):
            contact.modified = now_ms()
            success.append(name)
        else:
            failure.append(name)
    if not success:
        raise invalid(all_failed)
    account.revision += 1
    return reply(201, {"contacts": {"success": success, "failure": failure}})


def _named(account: Account, kind: str, name: object) -> Contact | None:
    # Addresses are compared as they stand with the stored, lower-cased ones: measured live by a third party.
    if kind == "ids":
        return account.contacts.get(name) if isinstance(name, int) else None
    return account.owner("EMAIL" if kind == "emails" else "EXT_ID", str(name))


def _page(call: Call, field: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    limit, offset = read_page(call, 10, 50)
    ordered = reversed(rows) if newest_first(call) else iter(rows)
    return {field: list(islice(ordered, offset, offset + limit)), "count": len(rows)}


def _name(body: dict[str, Any], missing: str) -> str:
    name = body.get("name")
    if not isinstance(name, str) or not name.strip():
        raise ApiError(400, "missing_parameter", missing)
    return name


def existing_folder(account: Account, number: object) -> int:
    """The number of a folder, or ApiError 400 when there is none, or 404."""
    if number is None:
        raise ApiError(400, "missing_parameter", "Folder ID is missing")
    if not isinstance(number, int) or number not in account.folders:
        raise not_found("Folder ID does not exist")
    return number


def _list(account: Account, list_id: str) -> MailingList:
    group = account.lists.get(int(list_id))
    if group is None:
        raise not_found("List ID does not exist")
    return group


def _folder(account: Account, folder_id: str) -> int:
    return existing_folder(account, int(folder_id))


def _list_json(group: MailingList) -> dict[str, Any]:
    return {
        "id": group.id,
        "name": group.name,
        "folderId": group.folder_id,
        "uniqueSubscribers": len(group.members),
        **_DEAD_TOTALS,
    }


def _folder_json(account: Account, number: int) -> dict[str, Any]:
    members = {m for group in account.lists.values() if group.folder_id == number for m in group.members}
    return {"id": number, "name": account.folders[number], "uniqueSubscribers": len(members), **_DEAD_TOTALS}
