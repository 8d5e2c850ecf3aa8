"""Whether an entry at Brevo is our contact's: by our mark, or by an address that we know; never by a number alone.

A number is worth something in one account only: in another one it is a stranger's.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from crm_pipelines.crms.addresses import normal_address
from crm_pipelines.crms.payloads import Remembered


def is_ours(
    entry: Mapping[str, Any],
    *,
    found_by: str,
    external_id: str,
    number: str | None,
    known: frozenset[str],
    remembered: Remembered,
) -> bool:
    """Whether what was found agrees with what is known of the contact.

    `found_by` is the identifierType that was asked for; `number` is the one that we know of, if any. Another system's
    mark that an earlier delivery left there is `remembered`. Pure.
    """
    mark, address_known = mark_of(entry), address_of(entry) in known
    if mark not in {"", external_id, remembered.remote_mark} and (found_by == "ext_id" or as_uuid(mark)):
        # The mark of another contact of ours: the address has passed on to that one, and with it the entry, which
        # must not be renamed. Other marks, a shop's say, tell nothing; but they are no answer to our own id.
        return False
    same_number = number in {None, str(entry.get("id"))}
    if found_by == "contact_id":
        return same_number and (address_known or mark == external_id)
    if found_by == "ext_id":
        # With another number than the one we know, our mark alone may have been put there by others; with an address
        # that we know too, it is our contact, made anew since.
        return same_number or address_known
    return address_known or (same_number and mark == external_id)


def address_of(entry: Mapping[str, Any]) -> str:
    """In the form in which ours are sent: a domain in other scripts is spelt `xn--…` there. Empty if there is none."""
    found = entry.get("email")
    return normal_address(found) if isinstance(found, str) else ""


def mark_of(entry: Mapping[str, Any]) -> str:
    """EXT_ID. Empty when Brevo shows none; it does so among the attributes, if at all."""
    attributes = entry.get("attributes")
    found = attributes.get("EXT_ID") if isinstance(attributes, dict) else None
    return found.lower() if isinstance(found, str) else ""


def is_foreign_mark(entry: Mapping[str, Any]) -> bool:
    """Whether its EXT_ID is certainly another system's: ours are UUIDs, as those of some others are."""
    mark = mark_of(entry)
    return bool(mark) and as_uuid(mark) is None


def as_uuid(mark: str) -> UUID | None:
    """The id of a contact of ours, or of another system's; None: certainly not ours."""
    with suppress(ValueError):
        return UUID(mark)
    return None
