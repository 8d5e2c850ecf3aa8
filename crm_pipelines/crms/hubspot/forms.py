"""Values as HubSpot takes them: texts, all of them. Pure."""

from decimal import Decimal
from typing import Any

from crm_pipelines.crms.hubspot.mapping import ONLY_ON_CREATION
from crm_pipelines.crms.payloads import Payload

CLEARED = ""
"""Erases a property (contacts guide)."""


def wire(value: Any) -> str:
    """A value as a text: true and false, numbers without an exponent, several options joined by semicolons."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{Decimal(repr(value)):f}"
    if isinstance(value, list):
        return ";".join(value)
    return CLEARED if value is None else str(value)


def properties_of(payload: Payload, *, is_new: bool) -> dict[str, str]:
    """All properties that a request about this contact sets or clears, the address among them."""
    sent = {name: wire(value) for name, value in payload.attributes.items() if is_new or name not in ONLY_ON_CREATION}
    return {**sent, **dict.fromkeys(payload.clear, CLEARED), "email": payload.key}
