"""Values as Mautic takes them, and those that it drops. Pure."""

import math
from collections.abc import Mapping
from typing import Any

from crm_pipelines.crms.payloads import Payload

CLEARED = None
"""Blanks a field, with `overwriteWithBlank`. An empty text would do so for all but dates, where Mautic ignores it."""
_SECOND_0 = frozenset({"1970-01-01", "1970-01-01 00:00:00+00:00"})


def is_dropped(value: Any) -> bool:
    """Whether Mautic drops the value on POST and PATCH: what PHP reads as a number whose whole part is 0, or as second
    0 of its time (RequestTrait).

    0, 0.5, and the text "0" (CustomFieldsApiControllerTrait, setCustomFieldValues; mautic/mautic#15030, #15900). False
    is not: Mautic sets yes and no before it filters. PUT drops nothing, but see `zeros`.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    if value in _SECOND_0:
        return True
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


def values_of(contact: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a contact by alias, as an answer shows them. `all` is newer than the groups."""
    fields = contact.get("fields")
    groups = fields if isinstance(fields, dict) else {}
    every = groups.get("all")
    if isinstance(every, dict):
        return {name: value for name, value in every.items() if name != "id"}
    members = [one for one in groups.values() if isinstance(one, dict)]
    return {name: one.get("value") for group in members for name, one in group.items() if isinstance(one, dict)}
