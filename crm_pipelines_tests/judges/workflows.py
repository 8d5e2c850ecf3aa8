"""Small workflows for a real n8n, as its editor exports them."""

import itertools
import secrets
from collections.abc import Mapping
from typing import Any

Node = dict[str, Any]
Credentials = Mapping[str, Mapping[str, str]]


def new_path() -> str:
    """For one webhook, which no other workflow has."""
    return f"judged-{secrets.token_hex(6)}"


def node(name: str, kind: str, version: float, parameters: Mapping[str, Any], **more: Any) -> Node:
    """One of n8n's own nodes."""
    made = {"id": name, "name": name, "type": f"n8n-nodes-base.{kind}", "typeVersion": version, "position": [0, 0]}
    return {**made, "parameters": dict(parameters), **more}


def webhook(
    path: str, mode: str = "lastNode", *, method: str = "POST", bearer: Credentials | None = None, **options: Any
) -> Node:
    """The trigger. `mode` is `onReceived`, `lastNode` or `responseNode`; with `bearer`, the header must be right."""
    parameters = {"httpMethod": method, "path": path, "responseMode": mode, "options": options}
    if bearer is None:
        return node("Webhook", "webhook", 2.1, parameters, webhookId=path)
    parameters["authentication"] = "headerAuth"
    return node("Webhook", "webhook", 2.1, parameters, webhookId=path, credentials=dict(bearer))


def respond(body: str, **options: Any) -> Node:
    """Respond to Webhook, with JSON; `body` may be an expression."""
    return node("Respond", "respondToWebhook", 1.5, {"respondWith": "json", "responseBody": body, "options": options})


def fields(name: str, **values: str) -> Node:
    """An item with these fields only."""
    assignments = [{"id": key, "name": key, "value": value, "type": "string"} for key, value in values.items()]
    return node(name, "set", 3.4, {"assignments": {"assignments": assignments}, "options": {}})


def failing() -> Node:
    """A node that fails."""
    return node("Fail", "stopAndError", 1, {"errorMessage": "A service of the workflow's is down."})


def request(url: str, **headers: str) -> Node:
    """A POST to somebody else; the workflow waits for the answer. Headers may be expressions."""
    named = [{"name": name.replace("_", "-"), "value": value} for name, value in headers.items()]
    sent = {"sendHeaders": bool(named), "headerParameters": {"parameters": named}}
    return node("Request", "httpRequest", 4.2, {"method": "POST", "url": url, **sent, "options": {}})


def never() -> Node:
    """Lets nothing through."""
    condition = {"id": "no", "leftValue": "a", "rightValue": "b", "operator": {"type": "string", "operation": "equals"}}
    options = {"caseSensitive": True, "leftValue": "", "typeValidation": "strict", "version": 2}
    conditions = {"options": options, "conditions": [condition], "combinator": "and"}
    return node("Never", "filter", 2.2, {"conditions": conditions, "options": {}})


def workflow(*nodes: Node) -> dict[str, Any]:
    """A workflow whose nodes follow each other."""
    pairs = itertools.pairwise(nodes)
    follow = {one["name"]: {"main": [[{"node": other["name"], "type": "main", "index": 0}]]} for one, other in pairs}
    return {"name": new_path(), "nodes": list(nodes), "connections": follow, "settings": {}}
