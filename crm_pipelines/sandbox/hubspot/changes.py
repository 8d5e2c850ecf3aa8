"""What a request asks to store of one contact."""

import json
from collections.abc import Mapping, MutableMapping
from typing import Any

from crm_pipelines.sandbox.hubspot.account import Account, Contact
from crm_pipelines.sandbox.hubspot.answers import ApiError, invalid, taken
from crm_pipelines.sandbox.hubspot.values import Misfit, fitting, goes_back

Claims = MutableMapping[tuple[str, str], Contact | None]
"""For whom a row of a batch asked for a unique value; None: for a new contact."""


def read_properties(body: Mapping[str, Any]) -> dict[str, str]:
    """The field `properties`, all texts, or ApiError 400."""
    given = body.get("properties")
    if not isinstance(given, dict):
        raise invalid("Invalid input JSON: some required fields were not set: [properties]")
    wrong = next((name for name, value in given.items() if not isinstance(value, str)), None)
    if wrong is not None:
        raise invalid(f"Invalid input JSON: the value of {wrong} should be a string")
    return given


def read_changes(
    account: Account, given: Mapping[str, str], contact: Contact | None, claims: Claims | None = None
) -> dict[str, str]:
    """Values as they will be stored, an empty one clears. `contact` is None for a new one.

    Raises ApiError 400 for what does not fit, 409 for an address of another contact.
    """
    changes: dict[str, str] = {}
    misfits: list[Misfit] = []
    for name, text in given.items():
        value = _value(account, name, text)
        if isinstance(value, Misfit):
            misfits.append(value)
        elif not (name == "lifecyclestage" and contact and goes_back(contact.properties.get(name), value)):
            changes[name] = value
    if misfits:
        raise _not_valid(misfits)
    claims = {} if claims is None else claims
    unique = [(name, value) for name, value in changes.items() if value and account.is_unique(name)]
    for name, value in unique:
        owner = account.owner(name, value)
        if owner not in (None, contact):
            raise _owned(account, name, value, owner)
        if (name, value) in claims and (contact is None or claims[name, value] is not contact):
            raise _owned(account, name, value, None)
    claims.update(dict.fromkeys(unique, contact))
    return changes


def _value(account: Account, name: str, text: str) -> str | Misfit:
    described = account.properties.get(name)
    if described is None:
        return Misfit("PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist', name)
    if described.read_only:
        return Misfit("READ_ONLY_VALUE", f'"{name}" is a read only property; its value cannot be set.', name)
    if not text:
        return ""
    value = fitting(described, text)
    if name == "email" and value in account.erased:
        return Misfit("INVALID_EMAIL", "email has been GDPR blacklisted", name)
    return value


def _not_valid(misfits: list[Misfit]) -> ApiError:
    told = json.dumps([misfit.as_json() for misfit in misfits])
    details = [misfit.as_detail() for misfit in misfits]
    return ApiError(400, f"Property values were not valid: {told}", "VALIDATION_ERROR", errors=details)


def _owned(account: Account, name: str, value: str, owner: Contact | None) -> ApiError:
    """The refusal of a value that another contact has, or another row of the same batch (`owner` None)."""
    if name == "email":
        return taken(owner.id) if owner else ApiError(409, "Contact already exists.", "CONFLICT")
    where = f"portalId={account.portal_id}, propertyName={name}, value={value}"
    holder = f"{owner.id} already has that value" if owner else "another input has that value"
    message = f"Cannot set PropertyValueCoordinates{{{where}}}. {holder}."
    return ApiError(
        400, message, "VALIDATION_ERROR", errors=[Misfit("CONFLICTING_UNIQUE_VALUE", message, name).as_detail()]
    )
