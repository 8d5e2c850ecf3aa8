"""HubSpot, as the suite sees it."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar

from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.hubspot import Hubspot
from crm_pipelines.crms.hubspot.mapping import load_mapping
from crm_pipelines.crms.values import AttributeType
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
    Oddity,
    Remote,
    Subject,
    Variant,
)
from crm_pipelines_tests.fixtures.sandbox import SOMEBODY, HubSpotSandbox, sandbox_server

_TYPES = {
    TEXT: AttributeType.TEXT,
    NUMBER: AttributeType.FLOAT,
    FLAG: AttributeType.BOOLEAN,
    DAY: AttributeType.DATE,
    CHOICES: AttributeType.CHOICES,
}
_NAMES: Mapping[str, str] = {name: name for name in (*_TYPES, LACKING)}
_PROPERTIES = {**_NAMES, FIRST_NAME: "firstname", LAST_NAME: "lastname", PHONE: "phone"}
_BUILT_IN = {"firstname", "lastname", "phone"}

_REFUSED = {"status": "error", "correlationId": "c-1"}
_SCOPES = {"requiredGranularScopes": ["crm.objects.contacts.write"]}
_FAULTS: Mapping[Fault, Mapping[str, Any]] = {
    Fault.WRONG_KEY: {
        "status": 401,
        "body": {**_REFUSED, "category": "INVALID_AUTHENTICATION", "message": "Authentication credentials not found."},
    },
    Fault.FORBIDDEN: {
        "status": 403,
        "body": {
            **_REFUSED,
            "category": "MISSING_SCOPES",
            "message": "This app hasn't been granted all required scopes to make this call.",
            "errors": [{"message": "One or more of the following scopes are required.", "context": _SCOPES}],
        },
    },
    Fault.NOT_FOUND: {
        "status": 404,
        "body": {**_REFUSED, "category": "OBJECT_NOT_FOUND", "message": "resource not found"},
    },
    Fault.TOO_MANY: {
        "status": 429,
        "body": {
            "status": "error",
            "message": "You have reached your ten_secondly_rolling limit.",
            "errorType": "RATE_LIMIT",
            "policyName": "TEN_SECONDLY_ROLLING",
        },
        "headers": {"retry-after": str(int(WAIT.total_seconds()))},
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


class HubspotSubject(Subject):
    """See `subject.Subject`."""

    kind: ClassVar = "hubspot"
    capabilities: ClassVar = frozenset(
        {
            Capability.MANY,
            Capability.REPEATABLE,
            Capability.RENAMES,
            Capability.LISTS,
            Capability.OPT_OUTS,
            Capability.CHOICES,
            Capability.ZEROS,
            Capability.MARKUP,
            Capability.FIELDS,
            Capability.READING,
            Capability.FORM,
            Capability.PROBES,
            Capability.ACCOUNTS,
            Capability.RATES,
        }
    )
    names: ClassVar = _NAMES
    oddities: ClassVar = frozenset(Oddity)

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Subject]:
        with sandbox_server("hubspot") as root:
            sandbox = HubSpotSandbox(root)
            yield cls(sandbox)
            sandbox.close()

    def __init__(self, sandbox: HubSpotSandbox) -> None:
        self._sandbox = sandbox
        self._list = 0
        self._refused: dict[str, str] = {}

    def open(self, variant: Variant) -> Crm:
        return Hubspot(
            api_key=variant.key,
            base_url=variant.base_url or self._sandbox.url,
            mapping=load_mapping(None),
            list_id=self._list if variant.on_list else None,
        )

    def reset(self) -> None:
        self._sandbox.reset()
        self._refused = {}
        mapped = {name: one.type for name, one in load_mapping(None).attributes.items() if name not in _BUILT_IN}
        self._sandbox.create_properties({**mapped, **_TYPES}, options=OPTIONS)
        self._list = self._sandbox.create_list("Readers")

    def held(self) -> list[Remote]:
        state = self._sandbox.state()
        on_list = {one for group in state["lists"] for one in group["contacts"]}
        return [_remote(contact, on_list) for contact in state["contacts"]]

    def journal(self) -> list[str]:
        return [f"{one['method']} {one['path']}?{one['query']} {one['body']}" for one in self._sandbox.requests()]

    def wait_for_request(self, number: int) -> None:
        self._sandbox.wait_for_requests(number)

    def seed(self, contact: Remote) -> None:
        given = {_PROPERTIES[name]: _text(value) for name, value in contact.fields.items()}
        opted_out = "true" if contact.opted_out else "false"
        [seeded] = self._sandbox.seed({"email": contact.address, **given, "hs_email_optout": opted_out})
        if contact.on_list:
            self._sandbox.by_somebody("PUT", f"/crm/v3/lists/{self._list}/memberships/add", [str(seeded)])

    def opt_out(self, address: str) -> None:
        self._sandbox.opt_out(address)

    def leave_list(self, address: str) -> None:
        self._sandbox.by_somebody("PUT", f"/crm/v3/lists/{self._list}/memberships/remove", [self._id(address)])

    def delete(self, address: str) -> None:
        self._sandbox.by_somebody("DELETE", f"/crm/v3/objects/contacts/{self._id(address)}")

    def drop_field(self, name: str) -> None:
        self._sandbox.by_somebody("DELETE", f"/crm/v3/properties/contacts/{_NAMES[name]}")

    def accept_only(self, key: str) -> None:
        self._sandbox.configure(keys=[key, SOMEBODY])

    def name_account(self, name: str) -> None:
        self._sandbox.configure(portal_id=int(re.sub(r"\D", "", name)))

    def allow(self, requests: int) -> timedelta:
        self._sandbox.configure(per_ten_seconds=requests)
        return timedelta(seconds=10)

    def fault(self, fault: Fault, *, times: int | None = 1) -> None:
        path = "/batch/(upsert|update)$" if fault in _WRITES else None
        self._sandbox.fault(**{"action": "status", "times": times, "path": path, **_FAULTS[fault]})

    def end_faults(self) -> None:
        self._sandbox.clear_faults()

    def refuse(self, address: str, said: str) -> None:
        self._refused |= {address: said}
        self._sandbox.configure(refused=self._refused)

    def refuse_whole(self, address: str) -> None:
        body = {**_REFUSED, "category": "VALIDATION_ERROR", "message": "Something is wrong"}
        self._sandbox.fault("status", email=address, path="/batch/(upsert|update)$", status=400, body=body)

    def answer_oddly(self, oddity: Oddity) -> None:
        # HubSpot shuffles and respells always.
        if oddity is Oddity.FEWER:
            self._sandbox.configure(hide_first_result=True)

    def _id(self, address: str) -> str:
        return next(str(one["id"]) for one in self._sandbox.contacts() if one["properties"]["email"] == address)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ";".join(value) if isinstance(value, list) else str(value)


def _remote(contact: Mapping[str, Any], on_list: set[str]) -> Remote:
    has = {name: text for name, text in contact["properties"].items() if text is not None}
    return Remote(
        address=has["email"],
        remote_id=contact["id"],
        fields={ours: _READ.get(ours, str)(has[theirs]) for ours, theirs in _PROPERTIES.items() if theirs in has},
        on_list=contact["id"] in on_list,
        opted_out=has.get("hs_email_optout") == "true",
    )


_READ: Mapping[str, Callable[[str], Any]] = {
    NUMBER: float,
    FLAG: lambda text: text == "true",
    CHOICES: lambda text: text.split(";"),
    PHONE: lambda text: text.removeprefix("+"),
}
