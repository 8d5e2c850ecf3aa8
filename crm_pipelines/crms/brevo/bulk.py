"""Imports of many contacts, and how to see afterwards what became of them.

An import is an upsert that reports only some of what it did not take, and that drops what it does not know without a
word. So each contact is compared with what GET /contacts says of it afterwards, in one normal form for both.
"""

import csv
import io
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from json.encoder import encode_basestring
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from crm_pipelines.crms import normalize
from crm_pipelines.crms.answers import http_date, json_object
from crm_pipelines.crms.brevo.api import BrevoApi
from crm_pipelines.crms.brevo.attributes import BrevoAttributes
from crm_pipelines.crms.brevo.mapping import PHONES
from crm_pipelines.crms.brevo.normal_form import digest, digits
from crm_pipelines.crms.bulk import ContactPage, ImportRow, ImportStatus, ImportTarget
from crm_pipelines.crms.outcomes import SETTINGS, Outcome, Result
from crm_pipelines.crms.payloads import Held, Payload
from crm_pipelines.crms.transport import Transport, is_inside
from crm_pipelines.crms.turns import Turn

MOST_BYTES = 8_000_000
"""Of one body. Brevo takes 10 MB and advises 8 (POST /contacts/import)."""

PAGE_SIZE = 1000
"""The most that GET /contacts gives."""

LIST_NAME = "crm-pipelines"
"""Name of the list, and of its folder, when the user named no list: Brevo imports nothing without one."""

# Brevo's clock may differ between its machines; what is read too much costs pages, no mistakes.
_MARGIN = timedelta(seconds=30)
_LISTED = 50
_REPORTS_READ = 20

# Made once: json.dumps makes a new one for every call with arguments like these.
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_log = logging.getLogger(__name__)


class _NoKey(AuthBase):
    """Adds nothing, and keeps a `.netrc` from adding something."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class BrevoImports:
    """The imports of one account; see `crm_pipelines.crms.base.Imports`."""

    most_bytes = MOST_BYTES
    page_size = PAGE_SIZE

    def __init__(
        self,
        api: BrevoApi,
        *,
        list_id: int | None,
        account: Callable[[], BrevoAttributes | None] = lambda: None,
        keep_marks: bool = True,
        threshold: int = 1000,
    ) -> None:
        self.threshold = threshold
        self._api = api
        self._account = account
        self._list_id = list_id
        self._keep_marks = keep_marks

    def open(self, *, turn: Turn) -> tuple[Outcome, ImportTarget | None]:
        """One request, for Brevo's time, and up to four more when the user named no list."""
        outcome, _, moment = self._request("GET", "/contacts", turn, params={"limit": "1"})
        if outcome.result is not Result.SYNCED:
            return outcome, None
        list_id = self._list_id
        if list_id is None:
            outcome, list_id = self._own_list(turn)
            if list_id is None:
                return _of_the_import(outcome), None
        own = self._list_id is None
        return outcome, ImportTarget(list_id=str(list_id), moment=moment - _MARGIN, own=own)

    def _own_list(self, turn: Turn) -> tuple[Outcome, int | None]:
        outcome, folder = self._find_or_create("folders", "/contacts/folders", {}, turn)
        if folder is None:
            return outcome, None
        return self._find_or_create("lists", f"/contacts/folders/{folder}/lists", {"folderId": folder}, turn)

    def _find_or_create(self, kind: str, path: str, more: dict[str, int], turn: Turn) -> tuple[Outcome, int | None]:
        """The number of the folder or list of ours; created at most once, as long as it keeps its name."""
        offset = 0
        while True:
            page = {"limit": str(_LISTED), "offset": str(offset)}
            outcome, body, _ = self._request("GET", path, turn, params=page)
            if outcome.result is not Result.SYNCED:
                return outcome, None
            rows = _rows(body, kind)
            found = next((row.get("id") for row in rows if row.get("name") == LIST_NAME), None)
            if isinstance(found, int):
                return outcome, found
            if len(rows) < _LISTED:
                break
            offset += _LISTED
        outcome, body, _ = self._request("POST", f"/contacts/{kind}", turn, json={"name": LIST_NAME, **more})
        found = body.get("id")
        return outcome, found if isinstance(found, int) else None

    def row(self, payload: Payload, target: ImportTarget, *, marked: bool = True) -> ImportRow | None:
        """None for a contact of which something is to be cleared.

        `emptyContactsAttributes` would clear it, and with it whatever else is blank in any other row, if Brevo counts a
        field that is not there as blank: that is documented nowhere.
        """
        if payload.clear:
            return None
        attributes = payload.attributes
        # EXT_ID in the attributes: undocumented, seen at work. By it a later change of address finds the contact.
        known = {**attributes, "EXT_ID": payload.external_id}
        return ImportRow(
            content=_content(payload.key, known if marked else attributes),
            proof=digest(attributes, on_list=True, account=self._account()),
            names=tuple(attributes),
            identifiers=_identifiers(payload.key, known),
            lists=frozenset({target.list_id}),
        )

    def submit(self, rows: Sequence[bytes], target: ImportTarget, *, turn: Turn) -> tuple[Outcome, str | None]:
        """Never with emailBlacklist or smsBlacklist: they would hold for every row."""
        options = {
            "listIds": [int(target.list_id)],
            "updateExistingContacts": True,
            "emptyContactsAttributes": False,
            "disableNotification": True,
        }
        head = json.dumps(options)[:-1].encode() + b',"jsonBody":['
        content = b"".join((head, b",".join(rows), b"]}"))
        outcome, body, _ = self._request("POST", "/contacts/import", turn, data=content, large=True)
        outcome = _of_the_import(outcome, target)
        process = body.get("processId")
        if outcome.result is Result.SYNCED and not isinstance(process, int):
            said = "Brevo took an import and named no process, so there is no telling what becomes of it."
            return Outcome(result=Result.RETRY, kind="outage", message=said, rate=outcome.rate), None
        return outcome, str(process) if outcome.result is Result.SYNCED else None

    def look(self, *, turn: Turn) -> tuple[Outcome, Mapping[str, ImportStatus]]:
        """The latest 50 processes in one request."""
        latest = {"limit": "50", "offset": "0", "sort": "desc"}
        outcome, body, _ = self._request("GET", "/processes", turn, params=latest)
        return outcome, {
            str(row["id"]): _status(row) for row in _rows(body, "processes") if isinstance(row.get("id"), int)
        }

    def refused(self, status: ImportStatus, *, local: bool) -> Mapping[str, str]:
        """Whatever stands in the rows of the reports, lower-cased: which column holds the address is not documented."""
        found: dict[str, str] = {}
        for kind, url in list(status.reports.items())[:_REPORTS_READ]:
            for line in csv.reader(io.StringIO(self._download(url, local=local)), delimiter=";"):
                found.update((cell.strip().lower(), kind) for cell in line if cell.strip())
        return found

    def _download(self, url: str, *, local: bool) -> str:
        """A report, or nothing: it explains, it proves nothing. The URL is the answer's, so it never gets the key.

        And it leads to no service of this machine or its network, unless the account is a sandbox, which is there.
        """
        inside = is_inside(url)
        if inside is not local or (not inside and urlsplit(url).scheme != "https"):
            return ""
        transport = Transport(url, _NoKey())
        try:
            answer = transport.request("GET", "")
        except requests.RequestException as error:
            _log.warning("A report of an import could not be read: %s", type(error).__name__)
            return ""
        finally:
            transport.close()
        return answer.body.decode("utf-8-sig", "replace") if answer.status == 200 else ""

    def read(self, since: datetime | None, *, offset: int, size: int, turn: Turn) -> tuple[Outcome, ContactPage | None]:
        """Sorted by creation, oldest first, so that contacts that are created meanwhile move nothing."""
        params = {"limit": str(size), "offset": str(offset), "sort": "asc"}
        if since is not None:
            params["modifiedSince"] = f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{since.microsecond // 1000:03}Z"
        outcome, body, _ = self._request("GET", "/contacts", turn, params=params, large=True)
        if outcome.result is not Result.SYNCED:
            return outcome, None
        if not {"contacts", "count"} & body.keys():
            return self._api.foreign(outcome), None
        rows, count = _rows(body, "contacts"), body.get("count")
        return outcome, ContactPage(
            contacts=[
                Held(key=str(row.get("email") or "").lower(), remote_id=str(row.get("id", "")), fields=row)
                for row in rows
            ],
            full=len(rows) >= size,
            count=count if isinstance(count, int) else None,
        )

    def blocked(self, held: Held) -> frozenset[str]:
        """Unless Brevo says clearly that somebody is on neither block-list and has left no list."""
        fields = held.fields
        if (
            fields.get("emailBlacklisted") is False
            and fields.get("smsBlacklisted") is False
            and not fields.get("whatsappBlacklisted")
            and not fields.get("listUnsubscribed")
        ):
            return frozenset()
        attributes = fields.get("attributes")
        known = _identifiers(held.key, attributes if isinstance(attributes, dict) else {})
        addresses = {f"EMAIL {address}" for address in self.addresses(held)}
        return known | {self.identifier(held.remote_id)} | addresses

    def mark(self, held: Held) -> str | None:
        """Its EXT_ID, unless those of other systems are to be overwritten."""
        attributes = held.fields.get("attributes")
        found = attributes.get("EXT_ID") if self._keep_marks and isinstance(attributes, dict) else None
        return str(found) if found else None

    def addresses(self, held: Held) -> frozenset[str]:
        """As Brevo has it, and as ours are sent: a domain in other scripts is spelt `xn--…` there."""
        ours = None
        with suppress(ValueError):
            ours = normalize.address(held.key)
        return frozenset({held.key, ours or held.key})

    def is_on(self, held: Held, target: ImportTarget) -> bool:
        """By its `listIds`."""
        lists = held.fields.get("listIds")
        return isinstance(lists, list) and int(target.list_id) in lists

    def identifier(self, remote_id: str) -> str:
        """The number of a contact."""
        return f"ID {remote_id}"

    def proof(self, held: Held, names: Sequence[str]) -> bytes:
        """Without EXT_ID, which Brevo does not promise to show. On the list, if it is the user's."""
        attributes = held.fields.get("attributes")
        attributes = attributes if isinstance(attributes, dict) else {}
        lists = held.fields.get("listIds")
        on_list = self._list_id is None or (isinstance(lists, list) and self._list_id in lists)
        return digest({name: attributes.get(name) for name in names}, on_list=on_list, account=self._account())

    def _request(self, method: str, path: str, turn: Turn, **sent: Any) -> tuple[Outcome, dict[str, Any], datetime]:
        """The outcome, the body ({} unless SYNCED) and Brevo's time."""
        now = datetime.now(UTC)
        outcome, answer = self._api.ask(method, path, turn, **sent)
        body = json_object(answer) if outcome.result is Result.SYNCED else None
        return outcome, body or {}, (http_date(answer.headers.get("date")) if answer else None) or now


def _of_the_import(outcome: Outcome, target: ImportTarget | None = None) -> Outcome:
    """Of a refusal that is about settings: unless it is the user's list, only imports are affected."""
    if outcome.kind != SETTINGS or (target and not target.own and outcome.http_status in {400, 404}):
        return outcome
    if outcome.http_status == 413:
        return replace(outcome, result=Result.RETRY, kind="too_large")
    return replace(outcome, result=Result.REJECTED, kind="rejected")


def _content(key: str, attributes: Mapping[str, Any]) -> bytes:
    """What `_compact` makes of it: most values are texts, for which it need not be asked."""
    quoted = encode_basestring
    fields = [
        f"{quoted(name)}:{quoted(value) if type(value) is str else _compact(value)}"
        for name, value in attributes.items()
    ]
    return f'{{"email":{quoted(key)},"attributes":{{{",".join(fields)}}}}}'.encode()


def _identifiers(key: str, attributes: Mapping[str, Any]) -> frozenset[str]:
    """All by which Brevo finds a contact, phones as digits, as it shows them."""
    found = [f"{name} {digits(attributes[name])}" for name in PHONES if name in attributes]
    found.append(f"EMAIL {key}")
    if "EXT_ID" in attributes:
        found.append(f"EXT_ID {attributes['EXT_ID']}")
    return frozenset(found)


def _status(row: Mapping[str, Any]) -> ImportStatus:
    said = str(row.get("status"))[:50]
    info = row.get("info")
    reports = info.get("import") if isinstance(info, dict) else None
    urls = {
        str(kind)[:50]: url
        for kind, url in (reports if isinstance(reports, dict) else {}).items()
        if isinstance(url, str) and url.startswith("http")
    }
    # "error" and "aborted" are in no published list, but in scripts that poll. What else is unknown has not ended.
    failed = said in {"failed", "cancelled", "error", "aborted"}
    return ImportStatus(completed=said == "completed", failed=failed, said=said, reports=urls)


def _rows(body: Mapping[str, Any], field: str) -> list[dict[str, Any]]:
    listed = body.get(field)
    return [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
