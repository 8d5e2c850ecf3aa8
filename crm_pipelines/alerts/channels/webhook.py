"""A webhook of the user's own: JSON, signed."""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field

from crm_pipelines.alerts.channels.http import post
from crm_pipelines.alerts.messages import Alert, Links


@dataclass(frozen=True)
class Webhook:
    """POSTs `Alert.document`.

    With a secret: X-Timestamp is the moment of sending in Unix seconds, X-Signature is the HMAC-SHA256 of
    `<timestamp>.<body>` in hexadecimal. docs/runbook.md shows how to verify it.
    """

    name = "webhook"
    url: str = field(repr=False)
    secret: str | None = field(repr=False)
    links: Links

    def send(self, alert: Alert) -> None:
        body = json.dumps(alert.document(self.links)).encode()
        timestamp = str(int(time.time()))
        headers = {"Content-Type": "application/json", "X-Timestamp": timestamp}
        if self.secret:
            headers["X-Signature"] = signature(self.secret, timestamp, body)
        post(self.url, body, headers)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What X-Signature must be."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
