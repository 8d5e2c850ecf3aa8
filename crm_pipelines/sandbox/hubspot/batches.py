"""The endpoints of up to 100 contacts at once."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from crm_pipelines.sandbox.core.answers import Answer, Call, reply
from crm_pipelines.sandbox.hubspot.account import SHOWN, Account, Contact
from crm_pipelines.sandbox.hubspot.answers import (
    ApiError,
    invalid,
    not_found,
    read_body,
    read_inputs,
    read_text,
    read_texts,
    taken,
    wants_archived,
)
from crm_pipelines.sandbox.hubspot.changes import Claims, read_changes, read_properties
from crm_pipelines.sandbox.hubspot.contacts import check_enough, written
from crm_pipelines.sandbox.hubspot.finding import RECORD_ID, find, is_id, read_id_property
from crm_pipelines.sandbox.hubspot.times import as_time, now_ms
from crm_pipelines.sandbox.hubspot.values import normal_email

_GONE = "Could not get some CONTACT objects, they may be deleted or not exist. Check that ids are valid."

Row = dict[str, Any]


class _Write(NamedTuple):
    """What one input comes to; `contact` is None for a new one."""

    row: Row
    contact: Contact | None
    changes: dict[str, str]


class _UnknownIdError(ApiError):
    """No contact has the id of an input."""

    def __init__(self) -> None:
        super().__init__(404, _GONE, "OBJECT_NOT_FOUND")


def upsert_batch(account: Account, call: Call) -> Answer:
    """POST /objects/contacts/batch/upsert: 200, or 207 when some inputs were refused."""
    claims: Claims = {}

    def plan(row: Row) -> _Write:
        name = read_id_property(account, row.get("idProperty"), "upsert")
        value, given = read_text(row, "id"), read_properties(row)
        contact = find(account, name, value)
        if contact is None and name == RECORD_ID:
            raise _UnknownIdError
        if contact is not None and name == "email" and contact.email != normal_email(value):
            raise taken(contact.id)
        if contact is None:
            given = {name: value, **given}
        return _Write(row, contact, read_changes(account, given, contact, claims))

    inputs = read_inputs(read_body(call))
    _check_once(inputs)
    return _write(account, inputs, plan, shows_new=True)


def update_batch(account: Account, call: Call) -> Answer:
    """POST /objects/contacts/batch/update: 200, or 207 when some inputs were refused."""
    claims: Claims = {}

    def plan(row: Row) -> _Write:
        name = read_id_property(account, row.get("idProperty"), "update")
        if name == "email":
            raise invalid("Unable to perform update by non-unique property email")
        contact = find(account, name, read_text(row, "id"))
        if contact is None:
            raise _UnknownIdError
        return _Write(row, contact, read_changes(account, read_properties(row), contact, claims))

    inputs = read_inputs(read_body(call))
    _check_once(inputs)
    return _write(account, inputs, plan)


def create_batch(account: Account, call: Call) -> Answer:
    """POST /objects/contacts/batch/create: 201, or 207 when some inputs were refused."""
    claims: Claims = {}

    def plan(row: Row) -> _Write:
        changes = read_changes(account, read_properties(row), None, claims)
        check_enough(changes)
        return _Write(row, None, changes)

    return _write(account, read_inputs(read_body(call)), plan, status=201)


def read_batch(account: Account, call: Call) -> Answer:
    """POST /objects/contacts/batch/read: 200, or 207 when some were not found."""
    body = read_body(call)
    ids = [read_text(row, "id") for row in read_inputs(body)]
    name = read_id_property(account, body.get("idProperty"), "read")
    names = read_texts(body, "properties") or SHOWN
    if wants_archived(call):
        found = {one: account.archived.get(int(one)) if is_id(one) else None for one in ids}
    else:
        found = {one: find(account, name, one) for one in ids}
    contacts = {contact.id: contact for contact in found.values() if contact is not None}
    unknown = [one for one, contact in found.items() if contact is None]
    results = [account.as_json(contact, names) for contact in contacts.values()]
    return _answer(results, [not_found(_GONE, ids=unknown).as_row()] if unknown else [], 200)


def archive_batch(account: Account, call: Call) -> Answer:
    """POST /objects/contacts/batch/archive: into the recycle bin. 204."""
    for row in read_inputs(read_body(call)):
        contact = find(account, RECORD_ID, read_text(row, "id"))
        if contact is not None:
            account.archive(contact)
    return reply(204)


def _check_once(inputs: Sequence[Row]) -> None:
    """ApiError 400 when one id comes twice; an address is the same in capitals."""
    ids = [(row.get("idProperty") or RECORD_ID, str(row.get("id", "")).strip().lower()) for row in inputs]
    repeated = list(dict.fromkeys(value for name, value in ids if ids.count((name, value)) > 1))
    if repeated:
        message = f"Duplicate IDs found in batch input: [{', '.join(repeated)}]. IDs must be unique"
        raise invalid(message, ids=repeated)


def _write(
    account: Account,
    inputs: Sequence[Row],
    plan: Callable[[Row], _Write],
    *,
    status: int = 200,
    shows_new: bool = False,
) -> Answer:
    """Write the inputs, each by itself if every one has a trace id of its own; else all of them or none."""
    traces = [row.get("objectWriteTraceId") for row in inputs]
    separate = all(isinstance(trace, str) and trace for trace in traces) and len(set(map(str, traces))) == len(traces)
    planned: list[_Write] = []
    errors: list[Row] = []
    unknown: list[str] = []
    for row, trace in zip(inputs, traces, strict=True):
        try:
            _check_wanted(account, row)
            planned.append(plan(row))
        except _UnknownIdError:
            unknown.append(row["id"])
        except ApiError as error:
            if not separate:
                raise
            errors.append(error.as_row(objectWriteTraceId=[str(trace)]))
    if unknown:
        errors.append(not_found(_GONE, ids=unknown).as_row())
    results = [_apply(account, write, shows_new=shows_new) for write in planned]
    return _answer(results[1:] if account.hides_first else results, errors, status)


def _check_wanted(account: Account, row: Row) -> None:
    """ApiError 400 for an address that control has named."""
    given = row.get("properties")
    address = given.get("email") if isinstance(given, dict) else None
    if isinstance(address, str) and (said := account.refused.get(address.lower())) is not None:
        raise invalid(said)


def _apply(account: Account, write: _Write, *, shows_new: bool) -> Row:
    contact = write.contact
    if contact is None:
        contact = account.create(write.changes)
    else:
        account.update(contact, write.changes)
    result: Row = account.as_json(contact, written(write.changes))
    trace = write.row.get("objectWriteTraceId")
    if account.echoes_traces and trace is not None:
        result["objectWriteTraceId"] = trace
    return {**result, "new": write.contact is None} if shows_new else result


def _answer(results: list[Row], errors: list[Row], status: int) -> Answer:
    now = as_time(now_ms())
    # Not in the order of the inputs: who goes by that goes wrong.
    content: Row = {"status": "COMPLETE", "results": results[::-1], "startedAt": now, "completedAt": now}
    if not errors:
        return reply(status, content)
    return reply(207, {**content, "numErrors": len(errors), "errors": errors})
