"""Mautic, as the storm and the checker see it. Which contact there is ours, nothing but its id says; whose it was when
it was written, its source_url."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, ClassVar

import requests

from crm_pipelines.crms.mautic.fields import CREATED_AS
from crm_pipelines.crms.mautic.mapper import MauticMapper
from crm_pipelines.crms.mautic.mapping import load_mapping
from crm_pipelines.crms.payloads import Payload
from crm_pipelines_tests.ends.end import LIST, End, Row
from crm_pipelines_tests.fixtures.sandbox import MauticSandbox

_PATIENCE = 2.0  # of a person who leaves a segment
_WRITES = "/contacts/batch/"
_BUILT_IN = frozenset({"firstname", "lastname", "phone"})
_TOKEN_SECONDS = 3


class MauticEnd(End):
    """See `end.End`. Tokens end every few seconds; who leaves the segment unsubscribes, too."""

    crm: ClassVar = "mautic"
    imports: ClassVar = False
    tells_leavers: ClassVar = False
    key_form: ClassVar = "{}_storm"
    updates: ClassVar[Mapping[str, Any]] = {"path": f"{_WRITES}edit$"}
    trouble: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"action": "status", "status": 429, "headers": {"retry-after": "1"}},
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

    sandbox: MauticSandbox

    @classmethod
    def at(cls, root: str) -> "MauticEnd":
        sandbox = MauticSandbox(root)
        sandbox.reset()
        return cls(sandbox)

    def __init__(self, sandbox: MauticSandbox) -> None:
        self.sandbox = sandbox
        self._mapping = load_mapping(None)
        self.mapper = MauticMapper(mapping=self._mapping)
        self._disturbances = count()
        self._unsubscribed: set[int] = set()

    def set_up(self, account: str) -> None:
        yes_or_no = {"yes": "Yes", "no": "No"}
        for name, one in self._mapping.attributes.items():
            if name not in _BUILT_IN:
                field = {"label": name, "alias": name, "type": CREATED_AS[one.type], "properties": yes_or_no}
                self._by_somebody("fields/contact/new", field)
        while self._by_somebody("segments/new", {"name": f"Segment of {account}"})["list"]["id"] < LIST:
            pass
        # Two sandboxes are one account to the product; two instances of Mautic are two.
        self.sandbox.configure(token_seconds=_TOKEN_SECONDS, version="5.1.1")

    def variables(self, key: str) -> dict[str, str]:
        return {
            "BASE_URL": self.sandbox.url,
            "CLIENT_ID": key,
            "CLIENT_SECRET": "of-the-storm",
            "SEGMENT_ID": str(LIST),
        }

    def disturb(self) -> str:
        if next(self._disturbances) % 2:
            self.sandbox.revoke_tokens()
            return "all tokens revoked"
        self.sandbox.configure(dies_after_rows=2)
        return "a batch that dies after two contacts"

    def on_list(self) -> set[str]:
        return {
            str(one)
            for segment in self.sandbox.state()["segments"]
            if segment["id"] == LIST
            for one in segment["contacts"]
        }

    def leave_list(self, remote_id: str) -> None:
        self._by_somebody(f"segments/{LIST}/contact/{remote_id}/remove")
        self._by_somebody(f"contacts/{remote_id}/dnc/email/add", {"reason": 1})
        self._unsubscribed.add(int(remote_id))

    def sends(self) -> list[Row]:
        return [
            {**entry, "ext_id": _whose(one)}
            for entry in self.sandbox.requests(path=_WRITES)
            for one in json.loads(entry["body"])
        ]

    def held(self, rows: Sequence[Row]) -> dict[str, Row]:
        by_id = {str(contact["id"]): contact for contact in self.sandbox.contacts()}
        return {str(row["contact_id"]): by_id[row["remote_id"]] for row in rows if row["remote_id"] in by_id}

    def differences(self, payload: Payload, held: Row) -> Iterable[str]:
        has = held["fields"]["all"]
        if has["email"] != payload.key:
            yield "the CRM has another address"
        expected = payload.attributes
        different = sorted(name for name in self._mapping.attributes if expected.get(name) != has.get(name))
        if different:
            yield f"the CRM has other values of {', '.join(different)}"

    def nobodys(self, rows: Sequence[Row]) -> Iterator[str]:
        state = self.sandbox.state()
        ours: dict[str, list[str]] = {}
        for row in rows:
            if row["remote_id"] is not None:
                ours.setdefault(row["remote_id"], []).append(str(row["contact_id"]))
        for contact in state["contacts"]:
            found = ours.get(str(contact["id"]), [])
            if len(found) > 1:
                yield f"{', '.join(found)}: the CRM has one contact, {contact['id']}, for all of them"
            if not found:
                whose = _whose(contact["fields"]["all"])
                yield f"{whose}: the CRM has it as {contact['id']}, too, of which nothing is known here"
            if contact["id"] in self._unsubscribed and not contact["doNotContact"]:
                yield f"the contact {contact['id']} at the CRM has unsubscribed and is subscribed again"
        yield from (f"the CRM has merged {loser} into {winner}" for loser, winner in state["merged"].items())

    def _by_somebody(self, path: str, body: Any = None) -> Any:
        form = {"grant_type": "client_credentials", "client_id": "the_person", "client_secret": "the-person"}
        token = requests.post(f"{self.sandbox.url}/oauth/v2/token", data=form, timeout=_PATIENCE).json()
        headers = {"authorization": f"Bearer {token['access_token']}"}
        answer = requests.post(f"{self.sandbox.url}/api/{path}", json=body, headers=headers, timeout=_PATIENCE)
        answer.raise_for_status()
        return answer.json()


def _whose(values: Mapping[str, Any]) -> str:
    """The id of the contact here that these values were written for."""
    return str(values.get("source_url")).rpartition("/")[2]
