"""Which contact at Mautic is ours: looked up before anything is written to one that was delivered before.

By the id that Mautic gave it, and it must have an address that we know: an id alone may be a stranger's in another
instance. Where there is none, by the addresses under which it may be held. What Mautic has merged, or deleted, is not
there any more, and nothing tells where it went.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crm_pipelines.crms.addresses import known_addresses, normal_address
from crm_pipelines.crms.batching import remote_id_of
from crm_pipelines.crms.mautic.forms import values_of
from crm_pipelines.crms.payloads import Sendable

Row = Mapping[str, Any]

# What PHP's FILTER_SANITIZE_EMAIL leaves.
_KEPT = re.compile(r"[a-zA-Z0-9!#$%&'*+\-=?^_`{|}~@.\[\]]+")


@dataclass(frozen=True, kw_only=True)
class FoundContact:
    """A contact at Mautic that a look-up gave. `ours`: its address is one that we know."""

    remote_id: str
    address: str
    ours: bool
    row: Row


def by_id(contact: Sendable, rows: Iterable[Row]) -> FoundContact | None:
    """The contact with our number."""
    number = remote_id_of(contact)
    return next((_found(contact, row) for row in rows if id_in(row) == number), None)


def by_address(contact: Sendable, addresses: Sequence[str], rows: Sequence[Row]) -> FoundContact | None:
    """The contact that has one of these addresses: the first of them that anybody has, the newest of several.

    The newest is the one that Mautic itself takes (LeadRepository, getLeadsByUniqueFields).
    """
    for address in addresses:
        having = [row for row in rows if address_in(row) == address and id_in(row)]
        if having:
            return _found(contact, max(having, key=lambda row: int(id_in(row))))
    return None


def id_in(row: Row) -> str:
    """The number of a contact in an answer; empty if it shows none."""
    found = row.get("id")
    return str(found) if isinstance(found, int | str) and str(found).isdecimal() else ""


def address_in(row: Row) -> str:
    """The address of a contact in an answer, in the form in which ours are sent; empty if it shows none."""
    found = values_of(row).get("email")
    return normal_address(found) if isinstance(found, str) else ""


def survives(address: str) -> bool:
    """Whether Mautic keeps the address as it is. Of others it leaves letters out (InputHelper, email), which makes
    another address of it, maybe somebody else's.
    """
    return _KEPT.fullmatch(address) is not None


def opted_out(row: Row) -> bool:
    """Whether the person is not to be sent e-mail: unsubscribed, bounced, or so decided by hand."""
    listed = row.get("doNotContact")
    rows = listed.values() if isinstance(listed, dict) else listed if isinstance(listed, list) else []
    return any(isinstance(one, dict) and one.get("channel") == "email" and one.get("reason") for one in rows)


def _found(contact: Sendable, row: Row) -> FoundContact:
    address = address_in(row)
    known = known_addresses(contact.payload, contact.remote_key, contact.remembered)
    return FoundContact(remote_id=id_in(row), address=address, ours=address in known, row=row)
