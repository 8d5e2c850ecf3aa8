"""The floor: what the work itself costs. A bare program that delivers whatever is queued to the same sandbox.

It reads the contacts, makes the same bodies, sends the same imports, reads the same pages, compares, and writes the
states and one ledger row each in set-based statements. One process and one thread; no claim and no fence, no gate, no
look at who is blocked, nothing written down before it is sent, no Dagster. Whoever dies in it has lost count.

It maps by itself, the few lines that such a program has, so that nothing of ours slows it down. Phone numbers alone go
through ours, since nothing faster is known that finds out whether a number exists; and what holds the collector of
garbage back for us does so here. Prints its figures as JSON.
Environment: CRM_DATABASE_URL, BREVO_API_BASE_URL.
"""

import http.client
import json
import os
import re
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import psycopg

from crm_pipelines.crms import normalize
from crm_pipelines.delivery.seldom_collected import seldom_collected

_BODY_BYTES = 8_000_000
_PAGE = 1000
_PORTION = 10_000
_LIST = 2
_PLAIN_ADDRESS = re.compile(r"[a-z0-9_+.-]{1,64}@[a-z0-9.-]+\.[a-z]+", re.ASCII)
_NAMES = ("DOMAIN_ID", "PAGE_ID", "EMAIL_TYPE", "SOURCE_URL", "HAS_GMAIL")
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

QUEUED = """
    SELECT c.id, s.revision, c.email, c.name, c.first_name, c.last_name, c.custom_fields,
           c.phone_number, c.domain_id, c.page_id, c.email_type, c.source_url, c.has_gmail
      FROM crm_syncs s JOIN crm_contacts c ON c.id = s.contact_id
     WHERE s.crm = 'brevo' AND s.state = 'queued' AND s.run_at <= now() ORDER BY s.run_at, s.contact_id"""
STATES = """
    UPDATE crm_syncs s
       SET state = 'synced', synced_revision = d.revision, synced_at = now(), last_attempt_at = now(), claim_no = 1,
           payload_hash = d.hash, sent_attributes = string_to_array(d.names, ' '), remote_key = d.key, sent_key = d.key,
           remote_id = d.remote_id, lists = '{2}', mapping_version = 'floor'
      FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::text[], %s::bytea[], %s::text[])
           AS d(id, revision, key, remote_id, hash, names)
     WHERE s.contact_id = d.id AND s.crm = 'brevo' AND s.revision = d.revision"""
LEDGER = """
    INSERT INTO crm_attempts (contact_id, crm, claim_no, run_id, revision, outcome, remote_key, remote_id, lists,
                              payload_hash, sent_attributes, mapping_version, started_at, applied_at)
    SELECT d.id, 'brevo', 1, 'floor', d.revision, 'synced', d.key, d.remote_id, '{2}', d.hash,
           string_to_array(d.names, ' '), 'floor', now(), now()
      FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::text[], %s::bytea[], %s::text[])
           AS d(id, revision, key, remote_id, hash, names)"""

Sent = tuple[UUID, int, dict[str, Any], bytes]


class Crm:
    """One connection to the sandbox."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._path = parts.path
        self._connection = http.client.HTTPConnection(parts.netloc, timeout=60)

    def ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        headers = {"api-key": "benchmark", "Content-Type": "application/json"}
        self._connection.request(method, self._path + path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status < 300, content[:500]
        return json.loads(content)


@dataclass
class Floor:
    """`sent`: what is at the CRM and was not seen there yet, by address."""

    database: psycopg.Connection
    crm: Crm
    since: str
    sent: dict[str, Sent] = field(default_factory=dict)

    def deliver(self) -> int:
        rows: list[bytes] = []
        size = 0
        for key, one, row in self._mapped():
            if size + len(row) > _BODY_BYTES:
                self._import(rows)
                rows, size = [], 0
            self.sent[key] = one
            rows.append(row)
            size += len(row) + 1
        if rows:
            self._import(rows)
        return self._confirm()

    def _mapped(self) -> Iterator[tuple[str, Sent, bytes]]:
        with self.database.cursor("queued", withhold=True) as cursor:
            cursor.itersize = _PORTION
            cursor.execute(QUEUED)
            self.database.commit()
            for contact_id, revision, email, name, first, last, custom, phone, *others in cursor:
                key = email.strip().lower()
                if not _PLAIN_ADDRESS.fullmatch(key):
                    key = normalize.address(email)
                if not first and not last:
                    first, _, last = (name or "").strip().partition(" ")
                sms = normalize.phone(phone, None)
                attributes = {
                    attribute: value
                    for attribute, value in zip(
                        ("FIRSTNAME", "LASTNAME", "SMS", *_NAMES), (first, last, sms, *others), strict=True
                    )
                    if value is not None and value != ""
                }
                attributes |= {name.upper(): value for name, value in custom.items()}
                row = _compact({"email": key, "attributes": {**attributes, "EXT_ID": str(contact_id)}}).encode()
                yield key, (contact_id, revision, attributes, sha256(row).digest()), row

    def _import(self, rows: list[bytes]) -> None:
        options = b'{"listIds":[%d],"updateExistingContacts":true,"emptyContactsAttributes":false,"jsonBody":[' % _LIST
        self.crm.ask("POST", "/contacts/import", b"".join((options, b",".join(rows), b"]}")))

    def _page(self, offset: int, limit: int = _PAGE) -> Any:
        query = urlencode({"limit": limit, "offset": offset, "sort": "asc", "modifiedSince": self.since})
        return self.crm.ask("GET", f"/contacts?{query}")

    def _confirm(self) -> int:
        """Once all have arrived, read them page by page; what is as it was sent is written down."""
        while self._page(0, 1)["count"] < len(self.sent):
            time.sleep(0.1)
        seen: list[tuple[Any, ...]] = []
        written = 0
        for offset in range(0, len(self.sent), _PAGE):
            for held in self._page(offset)["contacts"]:
                contact_id, revision, attributes, digest = self.sent.pop(held["email"].lower())
                if _LIST in held["listIds"] and _same(attributes, held["attributes"]):
                    seen.append((contact_id, revision, held["email"], str(held["id"]), digest, " ".join(attributes)))
            if len(seen) >= _PORTION or not self.sent:
                written += len(seen)
                self._write(seen)
                seen = []
        return written

    def _write(self, seen: list[tuple[Any, ...]]) -> None:
        columns = [list(column) for column in zip(*seen, strict=True)]
        with self.database.transaction(), self.database.cursor(binary=True) as cursor:
            cursor.execute(STATES, columns)
            cursor.execute(LEDGER, columns)


def _same(sent: dict[str, Any], held: dict[str, Any]) -> bool:
    return all(held.get(name) == (value.lstrip("+") if name == "SMS" else value) for name, value in sent.items())


def main() -> None:
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    url = os.environ["CRM_DATABASE_URL"].replace("+psycopg", "")
    since = f"{datetime.now(UTC) - timedelta(seconds=30):%Y-%m-%dT%H:%M:%S.000Z}"
    with seldom_collected(), psycopg.connect(url) as database:
        written = Floor(database, Crm(os.environ["BREVO_API_BASE_URL"]), since).deliver()
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(  # noqa: T201 - the answer to the process that measures
        json.dumps({"contacts": written, "seconds": seconds, "cpu_seconds": cpu, "peak_mb": after.ru_maxrss / 1024})
    )


if __name__ == "__main__":
    main()
