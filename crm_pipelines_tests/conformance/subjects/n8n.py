"""n8n, as the suite sees it: the workflow of the sandbox, which keeps contacts in a table by their address."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.n8n import N8n
from crm_pipelines.crms.n8n.mapping import load_mapping
from crm_pipelines_tests.conformance.subject import (
    CHOICES,
    DAY,
    FIRST_NAME,
    FLAG,
    LACKING,
    LAST_NAME,
    NUMBER,
    PHONE,
    TEXT,
    WAIT,
    Capability,
    Fault,
    Remote,
    Subject,
    Variant,
)
from crm_pipelines_tests.fixtures.sandbox import N8nSandbox, sandbox_server

_OWN = (TEXT, NUMBER, FLAG, DAY, CHOICES, LACKING)
_SHOWN = (*_OWN, FIRST_NAME, LAST_NAME, PHONE)
_WAIT = {"retry-after": str(int(WAIT.total_seconds()))}
_NOT_PUBLISHED = {"code": 404, "message": 'The requested webhook "POST x" is not registered.', "hint": "Publish it."}
_FAULTS: Mapping[Fault, Mapping[str, Any]] = {
    Fault.WRONG_KEY: {"status": 401, "body": "Authorization is required!"},
    Fault.FORBIDDEN: {"status": 403, "body": "Authorization data is wrong!"},
    Fault.NOT_FOUND: {"status": 404, "body": _NOT_PUBLISHED},
    Fault.TOO_MANY: {"status": 429, "headers": _WAIT},
    Fault.ERROR: {"status": 500},
    Fault.UNAVAILABLE: {"status": 503, "headers": _WAIT},
    Fault.ERROR_PAGE: {"action": "html"},
    Fault.PAGE: {"action": "html", "status": 200},
    Fault.EMPTY: {"action": "empty"},
    Fault.RUBBISH: {"action": "garbage_json"},
    Fault.FOREIGN: {"status": 200, "body": {"status": "ok"}},
    Fault.REDIRECT: {"action": "redirect"},
    Fault.RESET_BEFORE: {"action": "reset_before"},
    Fault.RESET_AFTER: {"action": "reset_after"},
    Fault.ERROR_PAGE_AFTER: {"action": "html", "applied": True},
    Fault.SILENCE_BEFORE: {"action": "timeout_before"},
    Fault.SILENCE_AFTER: {"action": "timeout_after"},
}
_WRITES = {Fault.RESET_AFTER, Fault.ERROR_PAGE_AFTER, Fault.SILENCE_AFTER}


class N8nSubject(Subject):
    """See `subject.Subject`."""

    kind: ClassVar = "n8n"
    capabilities: ClassVar = frozenset({Capability.REPEATABLE, Capability.CHOICES, Capability.ZEROS, Capability.MARKUP})
    names: ClassVar = {name: name for name in _OWN}

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Subject]:
        with sandbox_server("n8n") as root:
            sandbox = N8nSandbox(root)
            yield cls(sandbox)
            sandbox.close()

    def __init__(self, sandbox: N8nSandbox) -> None:
        self._sandbox = sandbox
        self._refused: dict[str, str] = {}

    def open(self, variant: Variant) -> Crm:
        return N8n(
            webhook_url=variant.base_url or self._sandbox.url,
            webhook_secret=variant.key,
            mapping=load_mapping(None),
            at_most_once=Capability.REPEATABLE not in self.capabilities,
        )

    def reset(self) -> None:
        self._sandbox.reset()
        self._refused = {}

    def held(self) -> list[Remote]:
        return [_remote(row) for row in self._sandbox.contacts()]

    def journal(self) -> list[str]:
        return [f"{one['method']} {one['path']}?{one['query']} {one['body']}" for one in self._sandbox.requests()]

    def wait_for_request(self, number: int) -> None:
        self._sandbox.wait_for_requests(number)

    def seed(self, contact: Remote) -> None:
        self._sandbox.seed({"email": contact.address, **contact.fields})

    def delete(self, address: str) -> None:
        self._sandbox.seed({"email": address, "deleted": True})

    def accept_only(self, key: str) -> None:
        self._sandbox.configure(keys=[key])

    def fault(self, fault: Fault, *, times: int | None = 1) -> None:
        method = "POST" if fault in _WRITES else None
        self._sandbox.fault(**{"action": "status", "times": times, "method": method, **_FAULTS[fault]})

    def end_faults(self) -> None:
        self._sandbox.clear_faults()

    def refuse(self, address: str, said: str) -> None:
        self._refused |= {address: said}
        self._sandbox.configure(refused=self._refused)


class N8nOnceSubject(N8nSubject):
    """The same with N8N_AT_MOST_ONCE."""

    kind: ClassVar = "n8n_once"
    capabilities: ClassVar = N8nSubject.capabilities - {Capability.REPEATABLE}


def _remote(row: Mapping[str, Any]) -> Remote:
    fields = {name: value for name, value in row["fields"].items() if name in _SHOWN}
    if PHONE in fields:
        fields[PHONE] = fields[PHONE].removeprefix("+")
    return Remote(address=row["email"], remote_id=str(row["id"]), fields=fields)
