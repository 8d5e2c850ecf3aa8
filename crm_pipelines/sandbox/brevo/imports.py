"""The asynchronous import, and the processes that report on it."""

import csv
import io
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from crm_pipelines.sandbox.brevo.account import Account, Change, Process
from crm_pipelines.sandbox.brevo.answers import ApiError, invalid, newest_first, not_found, read_body, read_page
from crm_pipelines.sandbox.brevo.attributes import IDENTIFIERS, Habits, normal_email, read_attributes
from crm_pipelines.sandbox.brevo.contacts import find_existing, read_list_ids
from crm_pipelines.sandbox.brevo.groups import add_list, existing_folder
from crm_pipelines.sandbox.core.answers import Answer, Call, reply

MOST_BYTES = 10 * 1024 * 1024
ROWS_PER_STEP = 200  # about 5 ms of work, so that other requests are answered in between

REPORTS = {
    "EMAIL": "duplicate_email_id",
    "SMS": "duplicate_phone_id",
    "EXT_ID": "duplicate_ext_id",
    "WHATSAPP": "duplicate_whatsapp_id",
    "LANDLINE_NUMBER": "duplicate_landline_number_id",
}
REPORT_KINDS = ("invalid_emails", "duplicate_contact_id", *REPORTS.values())
_REFUSED = "invalid_emails"
REPORT_COLUMNS = ("EMAIL", "EXT_ID", "SMS")

Row = dict[str, Any]


class _Options(NamedTuple):
    list_ids: list[int]
    update_existing: bool
    empty_erases: bool
    email_blacklist: bool
    sms_blacklist: bool


def import_contacts(account: Account, call: Call) -> Answer:
    """POST /contacts/import: 202 with the id of the process that does the work."""
    if len(call.raw_body) > MOST_BYTES:
        raise invalid("The body should not exceed 10 MB")
    body = read_body(call)
    rows = _read_rows(body)
    if not any(row.get(name) for row in rows for name in IDENTIFIERS):
        raise invalid(
            "We could not find any valid email or SMS or Contact ID in the file you uploaded. "
            "Please check that the column headers are correct."
        )
    list_ids = read_list_ids(account, body, "listIds") or [_new_list(account, body)]
    update_existing = body.get("updateExistingContacts", True) is True
    options = _Options(
        list_ids,
        update_existing,
        update_existing and body.get("emptyContactsAttributes") is True,
        body.get("emailBlacklist") is True,
        body.get("smsBlacklist") is True,
    )
    process = account.new_process("IMPORTUSER")
    process.notification = body.get("disableNotification") is not True
    account.launch(process, _work(account, process, rows, options))
    return reply(202, {"processId": process.id})


def list_processes(account: Account, call: Call) -> Answer:
    """GET /processes."""
    limit, offset = read_page(call, 10, 50)
    rows = account.processes.values()
    ordered = reversed(rows) if newest_first(call) else iter(rows)
    page = [process_json(process, call.host) for process in islice(ordered, offset, offset + limit)]
    return reply(200, {"count": len(rows), "processes": page})


def read_process(account: Account, call: Call, process_id: str) -> Answer:
    """GET /processes/{id}."""
    process = account.processes.get(int(process_id))
    if process is None:
        raise not_found("Process ID does not exist")
    return reply(200, process_json(process, call.host))


def process_json(process: Process, host: str) -> dict[str, Any]:
    """The form of GET /processes/{id}; reports are URLs of CSV files, or null."""
    described: dict[str, Any] = {"id": process.id, "name": process.name, "status": process.status}
    if process.name == "IMPORTUSER" and process.status == "completed":
        described["info"] = {
            "import": {
                kind: f"http://{host}/reports/{process.id}/{kind}.csv" if process.reports.get(kind) else None
                for kind in REPORT_KINDS
            }
        }
    return described


def report_csv(process: Process, kind: str) -> str:
    """The rows of one kind of trouble, separated by semicolons like the files that Brevo takes."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\n")
    writer.writerow(REPORT_COLUMNS)
    writer.writerows(process.reports[kind])
    return text.getvalue()


def _read_rows(body: dict[str, Any]) -> list[Row]:
    given = [field for field in ("fileBody", "jsonBody", "fileUrl") if body.get(field)]
    if len(given) != 1:
        raise ApiError(400, "missing_parameter", "Please provide one of fileBody, jsonBody or fileUrl")
    if given[0] == "fileUrl":
        raise invalid("The sandbox fetches nothing: use fileBody or jsonBody instead of fileUrl")
    content = body[given[0]]
    if given[0] == "jsonBody":
        if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
            raise invalid("jsonBody should be an array of objects")
        if not all(isinstance(row.get("attributes") or {}, dict) for row in content):
            raise invalid("attributes should be type object")
        return [{**(row.get("attributes") or {}), "EMAIL": row.get("email")} for row in content]
    reader = csv.DictReader(io.StringIO(str(content)), delimiter=";", restval="")
    return [{str(key).strip().upper(): value for key, value in row.items() if key} for row in reader]


def _new_list(account: Account, body: dict[str, Any]) -> int:
    asked = body.get("newList")
    if not isinstance(asked, dict) or not asked.get("listName"):
        raise ApiError(400, "missing_parameter", "Please provide listIds or newList")
    return add_list(account, str(asked["listName"]), existing_folder(account, asked.get("folderId"))).id


def _work(account: Account, process: Process, rows: list[Row], options: _Options) -> Iterator[None]:
    """Store the rows, a few per step."""
    seen: set[str] = set()
    for index, row in enumerate(rows):
        kind = _REFUSED if _is_refused(index, account.imports_refuse) else _store(account, row, options, seen)
        if kind is not None:
            line = [str(row.get(column) or "") for column in REPORT_COLUMNS]
            process.reports.setdefault(kind, []).append(line)
        if index % ROWS_PER_STEP == ROWS_PER_STEP - 1:
            yield


def _is_refused(index: int, share: float) -> bool:
    """Whether it is the turn of this row, if so many of all are refused, evenly spread."""
    return int((index + 1) * share) > int(index * share)


def _store(account: Account, row: Row, options: _Options, seen: set[str]) -> str | None:
    """Store one row, or say in which report it belongs."""
    given = {
        name: value
        for name, value in row.items()
        if name != "EMAIL" and value is not None and not (value is False and account.imports_ignore_false)
    }
    habits = Habits(takes_labels=account.habits.takes_labels, drops_words=account.habits.drops_words)
    identifiers, values = read_attributes(account.attributes, given, refuse_phones=False, habits=habits)
    if not options.empty_erases:
        identifiers = {name: value for name, value in identifiers.items() if value}
        values = {name: value for name, value in values.items() if value is not None}
    if row.get("EMAIL"):
        email = normal_email(row["EMAIL"])
        if email is None:
            return "invalid_emails"
        if email in seen:
            return REPORTS["EMAIL"]
        seen.add(email)
        identifiers["EMAIL"] = email
    if not any(identifiers.values()):
        return "invalid_emails"
    change = Change(
        identifiers,
        values,
        True if options.email_blacklist else None,
        True if options.sms_blacklist else None,
        [number for number in options.list_ids if number in account.lists],
    )
    existing = find_existing(account, change)
    if taken := account.conflicts(identifiers, existing):
        return REPORTS[taken[0]]
    if existing is None:
        account.create(change)
    elif options.update_existing:
        account.update(existing, change)
        if account.imports_unblock:
            existing.email_blacklisted, existing.sms_blacklisted = options.email_blacklist, options.sms_blacklist
    else:
        account.update(existing, Change({}, {}, link=change.link))
    return None
