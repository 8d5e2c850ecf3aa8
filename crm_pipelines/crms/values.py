"""Brings one value to the type that the mapping names.

A CRM drops a value of the wrong type, or refuses the whole contact for it; so a value that does not fit is left out
here, and the remark says so. Pure; shared by all CRMs.
"""

import re
import unicodedata
from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

from crm_pipelines.crms import normalize
from crm_pipelines.crms.numerals import DecimalSign
from crm_pipelines.crms.options import Options

Value = str | float | bool | list[str]
PythonTypes = tuple[type, ...]

LONGEST_TEXT = 10_000
"""Characters. An assumption: Brevo publishes no limit, HubSpot's is higher. Longer texts are cut, with a remark."""

LONGEST_NAME = 100
"""Characters of an attribute's name. HubSpot's limit; Brevo publishes none."""


LEFT_OUT = "left out"
"""How the remark on a value begins of which not all is sent, unless it was cut."""


class AttributeType(StrEnum):
    """The words of a mapping file; `phone` is a text in E.164."""

    TEXT = "text"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATE = "date"
    CHOICES = "multiple-choice"
    PHONE = "phone"


class Converted(NamedTuple):
    """`value` None: nothing to send. `remark`: what was left out or cut and why, never the value."""

    value: Value | None
    remark: str | None = None


class Way(NamedTuple):
    """How the values of one field are read."""

    type: AttributeType
    options: Options | None = None
    day_first: bool | None = None
    decimal: DecimalSign | None = None
    spaced: bool = False


FORMATS: dict[AttributeType, dict[str, dict[str, Any]]] = {
    AttributeType.DATE: {
        "DD.MM.YYYY": {"day_first": True},
        "DD/MM/YYYY": {"day_first": True},
        "MM/DD/YYYY": {"day_first": False},
    },
    AttributeType.FLOAT: {
        "1.234,56": {"decimal": ","},
        "1 234,56": {"decimal": ",", "spaced": True},
        "1,234.56": {"decimal": "."},
    },
}
"""By type: what a mapping file may call the format, and what it says of a `Way`."""


def convert(raw: object, way: Way, region: str | None = None) -> Converted:
    """`raw` as the way's type. Never raises ValueError.

    `region` is the country of phone numbers without a country code.
    """
    if raw is None:
        return Converted(None)
    try:
        return _CONVERTERS[way.type](raw, way, region)
    except ValueError as error:
        return Converted(None, f"{LEFT_OUT}: {error}")


def _text(raw: object, _way: Way, _region: str | None) -> Converted:
    text = normalize.text(raw)
    if text is None or len(text) <= LONGEST_TEXT:
        return Converted(text)
    return Converted(text[:LONGEST_TEXT], f"cut to {LONGEST_TEXT} characters")


def _float(raw: object, way: Way, _region: str | None) -> Converted:
    return Converted(normalize.number(raw, way.decimal, spaced=way.spaced))


def _boolean(raw: object, _way: Way, _region: str | None) -> Converted:
    return Converted(normalize.boolean(raw))


def _date(raw: object, way: Way, _region: str | None) -> Converted:
    """Brevo: "The API accepts dates only in yyyy-mm-dd" (developers.brevo.com/docs/other-common-questions)."""
    return Converted(normalize.iso_date(raw, day_first=way.day_first))


def _phone(raw: object, _way: Way, region: str | None) -> Converted:
    return Converted(normalize.phone(raw, region))


def _chosen(raw: object, way: Way, _region: str | None) -> Converted:
    """Without options in the mapping file, a text stays one: those of the account say which of its commas divide it."""
    if way.options is None:
        return Converted(normalize.text(raw) if isinstance(raw, str) else normalize.choices(raw))
    known, unknown = way.options.read(raw)
    return Converted(known or None, f"{LEFT_OUT} where it is none of the options" if unknown else None)


_CONVERTERS: dict[AttributeType, Callable[[object, Way, str | None], Converted]] = {
    AttributeType.TEXT: _text,
    AttributeType.FLOAT: _float,
    AttributeType.BOOLEAN: _boolean,
    AttributeType.DATE: _date,
    AttributeType.CHOICES: _chosen,
    AttributeType.PHONE: _phone,
}


def natural_type(raw: object) -> AttributeType:
    """The type of a custom field that the mapping does not name, by what JSON says it is."""
    if isinstance(raw, bool):
        return AttributeType.BOOLEAN
    if isinstance(raw, int | float):
        return AttributeType.FLOAT
    if isinstance(raw, list):
        return AttributeType.CHOICES
    return AttributeType.TEXT


def attribute_name(field: str) -> str | None:
    """ "Company size" becomes COMPANY_SIZE, "größe" GROSSE; None when no letter or digit is left."""
    ascii_only = unicodedata.normalize("NFKD", field.upper()).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Z0-9]+", "_", ascii_only.upper())[:LONGEST_NAME].strip("_") or None
