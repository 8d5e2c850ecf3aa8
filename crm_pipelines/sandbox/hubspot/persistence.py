"""The account as it stands in its file."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from crm_pipelines.sandbox.hubspot.account import Account, Contact, ContactList
from crm_pipelines.sandbox.hubspot.properties import Group, Property

_VERSION = 1


def snapshot(account: Account) -> dict[str, Any]:
    """What there is to keep."""
    return {
        "version": _VERSION,
        "sequences": [account.last_contact_id, account.last_list_id],
        "properties": [asdict(described) for described in account.properties.values()],
        "archived_properties": [asdict(described) for described in account.archived_properties.values()],
        "groups": [asdict(group) for group in account.groups.values()],
        "lists": [{**asdict(group), "members": list(group.members.items())} for group in account.lists.values()],
        "contacts": [_row(contact) for contact in account.contacts.values()],
        "archived": [_row(contact) for contact in account.archived.values()],
        "merged": list(account.merged.items()),
        "opted_out": account.opted_out,
        "erased": sorted(account.erased),
    }


def restore(account: Account, state: dict[str, Any]) -> None:
    """Take it over. Raises ValueError, KeyError or TypeError when that cannot be."""
    if state["version"] != _VERSION:
        raise ValueError("written by another version")
    account.last_contact_id, account.last_list_id = state["sequences"]
    account.properties = _properties(state["properties"])
    account.archived_properties = _properties(state["archived_properties"])
    account.groups = {row["name"]: Group(**row) for row in state["groups"]}
    account.lists = {row["id"]: ContactList(**{**row, "members": dict(row["members"])}) for row in state["lists"]}
    account.contacts = {contact.id: contact for contact in map(_contact, state["contacts"])}
    account.archived = {contact.id: contact for contact in map(_contact, state["archived"])}
    account.merged = dict(state["merged"])
    account.opted_out = state["opted_out"]
    account.erased = set(state["erased"])
    unique = ["email", *(name for name, described in account.properties.items() if described.unique)]
    account.owners = {
        name: {contact.properties[name]: contact for contact in account.contacts.values() if name in contact.properties}
        for name in unique
    }
    for contact in account.contacts.values():
        account.owners["email"].update(dict.fromkeys(contact.additional, contact))


def _row(contact: Contact) -> list[Any]:
    return [contact.id, contact.properties, contact.additional, contact.created, contact.updated, contact.archived]


def _contact(row: list[Any]) -> Contact:
    number, properties, additional, created, updated, archived = row
    contact = Contact(number, created)
    contact.properties, contact.additional, contact.updated, contact.archived = (
        properties,
        additional,
        updated,
        archived,
    )
    return contact


def _properties(rows: Iterable[dict[str, Any]]) -> dict[str, Property]:
    return {row["name"]: Property(**row) for row in rows}
