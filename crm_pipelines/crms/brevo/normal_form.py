"""What is the same to Brevo, so that what was sent can be compared with what is read back. Pure."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from crm_pipelines.crms.brevo.attributes import BrevoAttributes
from crm_pipelines.crms.brevo.mapping import PHONES

_MIDNIGHTS = frozenset({"T00:00:00", " 00:00:00"})
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[T ]00:00:00(\.0+)?(Z|[+-]\d\d:\d\d)?")
_NO_DIGIT = re.compile(r"\D")
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str).encode


def digest(attributes: Mapping[str, Any], *, on_list: bool, account: BrevoAttributes | None = None) -> bytes:
    """32 bytes that are equal when all the attributes are the same to Brevo."""
    fields = {name: normal(name, value, account) for name, value in attributes.items()}
    return hashlib.sha256(_canonical([fields, on_list]).encode()).digest()


def digits(phone: Any) -> str:
    """A phone number as Brevo shows it."""
    return _NO_DIGIT.sub("", str(phone))


def normal(name: str, value: Any, account: BrevoAttributes | None = None) -> Any:
    """What is the same to Brevo: phones without the plus, 5 and 5.0, a day with and without its midnight.

    With the account's attributes also a category's number and its label, and what Brevo shows in another type.
    """
    known = account.get(name) if account is not None and value is not None and name not in PHONES else None
    if known is not None:
        value = known.same_form(value)
    if isinstance(value, bool):
        return value
    if name in PHONES:
        return digits(value)
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        midnight = _MIDNIGHT.fullmatch(value) if value[10:19] in _MIDNIGHTS else None
        return midnight[1] if midnight else value.strip()
    return sorted(map(str, value)) if isinstance(value, list) else value
