"""Brevo, as the storm and the checker see it. A contact there bears our id, so that no two can be one of ours."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import requests

from crm_pipelines.crms.brevo.attributes import brevo_type
from crm_pipelines.crms.brevo.mapper import BrevoMapper
from crm_pipelines.crms.brevo.mapping import BrevoMapping, load_mapping
from crm_pipelines.crms.payloads import Payload
from crm_pipelines.sandbox.brevo.attributes import IDENTIFIERS, normal_phone
from crm_pipelines_tests.ends.end import LIST, End, Row
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox

_PATIENCE = 2.0  # of a person who leaves a list


def account_attributes(mapping: BrevoMapping) -> dict[str, str]:
    """What the sandbox's account must have, so that nothing that we send is dropped."""
    return {
        name: brevo_type(attribute.type) for name, attribute in mapping.attributes.items() if name not in IDENTIFIERS
    }


class BrevoEnd(End):
    """See `end.End`."""

    crm: ClassVar = "brevo"
    imports: ClassVar = True
    tells_leavers: ClassVar = True
    key_form: ClassVar = "xkeysib-storm-{}"
    updates: ClassVar[Mapping[str, Any]] = {"method": "PUT"}
    trouble: ClassVar[Sequence[Mapping[str, Any]]] = tuple(
        {"path": "/v3", **fault}  # whatever is asked for, attributes too
        for fault in (
            {"action": "status", "status": 429, "headers": {"x-sib-ratelimit-reset": "1"}},
            {"action": "status", "status": 503, "body": {"message": "maintenance"}},
            {"action": "status", "status": 500, "applied": True},
            {"action": "html"},
            {"action": "html", "status": 403},
            {"action": "empty"},
            {"action": "garbage_json", "applied": True},
            {"action": "reset_before"},
            {"action": "reset_after"},
            {"action": "timeout_after"},
            {"action": "latency", "seconds": 0.5},
            {"action": "slow_body", "seconds": 0.001},
            {"action": "hold_after"},
        )
    )

    sandbox: BrevoSandbox

    @classmethod
    def at(cls, root: str) -> "BrevoEnd":
        sandbox = BrevoSandbox(root)
        sandbox.reset()
        return cls(sandbox)

    def __init__(self, sandbox: BrevoSandbox) -> None:
        self.sandbox = sandbox
        self._mapping = load_mapping(None)
        self.mapper = BrevoMapper(mapping=self._mapping)

    def set_up(self, account: str) -> None:
        attributes = account_attributes(self._mapping)
        self.sandbox.configure(attributes=attributes, import_seconds=0, organization=account)

    def on_list(self) -> set[str]:
        return {str(one["id"]) for one in self.sandbox.contacts() if LIST in one["listIds"]}

    def leave_list(self, remote_id: str) -> None:
        url = f"{self.sandbox.url}/contacts/lists/{LIST}/contacts/remove"
        requests.post(url, json={"ids": [int(remote_id)]}, headers={"api-key": "the person"}, timeout=_PATIENCE)

    def sends(self) -> list[Row]:
        return [entry for entry in self.sandbox.requests() if entry["ext_id"] is not None]

    def held(self, rows: Sequence[Row]) -> dict[str, Row]:
        found = ((contact["attributes"].get("EXT_ID"), contact) for contact in self.sandbox.contacts())
        return {ext_id: contact for ext_id, contact in found if ext_id is not None}

    def differences(self, payload: Payload, held: Row) -> Iterable[str]:
        if held["email"] != payload.key:
            yield "the CRM has another address"
        expected = {name: normal_phone(value) if name == "SMS" else value for name, value in payload.attributes.items()}
        has = {n: value for n, value in held["attributes"].items() if self._mapping.owns(n) and n != "EXT_ID"}
        different = sorted(name for name in expected.keys() | has.keys() if expected.get(name) != has.get(name))
        if different:
            yield f"the CRM has other values of {', '.join(different)}"
