"""The sandbox of n8n: one workflow behind a webhook."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from crm_pipelines.sandbox.core.answers import Answer, Call, Header, RefusalError, reply
from crm_pipelines.sandbox.core.journal import Entry, Journal
from crm_pipelines.sandbox.core.sandbox import Sandbox
from crm_pipelines.sandbox.n8n import answers, persistence
from crm_pipelines.sandbox.n8n.config import SandboxConfig
from crm_pipelines.sandbox.n8n.quirks import QUIRKS
from crm_pipelines.sandbox.n8n.workflow import Workflow

NAME = "crm-pipelines-sandbox"
PATH = f"/webhook/{NAME}"
"""Where the webhook is."""
TEST_PATH = f"/webhook-test/{NAME}"

_SHOWN_CONTACTS = 100
_KEPT_REQUESTS, _LONGEST_BODY = 5_000, 200_000


class N8n(Sandbox):
    """The workflow, and n8n in front of it."""

    name = "n8n"
    prefix = ""
    package = __package__

    def __init__(self, config: SandboxConfig) -> None:
        super().__init__(Journal(kept=_KEPT_REQUESTS, longest_body=_LONGEST_BODY))
        self._initial = config
        self.reset()

    def reset(self) -> None:
        """Back to an empty table with the initial configuration; what is held is dropped."""
        super().reset()
        self.workflow = Workflow()
        self.config: SandboxConfig = self._initial

    def configure(self, given: Mapping[str, Any]) -> None:
        """Change some settings. Raises pydantic.ValidationError for a wrong one."""
        self.config = SandboxConfig.model_validate({**self.config.model_dump(), **given})

    @property
    def revision(self) -> int:
        """Grows with every change of the table."""
        return self.workflow.revision

    def key(self, headers: Mapping[bytes, bytes]) -> str:
        """The bearer token: the secret."""
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def describe(self, call: Call) -> dict[str, Any]:
        """Whom it is about, and its idempotency key."""
        body = call.json()
        contact = body.get("contact_id") if isinstance(body, dict) else None
        return {"contact_id": contact, "idempotency_key": call.header("idempotency-key") or None}

    def answer(self, call: Call, entry: Entry) -> Answer:
        """What n8n does and answers."""
        path = call.path.rstrip("/")
        if path == PATH:
            registered, test = self.config.methods, False
        elif path == TEST_PATH:
            registered, test = ["POST"] if self.config.listening else [], True
        elif path.startswith("/webhook"):
            registered, test = [], path.startswith("/webhook-test")
        else:
            return answers.NO_SUCH_PAGE
        if call.method == "OPTIONS" and call.header("origin") and (registered or not test):
            return answers.preflight(registered)
        if call.method not in registered:
            return answers.not_registered(call.method, path.split("/", 2)[-1], registered, test=test)
        if test:
            self.configure({"listening": False})
        return self._take(call, entry)

    def _take(self, call: Call, entry: Entry) -> Answer:
        """What comes before the workflow."""
        body = call.json()
        if call.raw_body and body is None:
            return answers.NOT_JSON
        if not self.config.allowed_address:
            return answers.WRONG_ADDRESS
        if not call.key or not self.config.accepts(call.key):
            return answers.WRONG_SECRET
        entry.applied = True
        answer = self._run(call, body if isinstance(body, dict) else {})
        return answers.STARTED if self.config.answers == "started" else answer

    def _run(self, call: Call, body: Mapping[str, Any]) -> Answer:
        """One execution of the workflow."""
        self.workflow.begin(body, call.header("idempotency-key"))
        address = str(body.get("email")).lower()
        if self.config.verify and not _is_signed(call):
            return reply(401, {"ok": False, "error": "The signature is wrong."})
        if address in map(str.lower, self.config.failing):
            return answers.NODE_FAILED
        refused = {one.lower(): said for one, said in self.config.refused.items()}
        if address in refused:
            return reply(200, {"ok": False, "error": refused[address]})
        row = self.workflow.store(body)
        shown = {**row["fields"], **{name: row[name] for name in ("id", "contact_id", "email")}}
        said = {
            "last_node": reply(200, shown),
            "all_items": reply(200, [shown]),
            "no_content": Answer(204),
            "nothing": Answer(200, b"", ()),
        }
        return said.get(self.config.answers, reply(200, {"ok": True, "id": row["id"]}))

    def signature(self) -> Header:
        """n8n lets no browser take a workflow's answer for a page of its own."""
        return (b"content-security-policy", b"sandbox")

    def trouble(self) -> Any:
        """What comes of an execution that is broken off."""
        return answers.BROKEN_OFF

    def state(self, _host: str) -> dict[str, Any]:
        """The table, and each execution with its idempotency key."""
        return {"contacts": list(self.workflow.contacts.values()), "executions": self.workflow.executions}

    def seed(self, rows: Sequence[Any]) -> list[int]:
        """Store contacts as the workflow would: bodies with `email`; one with `deleted` takes the contact out."""
        ids = []
        for row in rows:
            if not isinstance(row, dict) or not isinstance(row.get("email"), str):
                raise RefusalError(400, "A contact has an email.", {"message": "A contact has an email."})
            if row.pop("deleted", False):
                self.workflow.delete(row["email"])
            else:
                ids.append(int(self.workflow.store(row)["id"]))
        return ids

    def shown(self) -> dict[str, Any]:
        """The newest contacts, how often the workflow was run, and quirks."""
        contacts = islice(reversed(self.workflow.contacts.values()), _SHOWN_CONTACTS)
        return {
            "contacts": list(contacts),
            "contact_count": len(self.workflow.contacts),
            "path": PATH,
            "executions": len(self.workflow.executions),
            "answers": self.config.answers,
            "quirks": QUIRKS,
        }

    def snapshot(self) -> dict[str, Any]:
        """The table for its file."""
        return persistence.snapshot(self.workflow)

    def restore(self, state: dict[str, Any]) -> None:
        """Take the table over from its file."""
        persistence.restore(self.workflow, state)


def _is_signed(call: Call) -> bool:
    """Whether the signature is that of the body and the time, with the secret that came along."""
    signed = call.header("x-timestamp").encode("latin-1") + b"." + call.raw_body
    expected = hmac.new(call.key.encode("latin-1"), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), call.header("x-signature").encode("latin-1"))
