"""How the API names a contact: by id, or by a property whose values are unique."""

from crm_pipelines.sandbox.hubspot.account import Account, Contact
from crm_pipelines.sandbox.hubspot.answers import invalid
from crm_pipelines.sandbox.hubspot.values import normal_email

RECORD_ID = "hs_object_id"


def read_id_property(account: Account, given: object, action: str) -> str:
    """The property by which contacts are named, the record id unless there is another, or ApiError 400."""
    if given in (None, "", RECORD_ID):
        return RECORD_ID
    if not isinstance(given, str) or not account.is_unique(given):
        raise invalid(f"Unable to perform {action} by non-unique property {given}")
    return given


def find(account: Account, id_property: str, value: str) -> Contact | None:
    """The contact that is meant; a further address will do, and so will the id of one that was merged into it."""
    if id_property == RECORD_ID:
        return account.contact(int(value)) if is_id(value) else None
    return account.owner(id_property, normal_email(value) or "" if id_property == "email" else value)


def is_id(text: str) -> bool:
    """Whether this can be the number of a contact."""
    return text.isdecimal() and len(text) <= 18
