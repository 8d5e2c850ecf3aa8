"""What becomes of a value on its way through Mautic's form."""

import html
import math
import re
import unicodedata
import zoneinfo
from collections.abc import Callable
from datetime import UTC, datetime, time
from functools import cache
from typing import Any

from crm_pipelines.sandbox.mautic.fields import Field

Value = str | float | bool | None
"""A stored value; None: the contact has none."""

LONGEST_TEXT = 191
LIMITED = ("text", "select", "url", "email")
"""Types of fields that may have a limit of their own."""
_LONGEST_EMAIL = 254
_NOT_VALID = "This value is not valid."
_TAG = re.compile(r"<[/!?a-zA-Z][^>]*>?")
_NOT_IN_EMAIL = re.compile(r"[^a-zA-Z0-9!#$%&'*+\-=?^_`{|}~@.\[\]]")
_EMAIL = re.compile(
    r"[a-zA-Z0-9!#$%&'*+\-/=?^_`{|}~]+(\.[a-zA-Z0-9!#$%&'*+\-/=?^_`{|}~]+)*@"
    r"([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
)
_NUMERIC = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*")
_TRUE = frozenset({"1", "true", "on", "yes"})
_LOCALE = re.compile(r"[a-z]{2,3}(_[A-Z][a-z]{3})?(_[A-Z]{2}|_\d{3})?")


class MisfitError(Exception):
    """A value that the form refuses, with what it says."""


class UnreadableDateError(Exception):
    """A date that Mautic cannot read is left out, as if it had not been sent."""


def clean_email(text: str) -> str:
    """What is left of an address: letters that cannot be in one are taken out, accents with them."""
    return _NOT_IN_EMAIL.sub("", text[:_LONGEST_EMAIL]).strip()


def fold(value: Value) -> str:
    """How the database compares texts: capitals and accents make no difference."""
    letters = unicodedata.normalize("NFKD", str(value))
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).casefold().rstrip()


def is_zero(value: Value) -> bool:
    """Whether PHP takes it for a number whose whole part is 0: 0.5 and the text 00 are such, false is not."""
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, str):
        return _NUMERIC.fullmatch(value) is not None and abs(float(value)) < 1
    return abs(value) < 1


def as_text(value: object) -> str | None:
    """A single value as a form takes it, None for a blank one, or MisfitError for a list."""
    if isinstance(value, bool):
        return "1" if value else None
    if isinstance(value, list | dict):
        raise MisfitError(_NOT_VALID)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return None if value is None else str(value).strip() or None


def fitting(field: Field, value: object, default_limit: int = 0) -> Value:
    """The value as it will be stored. `default_limit`: letters of a field that says nothing; 0: no limit but 191.

    Raises MisfitError for one that is refused, UnreadableDateError for a date that is left out.
    """
    if field.type == "multiselect":
        return _several(field, value)
    text = as_text(value)
    if text is None:
        return None
    fitted = _FITTING.get(field.type, _plain)(field, text)
    limit = _limit(field, default_limit)
    if limit and isinstance(fitted, str) and len(fitted) > limit:
        raise MisfitError(f"This value is too long. It should have {limit} characters or less.")
    return fitted


def _limit(field: Field, default_limit: int) -> int:
    """How many letters the form lets through; 0: any number."""
    longest = LONGEST_TEXT if field.type in ("text", "lookup") else 0
    told = field.length_limit or (default_limit if field.type in LIMITED else 0)
    return min(told, longest) if told and longest else told or longest


def truth(value: object) -> bool:
    """What Mautic takes a value of a boolean field for; all that is not true is false."""
    return str(value).strip().lower() in _TRUE


def _plain(_: Field, text: str) -> str | None:
    return _TAG.sub("", html.unescape(text)).strip() or None


def _email(_: Field, text: str) -> str | None:
    address = clean_email(text)
    if not address:
        return None
    if not _EMAIL.fullmatch(address) or len(address.partition("@")[0]) > 64:
        raise MisfitError(f"{address} is invalid.")
    if any(letter in address for letter in "^&*%"):
        raise MisfitError(f"{address} has characters not allowed in email addresses.")
    return address


def _number(field: Field, text: str) -> float:
    if not _NUMERIC.fullmatch(text):
        raise MisfitError(_NOT_VALID)
    number = float(text)
    if not math.isfinite(number):
        raise MisfitError(_NOT_VALID)
    return round(number, field.scale) if field.scale else number


def _choice(field: Field, text: str) -> str:
    if text not in field.options():
        raise MisfitError(_NOT_VALID)
    return text


def _several(field: Field, value: object) -> str | None:
    texts = [str(one) for one in value] if isinstance(value, list) else (as_text(value) or "").split("|")
    chosen = [text for text in texts if text]
    if any(text not in field.options() for text in chosen):
        raise MisfitError(_NOT_VALID)
    return "|".join(chosen) or None


def _moment(text: str) -> datetime:
    """In UTC. Raises UnreadableDateError."""
    try:
        read = datetime.fromisoformat(text)
        moment = read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise UnreadableDateError from None
    if not moment.timestamp():
        raise UnreadableDateError
    return moment


def _date(_: Field, text: str) -> str:
    return _moment(text).date().isoformat()


def _datetime(_: Field, text: str) -> str:
    # To the minute: the form gets no seconds.
    return _moment(text).strftime("%Y-%m-%d %H:%M:00")


def _time(_: Field, text: str) -> str:
    try:
        return time.fromisoformat(text).strftime("%H:%M:%S")
    except ValueError:
        return _moment(text).strftime("%H:%M:%S")


def _timezone(_: Field, text: str) -> str:
    if text not in _timezones():
        raise MisfitError(_NOT_VALID)
    return text


@cache
def _timezones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _locale(_: Field, text: str) -> str:
    if not _LOCALE.fullmatch(text):
        raise MisfitError(_NOT_VALID)
    return text


def _place(_: Field, text: str) -> str:
    """A country or a region: Mautic knows them by their English names, so codes and small letters are none."""
    if len(text) < 3 or text.upper() == text or text.lower() == text:
        raise MisfitError(_NOT_VALID)
    return text


_FITTING: dict[str, Callable[[Field, str], Value]] = {
    "email": _email,
    "number": _number,
    "select": _choice,
    "date": _date,
    "datetime": _datetime,
    "time": _time,
    "timezone": _timezone,
    "locale": _locale,
    "country": _place,
    "region": _place,
    "html": lambda _, text: text,
}


def shown(field: Field, value: Value) -> Any:
    """The value as the API tells it: without decimal places a number is cut to a whole one, true is 1."""
    if value is None:
        return 0 if field.alias == "points" else None
    if field.type == "number":
        number = float(value)
        return number if field.scale else int(number)
    return int(value) if isinstance(value, bool) else value
