"""Contacts that control puts into the account."""

from collections.abc import Mapping

from crm_pipelines.sandbox.hubspot.account import Account, Contact
from crm_pipelines.sandbox.hubspot.answers import invalid
from crm_pipelines.sandbox.hubspot.changes import read_changes, read_properties
from crm_pipelines.sandbox.hubspot.times import now_ms
from crm_pipelines.sandbox.hubspot.values import normal_email


def seed(account: Account, given: Mapping[str, str]) -> int:
    """Store the properties of one contact, found by its address; returns its id, or raises ApiError.

    `hs_email_optout` "true" or "false": the person unsubscribes from everything, or takes that back.
    `hs_additional_emails`: further addresses, separated by semicolons.
    """
    properties = dict(read_properties({"properties": given}))
    opted_out = properties.pop("hs_email_optout", None)
    further = [address for address in properties.pop("hs_additional_emails", "").split(";") if address]
    contact = account.owner("email", normal_email(properties.get("email", "")) or "")
    changes = read_changes(account, properties, contact)
    if contact is None:
        contact = account.create(changes)
    else:
        account.update(contact, changes)
    for address in further:
        _add(account, contact, address)
    if opted_out is not None and contact.email:
        _opt_out(account, contact.email, opted_out=opted_out == "true")
    return contact.id


def _add(account: Account, contact: Contact, text: str) -> None:
    address = normal_email(text)
    if address is None or account.owner("email", address) is not None:
        raise invalid("A further address of a contact to be seeded is none, or belongs to a contact already.")
    account.add_address(contact, address)


def _opt_out(account: Account, address: str, *, opted_out: bool) -> None:
    if opted_out:
        account.opted_out[address] = now_ms()
    else:
        account.opted_out.pop(address, None)
    account.revision += 1
