"""HubSpot, as the storm and the checker see it. Which contact there is ours, nothing but its id says."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import requests

from crm_pipelines.crms.hubspot.forms import wire
from crm_pipelines.crms.hubspot.mapper import HubspotMapper
from crm_pipelines.crms.hubspot.mapping import load_mapping
from crm_pipelines.crms.payloads import Payload
from crm_pipelines_tests.ends.end import LIST, End, Row
from crm_pipelines_tests.fixtures.sandbox import HubSpotSandbox

_PATIENCE = 2.0  # of a person who leaves a list
_WRITES = r"/batch/(upsert|update)$"
_PORTALS = {"one": 1, "another": 2}
_BUILT_IN = frozenset({"firstname", "lastname", "phone"})


class HubspotEnd(End):
    """See `end.End`."""

    crm: ClassVar = "hubspot"
    imports: ClassVar = False
    tells_leavers: ClassVar = False
    key_form: ClassVar = "pat-eu1-storm-{}"
    updates: ClassVar[Mapping[str, Any]] = {"path": "/batch/update$"}
    trouble: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"action": "status", "status": 429, "headers": {"retry-after": "1"}},
        {"action": "status", "status": 423},
        {"action": "status", "status": 503},
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

    sandbox: HubSpotSandbox

    @classmethod
    def at(cls, root: str) -> "HubspotEnd":
        sandbox = HubSpotSandbox(root)
        sandbox.reset()
        return cls(sandbox)

    def __init__(self, sandbox: HubSpotSandbox) -> None:
        self.sandbox = sandbox
        self._mapping = load_mapping(None)
        self.mapper = HubspotMapper(mapping=self._mapping)

    def set_up(self, account: str) -> None:
        self.sandbox.configure(portal_id=_PORTALS[account])
        mapped = {name: one.type for name, one in self._mapping.attributes.items() if name not in _BUILT_IN}
        self.sandbox.create_properties(mapped)
        while self.sandbox.create_list(f"List of {account}, {len(self._lists())}") < LIST:
            pass

    def on_list(self) -> set[str]:
        return {one for group in self._lists() if group["listId"] == str(LIST) for one in group["contacts"]}

    def leave_list(self, remote_id: str) -> None:
        url = f"{self.sandbox.url}/crm/v3/lists/{LIST}/memberships/remove"
        requests.put(url, json=[remote_id], headers={"authorization": "Bearer the-person"}, timeout=_PATIENCE)

    def sends(self) -> list[Row]:
        return [
            {**entry, "ext_id": one["objectWriteTraceId"], "address": one["properties"]["email"]}
            for entry in self.sandbox.requests(path=_WRITES)
            for one in json.loads(entry["body"])["inputs"]
        ]

    def held(self, rows: Sequence[Row]) -> dict[str, Row]:
        by_id = {contact["id"]: contact for contact in self.sandbox.contacts()}
        return {str(row["contact_id"]): by_id[row["remote_id"]] for row in rows if row["remote_id"] in by_id}

    def differences(self, payload: Payload, held: Row) -> Iterable[str]:
        has = held["properties"]
        if has["email"] != payload.key:
            yield "the CRM has another address"
        expected = {name: wire(value) for name, value in payload.attributes.items()}
        different = sorted(name for name in self._mapping.attributes if expected.get(name) != has.get(name))
        if different:
            yield f"the CRM has other values of {', '.join(different)}"

    def nobodys(self, rows: Sequence[Row]) -> Iterator[str]:
        ours: dict[str, list[str]] = {}
        for row in rows:
            if row["remote_id"] is not None:
                ours.setdefault(row["remote_id"], []).append(str(row["contact_id"]))
        senders = {entry["address"]: entry["ext_id"] for entry in self.sends()}
        for contact in self.sandbox.contacts():
            found = ours.get(contact["id"], [])
            if len(found) > 1:
                yield f"{', '.join(found)}: the CRM has one contact, {contact['id']}, for all of them"
            if not found:
                sender = senders.get(contact["properties"]["email"])
                yield f"{sender}: the CRM has it as {contact['id']}, too, of which nothing is known here"

    def _lists(self) -> list[Row]:
        lists: list[Row] = self.sandbox.state()["lists"]
        return lists
