"""Mautic, as the suite sees it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar

import requests

from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.mautic import Mautic
from crm_pipelines.crms.mautic.fields import CREATED_AS
from crm_pipelines.crms.mautic.mapping import load_mapping
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
from crm_pipelines_tests.fixtures.sandbox import MauticSandbox, sandbox_server
from crm_pipelines_tests.patience import PATIENCE

_TYPES = {
    TEXT: AttributeType.TEXT,
    NUMBER: AttributeType.FLOAT,
    FLAG: AttributeType.BOOLEAN,
    DAY: AttributeType.DATE,
    CHOICES: AttributeType.CHOICES,
}
_NAMES: Mapping[str, str] = {name: name for name in (*_TYPES, LACKING)}
_FIELDS = {**_NAMES, FIRST_NAME: "firstname", LAST_NAME: "lastname", PHONE: "phone"}
_BUILT_IN = {"firstname", "lastname", "phone"}
_SOMEBODY = "the-secret-of-somebody-else"

_TOKEN = "/oauth/v2/token"


def _error(code: int, message: str, kind: str | None = None) -> dict[str, Any]:
    return {"errors": [{"message": message, "code": code, "type": kind}]}


_FAULTS: Mapping[Fault, Mapping[str, Any]] = {
    Fault.WRONG_KEY: {"status": 401, "body": _error(401, "The access token provided is invalid.", "invalid_grant")},
    Fault.FORBIDDEN: {"status": 403, "body": _error(403, "You do not have access to the requested area/action.")},
    Fault.NOT_FOUND: {"status": 404, "body": _error(404, "Item was not found.")},
    Fault.TOO_MANY: {
        "status": 429,
        "body": _error(429, "You exceeded the rate limit of 100 API calls per hour."),
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
_AFTER = {Fault.RESET_AFTER, Fault.ERROR_PAGE_AFTER, Fault.SILENCE_AFTER}
_WRITES = "/contacts/batch/"


class MauticSubject(Subject):
    """See `subject.Subject`.

    No zero arrives in a contact (see `crms.mautic.zeros`), so ZEROS is not claimed. The account is the instance, by its
    address: Mautic names none, so ACCOUNTS is not claimed. Nor does it tell who has left a segment. Its results are in
    the order of the rows, whatever the address.
    """

    kind: ClassVar = "mautic"
    capabilities: ClassVar = frozenset(
        {
            Capability.MANY,
            Capability.REPEATABLE,
            Capability.RENAMES,
            Capability.LISTS,
            Capability.OPT_OUTS,
            Capability.CHOICES,
            Capability.FIELDS,
            Capability.READING,
            Capability.FORM,
            Capability.PROBES,
            Capability.RATES,
        }
    )
    names: ClassVar = _NAMES
    oddities: ClassVar = frozenset({Oddity.FEWER})
    odd_address: ClassVar = "o'neill=1@example.com"  # Mautic takes no ampersand in an address

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Subject]:
        with sandbox_server("mautic") as root:
            sandbox = MauticSandbox(root)
            yield cls(sandbox)
            sandbox.close()

    def __init__(self, sandbox: MauticSandbox) -> None:
        self._sandbox = sandbox
        self._segment = 0
        self._refused: dict[str, str] = {}
        self._token = ""

    def open(self, variant: Variant) -> Crm:
        return Mautic(
            client_id="1_of_the_suite",
            client_secret=variant.key,
            base_url=variant.base_url or self._sandbox.url,
            mapping=load_mapping(None),
            segment_id=self._segment if variant.on_list else None,
        )

    def reset(self) -> None:
        self._sandbox.reset()
        self._refused = {}
        form = {"grant_type": "client_credentials", "client_id": "2_of_somebody", "client_secret": _SOMEBODY}
        answer = requests.post(f"{self._sandbox.url}{_TOKEN}", data=form, timeout=PATIENCE)
        self._token = answer.json()["access_token"]
        mapped = {name: one.type for name, one in load_mapping(None).attributes.items() if name not in _BUILT_IN}
        for name, kind in {**mapped, **_TYPES}.items():
            self._by_somebody("POST", "/api/fields/contact/new", _definition(name, kind))
        made = self._by_somebody("POST", "/api/segments/new", {"name": "Readers", "isPublished": True})
        self._segment = int(made["list"]["id"])

    def held(self) -> list[Remote]:
        state = self._sandbox.state()
        on_list = {one for segment in state["segments"] for one in segment["contacts"]}
        return [_remote(contact, on_list) for contact in state["contacts"]]

    def journal(self) -> list[str]:
        return [f"{one['method']} {one['path']}?{one['query']} {one['body']}" for one in self._sandbox.requests()]

    def wait_for_request(self, number: int) -> None:
        self._sandbox.wait_for_requests(number)

    def seed(self, contact: Remote) -> None:
        given = {_FIELDS[name]: value for name, value in contact.fields.items()}
        said_no = [{"channel": "email", "reason": 1}] if contact.opted_out else []
        [seeded] = self._sandbox.seed({"email": contact.address, **given, "doNotContact": said_no})
        if contact.on_list:
            self._by_somebody("POST", f"/api/segments/{self._segment}/contact/{seeded}/add")

    def opt_out(self, address: str) -> None:
        self._sandbox.opt_out(address)

    def leave_list(self, address: str) -> None:
        self._by_somebody("POST", f"/api/segments/{self._segment}/contact/{self._id(address)}/remove")

    def delete(self, address: str) -> None:
        self._by_somebody("DELETE", f"/api/contacts/{self._id(address)}/delete")

    def drop_field(self, name: str) -> None:
        fields = self._sandbox.state()["fields"]
        number = next(one["id"] for one in fields if one["alias"] == _NAMES[name])
        self._by_somebody("DELETE", f"/api/fields/contact/{number}/delete")

    def accept_only(self, key: str) -> None:
        self._sandbox.configure(keys=[key, _SOMEBODY])

    def allow(self, requests: int) -> timedelta:
        self._sandbox.configure(per_hour=requests)
        return timedelta(hours=1)

    def fault(self, fault: Fault, *, times: int | None = 1) -> None:
        path = _WRITES if fault in _AFTER else "/api/"
        if fault is Fault.WRONG_KEY and times is not None:
            times *= 2  # one refusal of a token is answered with another token
        self._sandbox.fault(**{"action": "status", "times": times, "path": path, **_FAULTS[fault]})

    def end_faults(self) -> None:
        self._sandbox.clear_faults()

    def refuse(self, address: str, said: str) -> None:
        self._refused |= {address: said}
        self._sandbox.configure(refused=self._refused)

    def refuse_whole(self, address: str) -> None:
        self._sandbox.fault("status", email=address, path=_WRITES, status=400, body=_error(400, "Something is wrong"))

    def answer_oddly(self, oddity: Oddity) -> None:
        assert oddity is Oddity.FEWER
        self._sandbox.configure(hide_first_result=True)

    def _id(self, address: str) -> str:
        return next(str(one["id"]) for one in self._sandbox.contacts() if one["fields"]["all"]["email"] == address)

    def _by_somebody(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(
            method,
            f"{self._sandbox.url}{path}",
            json=body,
            headers={"authorization": f"Bearer {self._token}"},
            timeout=PATIENCE,
        )
        assert answer.ok, answer.text
        return answer.json()


def _definition(name: str, kind: AttributeType) -> dict[str, Any]:
    properties: Mapping[AttributeType, Any] = {
        AttributeType.CHOICES: {"list": [{"label": one, "value": one} for one in OPTIONS]},
        AttributeType.BOOLEAN: {"yes": "Yes", "no": "No"},
        AttributeType.FLOAT: {"scale": 6, "roundmode": 4},
    }
    return {"label": name, "alias": name, "type": CREATED_AS[kind], "properties": properties.get(kind, {})}


def _remote(contact: Mapping[str, Any], on_list: set[int]) -> Remote:
    has = {name: value for name, value in contact["fields"]["all"].items() if value is not None}
    return Remote(
        address=has["email"],
        remote_id=str(contact["id"]),
        fields={ours: _READ.get(ours, str)(has[theirs]) for ours, theirs in _FIELDS.items() if theirs in has},
        on_list=contact["id"] in on_list,
        opted_out=any(one["channel"] == "email" for one in contact["doNotContact"]),
    )


_READ: Mapping[str, Callable[[Any], Any]] = {
    NUMBER: float,
    FLAG: bool,
    CHOICES: lambda text: text.split("|"),
    PHONE: lambda text: text.removeprefix("+"),
}
