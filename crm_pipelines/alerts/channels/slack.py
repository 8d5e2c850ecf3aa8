"""Slack's incoming webhook."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from crm_pipelines.alerts.channels.http import post
from crm_pipelines.alerts.messages import Alert, Links

# Slack refuses a message with a longer heading or section.
_LONGEST_HEADING = 150
_LONGEST_SECTION = 3000


@dataclass(frozen=True)
class Slack:
    """Blocks: markup in what we write, none in what a CRM said. Nothing mentions anybody or unfolds a page."""

    name = "slack"
    url: str = field(repr=False)
    links: Links

    def send(self, alert: Alert) -> None:
        # What stands in a notification.
        text = _escaped(alert.subject)[:_LONGEST_SECTION]
        message = {"text": text, "blocks": list(self._blocks(alert)), "unfurl_links": False}
        post(self.url, json.dumps(message).encode(), {"Content-Type": "application/json"})

    def _blocks(self, alert: Alert) -> Iterator[dict[str, Any]]:
        if len(alert.subject) <= _LONGEST_HEADING:
            yield {"type": "header", "text": _plain(alert.subject)}
        else:
            yield _section(_plain(alert.subject))
        yield _section(_plain("\n".join([alert.when, *alert.why])))
        if todo := list(filter(None, [alert.what_to_do, alert.runbook_in_words(self.links)])):
            yield _section(_markup("\n".join(map(_escaped, todo))))
        if pages := alert.pages(self.links):
            # An address within < and > may hold no |.
            shown = (f"<{_escaped(address).replace('|', '%7C')}|{title}>" for title, address in pages.items())
            yield _section(_markup(" · ".join(shown)))


def _section(text: dict[str, Any]) -> dict[str, Any]:
    return {"type": "section", "text": text}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text[:_LONGEST_SECTION], "emoji": False}


def _markup(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text[:_LONGEST_SECTION]}


def _escaped(text: str) -> str:
    """Slack asks for these three; so nothing becomes a mention or a link."""
    for mark, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(mark, escaped)
    return text
