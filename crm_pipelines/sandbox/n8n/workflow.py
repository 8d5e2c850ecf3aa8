"""The one workflow: it keeps the contacts that it is told of in a table, by their address."""

from collections.abc import Mapping
from typing import Any

_OWN = frozenset({"contact_id", "email", "timestamp"})


class Workflow:
    """`contacts`: the table, by address; `executions`: each time that it was run. `revision` grows with each change."""

    def __init__(self) -> None:
        self.revision = 0
        self.last_id = 0
        self.contacts: dict[str, dict[str, Any]] = {}
        self.executions: list[dict[str, Any]] = []

    def begin(self, body: Mapping[str, Any], key: str) -> None:
        """One execution; `key` is its idempotency key."""
        self.revision += 1
        self.executions.append({"contact_id": body.get("contact_id"), "idempotency_key": key})

    def store(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The row, made or changed: what is null in the body is taken out, what is not in it stays."""
        self.revision += 1
        address = str(body.get("email")).lower()
        if address not in self.contacts:
            self.last_id += 1
            self.contacts[address] = {"id": self.last_id, "contact_id": None, "email": address, "fields": {}}
        row = self.contacts[address]
        row["contact_id"] = body.get("contact_id", row["contact_id"])
        given = {name: value for name, value in body.items() if name not in _OWN}
        row["fields"] = {name: value for name, value in {**row["fields"], **given}.items() if value is not None}
        return row

    def delete(self, address: str) -> None:
        """Take the row out, if there is one."""
        self.revision += 1
        self.contacts.pop(address.lower(), None)
