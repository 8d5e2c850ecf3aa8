"""Which contact at HubSpot is ours: looked up before anything is written to one that was delivered before.

By the id that HubSpot gave it, and it must have an address that we know: an id alone may be a stranger's in another
account. Where there is none, by the addresses under which it may be held. What is written then is what was looked at.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crm_pipelines.crms.addresses import known_addresses, normal_address
from crm_pipelines.crms.batching import remote_id_of
from crm_pipelines.crms.hubspot.batches import address_in
from crm_pipelines.crms.payloads import Sendable

Row = Mapping[str, Any]

SHOWN = ("email", "hs_additional_emails", "hs_merged_object_ids", "hs_email_optout")


@dataclass(frozen=True, kw_only=True)
class Found:
    """A contact at HubSpot that a look-up gave.

    `ours`: its address is one that we know. `merged`: it is what became of our contact, whose address is a further one
    of it, or no longer there.
    """

    remote_id: str
    address: str
    opted_out: bool
    ours: bool
    merged: bool
    row: Row


def by_id(contact: Sendable, rows: Iterable[Row]) -> Found | None:
    """The contact with our number, or the one into which that was merged."""
    number, confirmed = remote_id_of(contact), normal_address(contact.remote_key)
    merged: Row | None = None
    for row in rows:
        if str(row.get("id")) == number:
            return _found(row, ours=address_in(row) in _known(contact), merged=False)
        addresses = {address_in(row), *further_addresses(row)} - {""}
        if number in _split(row, "hs_merged_object_ids") or confirmed in addresses:
            merged = row
    if merged is None:
        return None
    return _found(merged, ours=address_in(merged) in {confirmed, contact.payload.key}, merged=True)


def by_address(contact: Sendable, addresses: Sequence[str], rows: Sequence[Row]) -> Found | None:
    """The contact that has one of these addresses, the first of them that anybody has."""
    for address in addresses:
        for row in rows:
            if address == address_in(row):
                return _found(row, ours=True, merged=False)
            if address in further_addresses(row):
                return _found(row, ours=address_in(row) in _known(contact), merged=True)
    return None


def further_addresses(row: Row) -> list[str]:
    """Those beside its first one."""
    return [normal_address(one) for one in _split(row, "hs_additional_emails")]


def _known(contact: Sendable) -> frozenset[str]:
    return known_addresses(contact.payload, contact.remote_key, contact.remembered)


def _found(row: Row, *, ours: bool, merged: bool) -> Found:
    properties = row.get("properties")
    opted_out = properties.get("hs_email_optout") if isinstance(properties, dict) else None
    return Found(
        remote_id=str(row.get("id")),
        address=address_in(row),
        opted_out=str(opted_out).lower() == "true",
        ours=ours,
        merged=merged,
        row=row,
    )


def _split(row: Row, name: str) -> list[str]:
    properties = row.get("properties")
    found = properties.get(name) if isinstance(properties, dict) else None
    return [one.strip() for one in found.split(";") if one.strip()] if isinstance(found, str) else []
