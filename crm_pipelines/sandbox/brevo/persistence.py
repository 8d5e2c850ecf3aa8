"""The account in a file, so that a local set-up survives a restart. Keys and settings are not kept."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

from crm_pipelines.errors import CrmPipelinesError
from crm_pipelines.sandbox.brevo.account import Account, Contact, MailingList, Process
from crm_pipelines.sandbox.brevo.attributes import IDENTIFIERS, Attribute
from crm_pipelines.sandbox.brevo.sandbox import Sandbox

_VERSION = 2


class StateFile:
    """Reads the account at the start, and writes it a second after changes and at the end."""

    def __init__(self, path: Path, sandbox: Sandbox) -> None:
        self._path = path
        self._sandbox = sandbox
        self._saved: tuple[int, int] | None = None

    def load(self) -> None:
        """Take over what the file holds, if there is one. Raises CrmPipelinesError when it cannot be used."""
        try:
            state = json.loads(self._path.read_text(encoding="utf-8"))
            _restore(self._sandbox.account, state)
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CrmPipelinesError(
                f"The sandbox cannot use its state file {self._path} ({type(error).__name__}): "
                "delete it, or name another one with --state."
            ) from None
        self._saved = self._version()

    def save(self) -> None:
        """Write the account if it has changed; a reader sees the old file or the new one, never a part."""
        version = self._version()
        if version == self._saved:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_name(f"{self._path.name}.part")
        part.touch(mode=0o600)
        with part.open("w", encoding="utf-8") as file:
            json.dump(_snapshot(self._sandbox.account), file, separators=(",", ":"))
        part.replace(self._path)
        self._saved = version

    async def keep_saving(self) -> None:
        """Save in the background. Writing a large account takes seconds: then it is done more rarely."""
        pause_seconds = 1.0
        while True:
            await asyncio.sleep(pause_seconds)
            started = time.monotonic()
            self.save()
            pause_seconds = max(1.0, 10 * (time.monotonic() - started))

    def _version(self) -> tuple[int, int]:
        return self._sandbox.epoch, self._sandbox.account.revision


def _snapshot(account: Account) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "sequences": [account.last_contact_id, account.last_group_id, account.last_process_id],
        "attributes": [
            [a.name, a.category, a.type, list(a.options.items()), a.choices, a.formula]
            for a in account.attributes.values()
        ],
        "folders": list(account.folders.items()),
        "lists": [[g.id, g.name, g.folder_id, g.created, sorted(g.members)] for g in account.lists.values()],
        "processes": [[p.id, p.name, p.status, p.notification, p.reports] for p in account.processes.values()],
        "contacts": [
            [c.id, c.email, c.attributes, c.email_blacklisted, c.sms_blacklisted, sorted(c.left), c.created, c.modified]
            for c in account.contacts.values()
        ],
    }


def _restore(account: Account, state: dict[str, Any]) -> None:
    if state["version"] not in {1, _VERSION}:
        raise ValueError("written by another version")
    account.last_contact_id, account.last_group_id, account.last_process_id = state["sequences"]
    account.attributes = {
        name: Attribute(name, category, kind, {int(value): label for value, label in options}, choices, formula)
        for name, category, kind, options, choices, formula in state["attributes"]
    }
    account.folders = {int(number): name for number, name in state["folders"]}
    account.lists = {
        number: MailingList(number, name, folder_id, created, set(members))
        for number, name, folder_id, created, members in state["lists"]
    }
    account.processes = {row[0]: Process(*row) for row in state["processes"]}
    account.contacts = {}
    for number, email, attributes, email_blacklisted, sms_blacklisted, *left, created, modified in state["contacts"]:
        contact = account.contacts[number] = Contact(number, created)
        contact.email = email
        contact.attributes = attributes
        contact.email_blacklisted = email_blacklisted
        contact.sms_blacklisted = sms_blacklisted
        contact.left = set(*left)  # version 1 knew of none
        contact.modified = modified
    account.owners = {
        name: {value: contact for contact in account.contacts.values() if (value := contact.identifier(name))}
        for name in IDENTIFIERS
    }
