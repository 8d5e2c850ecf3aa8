"""The request that tells n8n of one contact: its body, its idempotency key, its signature. Pure, but for the clock."""

import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from typing import Any

import requests
from requests.auth import AuthBase

from crm_pipelines.crms.payloads import Sendable

IDEMPOTENCY_KEY = "Idempotency-Key"
SIGNATURE, TIMESTAMP = "X-Signature", "X-Timestamp"

_ALWAYS = ("name", "scrapersky_domain_id", "scrapersky_page_id")
"""In each body, null where they are blank: workflows that were made for ScraperSky count on them."""


def body_of(contact: Sendable, now: datetime) -> bytes:
    """The contact as JSON. What was sent before and is blank now is null; `now` (aware): the attempt's time."""
    payload = contact.payload
    body: dict[str, Any] = {"contact_id": contact.external_id, "email": payload.key}
    body |= dict.fromkeys((*_ALWAYS, *sorted(payload.clear)))
    body |= payload.attributes
    return json.dumps({**body, "timestamp": now.astimezone(UTC).isoformat()}).encode()


def idempotency_key(contact: Sendable) -> str:
    """32 hex digits: the same for each attempt to tell of the contact as it stands, and never again after that.

    Who is edited and edited back has another key: a workflow that remembers all keys would ignore the last edit.
    """
    told = f"{contact.external_id} {contact.occasion} {contact.payload.hash.hex()}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 with the secret, in hex digits, of the time, a full stop and the body, byte by byte as it is sent."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class SignedSecret(AuthBase):
    """Sends the secret as a bearer token, and signs what is sent. The time is in seconds since 1970, UTC."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        timestamp = str(int(time.time()))
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        request.headers["Authorization"] = f"Bearer {self._secret}"
        request.headers[TIMESTAMP] = timestamp
        request.headers[SIGNATURE] = signature(self._secret, timestamp, body)
        return request
