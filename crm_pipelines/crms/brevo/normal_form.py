"""What is the same to Brevo, so that what was sent can be compared with what is read back. Pure."""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any

from crm_pipelines.crms.brevo.attributes import BrevoAttributes
from crm_pipelines.crms.brevo.mapping import PHONES

_MIDNIGHTS = frozenset({"T00:00:00", " 00:00:00"})
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[T ]00:00:00(\.0+)?(Z|[+-]\d\d:\d\d)?")
_NO_DIGIT = re.compile(r"\D")
_quoted = encode_basestring_ascii
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str).encode
# Types of an account's attributes to which a text is the same as no other value.
_TEXTS = frozenset({"text", "user", "date"})


def digest(attributes: Mapping[str, Any], *, on_list: bool, account: BrevoAttributes | None = None) -> bytes:
    """32 bytes that are equal when all the attributes are the same to Brevo.

    They hash `[{name: normal form, ...}, on_list]` as JSON, sorted by name. Imports that are under way were sent with
    such bytes, so they never change.
    """
    otherwise = _otherwise(account)
    fields = []
    for name in sorted(attributes):
        value = attributes[name]
        if type(value) is not str or name in otherwise:
            same = normal(name, value, account)
        else:
            same = digits(value) if name in PHONES else _text(value)
        # An encoder is made anew for each value that is given to it; most are texts, which need none.
        fields.append(f"{_quoted(name)}:{_quoted(same) if type(same) is str else _canonical(same)}")
    content = f"[{{{','.join(fields)}}},{'true' if on_list else 'false'}]"
    return hashlib.sha256(content.encode()).digest()


@lru_cache(maxsize=8)
def _otherwise(account: BrevoAttributes | None) -> frozenset[str]:
    """Names of the attributes to which a text may be the same as what is no text, or as another one."""
    known = [account.get(name) for name in account.names] if account is not None else []
    return frozenset({one.name for one in known if one is not None and one.type not in _TEXTS}) - PHONES


def digits(phone: Any) -> str:
    """A phone number as Brevo shows it."""
    shown = str(phone).removeprefix("+")
    return shown if shown.isdecimal() else _NO_DIGIT.sub("", shown)


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
        return _text(value)
    return sorted(map(str, value)) if isinstance(value, list) else value


def _text(value: str) -> str:
    midnight = _MIDNIGHT.fullmatch(value) if value[10:19] in _MIDNIGHTS else None
    return midnight[1] if midnight else value.strip()
