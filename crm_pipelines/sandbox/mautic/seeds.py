"""Contacts that control puts into the account."""

from collections.abc import Mapping
from typing import Any

from crm_pipelines.sandbox.mautic.account import Account
from crm_pipelines.sandbox.mautic.answers import InvalidError
from crm_pipelines.sandbox.mautic.fields import Field
from crm_pipelines.sandbox.mautic.times import now_ms
from crm_pipelines.sandbox.mautic.values import MisfitError, UnreadableDateError, Value, fitting, truth

_OTHERS = ("doNotContact", "tags", "new")


def seed(account: Account, given: Mapping[str, Any]) -> int:
    """Store the values of one contact by alias, found by its address; returns its id, or raises ApiError.

    `doNotContact`: rows of channel (email), reason (1) and comments; an empty list takes them back. `tags`: a list.
    `new`: another contact, even if its address is known.
    """
    values = {alias: _value(account, alias, value) for alias, value in given.items() if alias not in _OTHERS}
    known = account.holders("email", values["email"]) if values.get("email") else []
    contact = account.create() if given.get("new") or not known else known[0]
    if known and not given.get("new"):
        contact.updated = now_ms()
    account.store(contact, values)
    contact.tags += [tag for tag in given.get("tags", []) if tag not in contact.tags]
    if "doNotContact" in given:
        contact.do_not_contact.clear()
        for row in given["doNotContact"]:
            account.add_dnc(contact, row.get("channel", "email"), reason=row.get("reason", 1))
    return contact.id


def _value(account: Account, alias: str, value: Any) -> Value:
    field: Field | None = account.fields.get(alias)
    if field is None:
        raise InvalidError({alias: "There is no such field."})
    if field.type == "boolean":
        return None if value is None else truth(value)
    try:
        return fitting(field, value)
    except MisfitError as misfit:
        raise InvalidError({alias: str(misfit)}) from None
    except UnreadableDateError:
        raise InvalidError({alias: "This is no date."}) from None
