"""Values as Mautic takes them, and those that it drops. Pure."""

import math
from collections.abc import Mapping
from typing import Any

from crm_pipelines.crms.payloads import Payload

CLEARED = None
"""Blanks a field, with `overwriteWithBlank`. An empty text would do so for all but dates, where Mautic ignores it."""


def is_dropped(value: Any) -> bool:
    """Whether Mautic drops the value on POST and PATCH: what PHP reads as a number whose whole part is 0.

    0, 0.5, and the text "0" (CustomFieldsApiControllerTrait, setCustomFieldValues; mautic/mautic#15030, #15900). False
    is not: Mautic sets yes and no before it filters. PUT drops nothing, and clears all that it is not sent.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        number = float(value)
    except ValueError:
        return False
    return math.isfinite(number) and int(number) == 0


def row_of(payload: Payload) -> dict[str, Any]:
    """What a request sets and clears, without the address.

    `overwriteWithBlank` reaches nothing but what is sent as blank: of a contact that is there, fields that are not in
    the row keep their values, both with batch/new and with PATCH, which submit the form without what is missing.
    """
    row: dict[str, Any] = {**payload.attributes, **dict.fromkeys(payload.clear, CLEARED)}
    return {**row, "overwriteWithBlank": True} if payload.clear else row


def whole_row(contact: Mapping[str, Any], payload: Payload) -> dict[str, Any]:
    """All that Mautic has of a contact, with what of ours it would drop elsewhere; for PUT.

    `contact` is it as GET shows it, times in UTC without saying so.
    """
    held = {name: _again(value, kind) for name, (value, kind) in fields_of(contact).items()}
    return {**held, **payload.attributes, **dict.fromkeys(payload.clear, CLEARED), "email": payload.key}


def values_of(contact: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a contact by alias, as an answer shows them."""
    fields = contact.get("fields")
    found = fields.get("all") if isinstance(fields, dict) else None
    if not isinstance(found, dict):
        return {name: value for name, (value, _) in fields_of(contact).items()}
    return {name: value for name, value in found.items() if name != "id"}


def fields_of(contact: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """The value and the type of each field, by alias. `all` is newer than the groups, which have the types."""
    fields = contact.get("fields")
    groups = fields if isinstance(fields, dict) else {}
    every = groups.get("all")
    newest = every if isinstance(every, dict) else {}
    found: dict[str, tuple[Any, str]] = {}
    for group, members in groups.items():
        if group == "all" or not isinstance(members, dict):
            continue
        for name, one in members.items():
            if isinstance(one, dict):
                found[name] = (newest.get(name, one.get("value")), str(one.get("type") or "text"))
    return found


def _again(value: Any, kind: str) -> Any:
    # Without an offset Mautic would take it for a time of its own zone.
    return f"{value}+00:00" if kind == "datetime" and isinstance(value, str) and value else value
