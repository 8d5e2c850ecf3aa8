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

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from crm_pipelines import names
from crm_pipelines.crms import days, numerals, phones
from crm_pipelines.words import yes_or_no

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


def text(value: object) -> str | None:
    """`value` as text without control characters and without blank edges; None when nothing is left."""
    if value is None:
        return None
    written = value if isinstance(value, str) else _written(value)
    # What is printable holds no control character; looking for them costs more than all the rest.
    return (written if written.isprintable() else _CONTROL.sub("", written)).strip(_EDGE) or None


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple | set | bytes):
        raise ValueError("not a single value")
    return value.isoformat() if isinstance(value, date) else str(value)


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
    local = (written if written.isascii() else _LAST_SIGMA.sub("ς", written).replace("Σ", "σ")).lower()
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
    """A phone number in E.164 (`+12025550143`); see `phones`, which leaves out what may be another number.

    `region` is the country of numbers without a country code.
    """
    if isinstance(value, bool):
        raise ValueError(phones.NO_NUMBER)
    if isinstance(value, float):
        return phones.e164(value, region)
    cleaned = text(value)
    return None if cleaned is None else phones.e164(cleaned, region)


def name_parts(value: object) -> tuple[str | None, str | None]:
    """First and last name, by the rule of `crm_pipelines.names`: "Ada King Lovelace" is ("Ada", "King Lovelace")."""
    cleaned = text(value) or ""
    words = cleaned.split()
    # In ASCII split() knows all that is blank.
    return names.parts(words if cleaned.isascii() else [word for word in map(text, words) if word])


def names_of(record: Mapping[str, Any]) -> tuple[object, object]:
    """First and last name of a row of crm_contacts: as they were given apart, or else out of its `name`."""
    first, last = record.get("first_name"), record.get("last_name")
    return (first, last) if text(first) or text(last) else name_parts(record.get("name"))


def number(value: object, decimal: numerals.DecimalSign | None = None, *, spaced: bool = False) -> float | None:
    """A finite number; whole ones stay int. Of texts see `numerals`, which leaves out what may be another number.

    `decimal` is the decimal sign of texts, where it is known; `spaced`: blanks separate their thousands.
    """
    if isinstance(value, bool):
        raise ValueError(numerals.NO_NUMBER)
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
        found = numerals.read(cleaned, decimal, spaced=spaced)
    if not math.isfinite(found):
        raise ValueError("not a finite number")
    return found


def boolean(value: object) -> bool | None:
    """True or False; of texts see `words`."""
    if isinstance(value, bool):
        return value
    cleaned = text(value)
    if cleaned is None:
        return None
    found = yes_or_no(cleaned)
    if found is None:
        raise ValueError("neither true nor false")
    return found


def iso_date(value: object, *, day_first: bool | None = None) -> str | None:
    """A day as `YYYY-MM-DD`, from a date, a datetime or a text; see `days`, which leaves out what may be another day.

    `day_first` is whether the day comes before the month in texts, where it is known.
    """
    if isinstance(value, datetime):
        return value.date().isoformat()
    cleaned = text(value)
    if cleaned is None:
        return None
    if not isinstance(value, str | date):
        raise ValueError(days.NO_DATE)
    return days.read(cleaned, day_first=day_first).isoformat()


def choices(value: object) -> list[str] | None:
    """A list of distinct texts in the order given, from a list or a single value."""
    items = list(value) if isinstance(value, list | tuple) else [value]
    return list(dict.fromkeys(item for item in map(text, items) if item)) or None
