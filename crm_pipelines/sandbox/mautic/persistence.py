"""The account as it stands in its file. Tokens are not kept: they end with the server."""

from dataclasses import asdict
from typing import Any

from crm_pipelines.sandbox.mautic.account import Account, Contact, DoNotContact, Member, Segment
from crm_pipelines.sandbox.mautic.fields import Field

_VERSION = 1


def snapshot(account: Account) -> dict[str, Any]:
    """What there is to keep."""
    return {
        "version": _VERSION,
        "sequences": [account.last_contact_id, account.last_segment_id, account.last_dnc_id, account.last_field_id],
        "fields": [asdict(field) for field in account.fields.values()],
        "segments": [
            {**asdict(segment), "members": [[number, asdict(one)] for number, one in segment.members.items()]}
            for segment in account.segments.values()
        ],
        "contacts": [_row(contact) for contact in account.contacts.values()],
        "merged": list(account.merged.items()),
    }


def restore(account: Account, state: dict[str, Any]) -> None:
    """Take it over. Raises ValueError, KeyError or TypeError when that cannot be."""
    if state["version"] != _VERSION:
        raise ValueError("written by another version")
    sequences = state["sequences"]
    account.last_contact_id, account.last_segment_id, account.last_dnc_id, account.last_field_id = sequences
    account.fields = {row["alias"]: Field(**row) for row in state["fields"]}
    account.segments = {row["id"]: _segment(row) for row in state["segments"]}
    account.contacts = {contact.id: contact for contact in map(_contact, state["contacts"])}
    account.merged = dict(state["merged"])
    account.owners = {}


def _row(contact: Contact) -> list[Any]:
    dnc = [asdict(one) for one in contact.do_not_contact]
    return [contact.id, contact.values, contact.tags, dnc, contact.owner, contact.created, contact.updated]


def _contact(row: list[Any]) -> Contact:
    number, values, tags, dnc, owner, created, updated = row
    contact = Contact(number, created)
    contact.values, contact.tags, contact.owner, contact.updated = values, tags, owner, updated
    contact.do_not_contact = [DoNotContact(**one) for one in dnc]
    return contact


def _segment(row: dict[str, Any]) -> Segment:
    members = {number: Member(**one) for number, one in row["members"]}
    return Segment(**{**row, "members": members})
