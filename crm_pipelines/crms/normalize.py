"""Turns what stands in a contact into the normal form that every CRM takes. Pure; shared by all CRMs.

Of each function: blank in, None out; a value that cannot be used raises ValueError, whose text names the fault and
never the value.
"""

import math
import re
import sys
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import phonenumbers
from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from crm_pipelines import names

# Control characters that no text field means, NUL among them, and lone surrogates; tab and line ends stay.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")

# str.strip() leaves these alone although nobody sees them; between letters some are meaningful (U+200D in emoji).
_INVISIBLE = "\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2800\u3164\ufeff"
_EDGE = _INVISIBLE + "".join(filter(str.isspace, map(chr, range(0x3001))))

LONGEST_ADDRESS = 254
"""Characters of an e-mail address (RFC 5321, erratum 1690)."""

# Of a local part nothing but letters, digits and single dots in between needs a closer look.
_PLAIN_LOCAL_PART = re.compile(r"(?=.{1,64}\Z)[a-z0-9_+-]+(\.[a-z0-9_+-]+)*", re.ASCII)
# Of a capital sigma, str.lower() looks further around than a database can.
_LAST_SIGMA = re.compile(r"(?<=[^.])Σ(?=\.|\Z)")

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
# Day and month, in either order unless there are dots; a time of day is dropped.
_WRITTEN_DAY = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?:[T ]\d{1,2}:\d\d(?::\d\d)?)?", re.ASCII)
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def text(value: object) -> str | None:
    """`value` as text without control characters and without blank edges; None when nothing is left."""
    if value is None:
        return None
    if isinstance(value, str):
        # What is printable holds no control character; looking for them costs more than all the rest.
        return (value if value.isprintable() else _CONTROL.sub("", value)).strip(_EDGE) or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple | set | bytes):
        raise ValueError("not a single value")
    if isinstance(value, date):
        return value.isoformat()
    return _CONTROL.sub("", str(value)).strip(_EDGE) or None


def address(value: object) -> str | None:
    """An e-mail address: lower case, syntax checked, no look-up in the DNS; a domain in other scripts as `xn--…`.

    Domains kept for documentation (example.com, `.test`) are accepted. Of all that is accepted here, the function
    crm_address of the contacts database gives the same form.
    """
    cleaned = text(value)
    if cleaned is None:
        return None
    if len(cleaned) > LONGEST_ADDRESS:
        raise ValueError("not a valid e-mail address")
    written, _, domain = cleaned.rpartition("@")
    local = _LAST_SIGMA.sub("ς", written).replace("Σ", "σ").lower()
    if _PLAIN_LOCAL_PART.fullmatch(local) and domain.isascii():
        return f"{local}@{_ascii_domain(domain.lower())}"
    return _checked(f"{local}@{domain}")


@lru_cache(maxsize=10_000)
def _ascii_domain(domain: str) -> str:
    """The domain in its normal form. Many contacts share one, and its check is nearly the whole cost of an address."""
    return _checked(f"a@{domain}").removeprefix("a@")


def in_its_script(address: str) -> str:
    """An address in normal form with its domain as people write it, where it is spelt `xn--…`."""
    if "@xn--" not in address and ".xn--" not in address:
        return address
    checked = _validated(address)
    return f"{checked.local_part}@{checked.domain}".lower()


def _checked(address: str) -> str:
    checked = _validated(address)
    # Lower-cased once more: the validator's normal form can hold capitals again (U+1E9E and its like).
    return f"{checked.local_part}@{checked.ascii_domain}".lower()


def _validated(address: str) -> ValidatedEmail:
    try:
        return validate_email(address, check_deliverability=False, test_environment=True, strict=True)
    except EmailNotValidError:
        raise ValueError("not a valid e-mail address") from None


def phone(value: object, region: str | None) -> str | None:
    """A phone number in E.164 (`+12025550143`); `region` is the country of numbers without a country code."""
    cleaned = text(value)
    if cleaned is None:
        return None
    if region is None and cleaned.startswith("00"):
        cleaned = f"+{cleaned[2:]}"
    try:
        number = phonenumbers.parse(cleaned, region)
    except phonenumbers.NumberParseException as error:
        if region is None and error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE:
            raise ValueError("not a phone number with a country code") from None
        raise ValueError("not a phone number") from None
    if not phonenumbers.is_valid_number(number):
        raise ValueError("not a phone number that exists in its country")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def name_parts(value: object) -> tuple[str | None, str | None]:
    """First and last name, by the rule of `crm_pipelines.names`: "Ada King Lovelace" is ("Ada", "King Lovelace")."""
    return names.parts([word for word in map(text, (text(value) or "").split()) if word])


def names_of(record: Mapping[str, Any]) -> tuple[object, object]:
    """First and last name of a row of crm_contacts: as they were given apart, or else out of its `name`."""
    given = record.get("first_name"), record.get("last_name")
    return given if any(text(part) for part in given) else name_parts(record.get("name"))


def number(value: object) -> float | None:
    """A finite number; whole ones stay int."""
    if isinstance(value, bool):
        raise ValueError("not a number")
    if isinstance(value, int):
        if abs(value) > sys.float_info.max:
            raise ValueError("not a number of a size that can be stored")
        return value
    if isinstance(value, float | Decimal):
        found = float(value)
    else:
        cleaned = text(value)
        if cleaned is None:
            return None
        if not _NUMBER.fullmatch(cleaned):
            raise ValueError("not a number")
        found = float(cleaned)
    if not math.isfinite(found):
        raise ValueError("not a finite number")
    return found


def boolean(value: object) -> bool | None:
    """True or False; of texts, true/yes/1 and false/no/0 in any case."""
    cleaned = text(value)
    if cleaned is None:
        return None
    try:
        return _WORDS[cleaned.lower()]
    except KeyError:
        raise ValueError("neither true nor false") from None


def iso_date(value: object) -> str | None:
    """A day as `YYYY-MM-DD`, from a date, a datetime or an ISO 8601 text (its time of day is dropped).

    Of other texts, 5.4.1984 (the day first), and 23/6/1912 and 6/23/1912, where only one order makes a day.
    """
    if isinstance(value, datetime):
        return value.date().isoformat()
    cleaned = text(value)
    if cleaned is None:
        return None
    if not isinstance(value, str | date):
        raise ValueError("not a date in the form YYYY-MM-DD")
    try:
        return datetime.fromisoformat(cleaned).date().isoformat()
    except ValueError:
        return _written_day(cleaned).isoformat()


def _written_day(text: str) -> date:
    """Raises ValueError for what is no day, and for what may be two."""
    match = _WRITTEN_DAY.fullmatch(text)
    if not match:
        raise ValueError("not a date in the form YYYY-MM-DD")
    first, second, year = int(match[1]), int(match[3]), int(match[4])
    dotted = match[2] == "."
    if not dotted and first <= 12 and second <= 12 and first != second:
        raise ValueError("day or month first is not clear, use the form YYYY-MM-DD")
    day, month = (first, second) if dotted or second <= 12 else (second, first)
    try:
        return date(year, month, day)
    except ValueError:
        raise ValueError("not a date in the form YYYY-MM-DD") from None


def choices(value: object) -> list[str] | None:
    """A list of distinct texts in the order given, from a list or a single value."""
    items = list(value) if isinstance(value, list | tuple) else [value]
    return list(dict.fromkeys(item for item in map(text, items) if item)) or None
