"""Brevo, as the suite sees it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar

import requests

from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.brevo import Brevo
from crm_pipelines.crms.brevo.mapping import load_mapping
from crm_pipelines_tests.conformance.subject import (
    CHOICES,
    DAY,
    FIRST_NAME,
    FLAG,
    LACKING,
    LAST_NAME,
    NUMBER,
    OPTIONS,
    PHONE,
    TEXT,
    WAIT,
    Capability,
    Fault,
    Remote,
    Subject,
    Variant,
)
from crm_pipelines_tests.ends.brevo import account_attributes
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox, sandbox_server
from crm_pipelines_tests.patience import PATIENCE

_LIST = 2
_TYPES = {TEXT: "text", NUMBER: "float", FLAG: "boolean", DAY: "date"}
_NAMES: Mapping[str, str] = {name: name.upper() for name in (*_TYPES, CHOICES, LACKING)}
_ATTRIBUTES = {**_NAMES, FIRST_NAME: "FIRSTNAME", LAST_NAME: "LASTNAME", PHONE: "SMS"}
_OURS = {attribute: name for name, attribute in _ATTRIBUTES.items()}

_FAULTS: Mapping[Fault, Mapping[str, Any]] = {
    Fault.WRONG_KEY: {"status": 401, "body": {"code": "unauthorized", "message": "Key not found"}},
    Fault.FORBIDDEN: {"status": 403, "body": {"code": "permission_denied", "message": "You may not do this"}},
    Fault.NOT_FOUND: {"status": 404, "body": {"code": "document_not_found", "message": "There is no such thing"}},
    Fault.TOO_MANY: {
        "status": 429,
        "body": {"code": "too_many_requests", "message": "Too many"},
        "headers": {"x-sib-ratelimit-reset": str(int(WAIT.total_seconds()))},
    },
    Fault.ERROR: {"status": 500},
    Fault.UNAVAILABLE: {"status": 503, "headers": {"retry-after": str(int(WAIT.total_seconds()))}},
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


class BrevoSubject(Subject):
    """See `subject.Subject`."""

    kind: ClassVar = "brevo"
    capabilities: ClassVar = frozenset(Capability) - {Capability.MANY}
    names: ClassVar = _NAMES

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Subject]:
        with sandbox_server() as root:
            sandbox = BrevoSandbox(root)
            yield cls(sandbox)
            sandbox.close()

    def __init__(self, sandbox: BrevoSandbox) -> None:
        self._sandbox = sandbox

    def open(self, variant: Variant) -> Crm:
        return Brevo(
            api_key=variant.key,
            base_url=variant.base_url or self._sandbox.url,
            mapping=load_mapping(None),
            list_id=_LIST if variant.on_list else None,
        )

    def reset(self) -> None:
        self._sandbox.reset()
        types = {_NAMES[name]: kind for name, kind in _TYPES.items()}
        self._sandbox.configure(attributes={**account_attributes(load_mapping(None)), **types})
        self._sandbox.create_attribute(
            "normal", _NAMES[CHOICES], type="multiple-choice", multiCategoryOptions=list(OPTIONS)
        )

    def held(self) -> list[Remote]:
        return [_remote(contact) for contact in self._sandbox.contacts()]

    def journal(self) -> list[str]:
        return [f"{one['method']} {one['path']}?{one['query']} {one['body']}" for one in self._sandbox.requests()]

    def wait_for_request(self, number: int) -> None:
        self._sandbox.wait_for_requests(number)

    def seed(self, contact: Remote) -> None:
        self._sandbox.seed(
            {
                "email": contact.address,
                "attributes": {_ATTRIBUTES[name]: value for name, value in contact.fields.items()},
                "listIds": [_LIST] if contact.on_list else [],
                "emailBlacklisted": contact.opted_out,
                **({} if contact.mark is None else {"ext_id": contact.mark}),
            }
        )

    def opt_out(self, address: str) -> None:
        self._sandbox.seed({"email": address, "emailBlacklisted": True})

    def leave_list(self, address: str) -> None:
        self._by_somebody("POST", f"/contacts/lists/{_LIST}/contacts/remove", {"emails": [address]})

    def take_off_list(self, address: str) -> None:
        # With everybody else: what was done to single contacts shows in listUnsubscribed.
        self._by_somebody("POST", f"/contacts/lists/{_LIST}/contacts/remove", {"all": True})

    def delete(self, address: str) -> None:
        self._by_somebody("DELETE", f"/contacts/{address}")

    def drop_field(self, name: str) -> None:
        self._sandbox.delete_attribute(_NAMES[name])

    def accept_only(self, key: str) -> None:
        self._sandbox.configure(keys=[key])

    def name_account(self, name: str) -> None:
        self._sandbox.configure(organization=name)

    def allow(self, requests: int) -> timedelta:
        self._sandbox.configure(contacts_per_hour=requests)
        return timedelta(hours=1)

    def fault(self, fault: Fault, *, times: int | None = 1) -> None:
        for method in ("POST", "PUT") if fault in _WRITES else (None,):
            self._sandbox.fault(**{"action": "status", "times": times, "method": method, **_FAULTS[fault]})

    def end_faults(self) -> None:
        self._sandbox.clear_faults()

    def refuse(self, address: str, said: str) -> None:
        body = {"code": "invalid_parameter", "message": said}
        self._sandbox.fault("status", email=address, status=400, body=body)

    def _by_somebody(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        answer = requests.request(
            method, self._sandbox.url + path, json=body, headers={"api-key": "of somebody else"}, timeout=PATIENCE
        )
        answer.raise_for_status()


def _remote(contact: Mapping[str, Any]) -> Remote:
    attributes = contact["attributes"]
    return Remote(
        address=contact["email"],
        remote_id=str(contact["id"]),
        fields={_OURS[name]: value for name, value in attributes.items() if name in _OURS},
        on_list=_LIST in contact["listIds"],
        opted_out=contact["emailBlacklisted"],
        mark=attributes.get("EXT_ID"),
    )
