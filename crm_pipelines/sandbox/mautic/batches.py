"""The endpoints of up to 200 contacts at once. They are saved one by one, in their order: what is saved stays."""

from collections.abc import Callable, Mapping
from typing import Any

from crm_pipelines.sandbox.core.answers import Answer, Call, reply
from crm_pipelines.sandbox.mautic.account import EDIT, Account, Contact
from crm_pipelines.sandbox.mautic.answers import (
    ACCESS_DENIED,
    NOT_FOUND,
    ApiError,
    CrashError,
    php_array,
    read_id,
    read_rows,
    row_error,
)
from crm_pipelines.sandbox.mautic.saving import Manner, matching, save

_NO_ID = "ID is missing from the payload."
Rows = dict[Any, Any]


class _RowError(Exception):
    """A row does not come to its form."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.error = row_error(status, message)


def create_batch(account: Account, call: Call) -> Answer:
    """POST /contacts/batch/new: always 201; what became of each is in statusCodes, 201, 200 or an error's."""

    def write(_: Any, given: Mapping[str, Any]) -> tuple[Contact, int]:
        known = matching(account, given)
        if known is not None and not account.may(EDIT):
            raise _RowError(403, ACCESS_DENIED)
        contact = save(account, known, given, Manner(put=False, clears=known is None))
        return contact, 201 if known is None else 200

    return reply(201, _write(account, _read(account, call), write, {}))


def edit_batch(account: Account, call: Call) -> Answer:
    """PATCH and PUT /contacts/batch/edit: always 200. PUT creates a contact where there is none."""
    put = call.method == "PUT"
    rows = _read(account, call)
    known, errors = _contacts_by_key(account, rows)

    def write(key: Any, given: Mapping[str, Any]) -> tuple[Contact, int]:
        contact = known.get(key)
        if contact is not None:
            contact = account.contacts.get(contact.id)
        if contact is None and not put:
            raise _RowError(404, NOT_FOUND)
        if not account.may(EDIT):
            raise _RowError(403, ACCESS_DENIED)
        return save(account, contact, given, Manner(put=put, clears=put)), 200 if contact else 201

    return reply(200, _write(account, rows, write, errors))


def _read(account: Account, call: Call) -> Rows:
    rows = read_rows(call)
    if len(rows) > account.config.batch_limit:
        raise ApiError(500, f"A max of {account.config.batch_limit} entities are supported at a time.")
    return rows


def _contacts_by_key(account: Account, rows: Rows) -> tuple[dict[Any, Contact], Rows]:
    """Which contact each row means, and the errors of rows without an id.

    A row without an id shifts those behind it: Mautic pairs the ids that there are with the first keys.
    """
    ids: list[int | None] = []
    errors: Rows = {}
    for key, row in rows.items():
        if not isinstance(row, dict):
            raise CrashError
        if row.get("id") is None:
            errors[key] = row_error(400, _NO_ID)
        else:
            ids.append(read_id(row["id"]))
    paired = zip(rows, ids, strict=False)
    return {key: account.contacts[number] for key, number in paired if number in account.contacts}, errors


def _write(
    account: Account,
    rows: Rows,
    write: Callable[[Any, Mapping[str, Any]], tuple[Contact, int]],
    errors: Rows,
) -> dict[str, Any]:
    """Write the rows one by one; the content of the answer."""
    dies_after, account.dies_after_rows = account.dies_after_rows, 0
    contacts: Rows = {}
    codes: Rows = {}
    for done, (key, given) in enumerate(rows.items()):
        if not isinstance(given, dict) or (dies_after and done == dies_after):
            raise CrashError
        try:
            contact, status = write(key, given)
        except (_RowError, ApiError) as error:
            errors[key] = error.error
        else:
            contacts[key] = account.as_json(contact)
            codes[key] = status
        if key in errors:
            codes[key] = errors[key]["code"]
    if dies_after and dies_after >= len(rows) > 0:
        raise CrashError
    if account.config.hide_first_result:
        contacts, codes = ({key: one for key, one in found.items() if key != 0} for found in (contacts, codes))
    content = {"contacts": php_array(contacts), "statusCodes": php_array(codes)}
    return {**content, "errors": php_array(errors)} if errors else content
