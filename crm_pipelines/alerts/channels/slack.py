"""Slack's incoming webhook."""

import json
from dataclasses import dataclass, field

from crm_pipelines.alerts.channels.http import post
from crm_pipelines.alerts.messages import Alert

# Slack truncates messages beyond 40 000 characters, and advises 4 000.
_LONGEST_TEXT = 4000


@dataclass(frozen=True)
class Slack:
    """Plain text: nothing in it is markup, mentions anybody or unfolds a page."""

    name = "slack"
    url: str = field(repr=False)
    ui_url: str | None

    def send(self, alert: Alert) -> None:
        text = f"{alert.subject}\n{alert.body(self.ui_url)}"[:_LONGEST_TEXT]
        for mark, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            text = text.replace(mark, escaped)
        message = {"text": text, "mrkdwn": False, "unfurl_links": False}
        post(self.url, json.dumps(message).encode(), {"Content-Type": "application/json"})
