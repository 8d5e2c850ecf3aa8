"""Faults that control can order: what is matched, and what happens then."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from crm_pipelines.sandbox.core.answers import Answer, Call, reply

Action = Literal[
    "status",
    "html",
    "empty",
    "garbage_json",
    "redirect",
    "latency",
    "hold",
    "hold_after",
    "timeout_before",
    "timeout_after",
    "reset_before",
    "reset_after",
    "slow_body",
]

WHAT_HAPPENS: Mapping[Action, str] = {
    "status": "It answers with this HTTP status (500 unless one is given) and does nothing.",
    "html": "It answers with a page of a proxy (502 unless a status is given) and does nothing.",
    "empty": "It answers 200 without a body, or the given status, and does nothing.",
    "garbage_json": "It answers 200 with JSON that breaks off, or the given status, and does nothing.",
    "redirect": "It answers with a redirect to another address and does nothing.",
    "latency": "It waits for these seconds, then works as ever.",
    "hold": "It lets the request wait until it is released, then works as ever.",
    "hold_after": "It does what is asked, and lets the answer wait until it is released.",
    "timeout_before": "It does nothing and never answers.",
    "timeout_after": "It does what is asked and never answers.",
    "reset_before": "It does nothing and breaks the connection off.",
    "reset_after": "It does what is asked and breaks the connection off.",
    "slow_body": "It does what is asked and answers byte by byte, with these seconds in between.",
}
"""For people: what whoever asks the sandbox meets."""

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


class Fault(BaseModel):
    """One rule. A request takes the first rule that matches and has times left.

    `method`, `path` (a regular expression, searched in the whole path) and `email` (occurs in the path or the body)
    must all match; None matches everything. `seconds` is waited before anything else; for `slow_body` it is the pause
    between two bytes.

    | action | the request is processed | the answer |
    | --- | --- | --- |
    | status, html, empty, garbage_json, redirect | only if `applied` | made up from `status`, `body`, `headers` |
    | latency | yes | the real one |
    | hold, hold_after | after, before being held | the real one, once released |
    | timeout_before, timeout_after | no, yes | none; the connection stays open |
    | reset_before, reset_after | no, yes | none; the connection is reset |
    | slow_body | yes | the real one, byte by byte |
    """

    model_config = ConfigDict(extra="forbid")

    action: Action
    method: str | None = None
    path: str | None = None
    email: str | None = None
    times: int | None = Field(None, ge=1)
    seconds: float = Field(0, ge=0)
    status: int | None = Field(None, ge=200, le=599)
    body: Any = None
    headers: dict[str, str] = {}
    applied: bool = False

    @field_validator("path")
    @classmethod
    def _regular_expression(cls, path: str | None) -> str | None:
        try:
            re.compile(path or "")
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None
        return path

    def matches(self, call: Call, full_path: str) -> bool:
        """Whether this rule is meant for the request."""
        if self.method is not None and self.method.upper() != call.method:
            return False
        if self.path is not None and not re.search(self.path, full_path):
            return False
        return self.email is None or _mentions(call, self.email)

    @property
    def processes(self) -> bool:
        """Whether the request has its effect before the answer is replaced."""
        return self.applied or self.action in ("timeout_after", "reset_after")


class Faults:
    """The active rules, in order."""

    def __init__(self) -> None:
        self.rules: list[Fault] = []

    def take(self, call: Call, full_path: str) -> Fault | None:
        """The rule for this request, with one of its times used up."""
        for rule in self.rules:
            if rule.matches(call, full_path):
                if rule.times is not None:
                    rule.times -= 1
                    if rule.times == 0:
                        self.rules.remove(rule)
                return rule
        return None


def made_up_answer(fault: Fault, trouble: Any) -> Answer:
    """The answer of the actions that do not give the real one. `trouble`: the body of a status that has none."""
    headers = tuple((name.lower().encode(), value.encode()) for name, value in fault.headers.items())
    plain = _status(fault, trouble) if fault.action == "status" else _MADE_UP[fault.action](fault)
    named = {name for name, _ in headers}
    return Answer(plain.status, plain.body, (*(h for h in plain.headers if h[0] not in named), *headers))


def _status(fault: Fault, trouble: Any) -> Answer:
    status = fault.status or 500
    if status in (204, 304):
        return Answer(status)
    if isinstance(fault.body, str):
        return Answer(status, fault.body.encode())
    return reply(status, trouble if fault.body is None else fault.body)


_MADE_UP: dict[str, Callable[[Fault], Answer]] = {
    "html": lambda fault: Answer(fault.status or 502, _HTML, ((b"content-type", b"text/html"),)),
    "empty": lambda fault: Answer(fault.status or 200),
    "garbage_json": lambda fault: Answer(fault.status or 200, json.dumps({"id": 1, "code": "x"}).encode()[:-4]),
    # To the page of the sandbox: a client that follows it stays on this machine.
    "redirect": lambda fault: Answer(fault.status or 302, b"", ((b"location", b"/"),)),
}


def _mentions(call: Call, email: str) -> bool:
    """Whether the address occurs in the path or the body, not as a part of a longer one."""
    pattern = rf"(?<![\w.+-]){re.escape(email)}(?![\w-]|\.\w)"
    # A line break in the CSV text of an import is written as \n in JSON: no letter of an address.
    body = call.raw_body.decode(errors="replace").replace("\\n", "\n").replace("\\r", "\r")
    text = f"{call.path}\n{body}"
    return re.search(pattern, text, re.IGNORECASE) is not None
