"""The account as it stands in its file."""

from typing import Any

from crm_pipelines.sandbox.brevo.account import Account, Contact, MailingList, Process
from crm_pipelines.sandbox.brevo.attributes import IDENTIFIERS, Attribute

_VERSION = 2


def snapshot(account: Account) -> dict[str, Any]:
    """What there is to keep."""
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


def restore(account: Account, state: dict[str, Any]) -> None:
    """Take it over. Raises ValueError, KeyError or TypeError when that cannot be."""
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
