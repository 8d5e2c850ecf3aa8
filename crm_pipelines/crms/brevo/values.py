"""Brings one value to a type that Brevo keeps.

Brevo drops a value of the wrong type and still reports success; so a value that does not fit is left out here, and
the remark says so.
"""

import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from crm_pipelines.crms import normalize

Value = str | float | bool | list[str]

LONGEST_TEXT = 10_000
"""Characters. An assumption: Brevo publishes no limit. Longer texts are cut, with a remark."""

LONGEST_NAME = 100
"""Characters of an attribute's name. An assumption: Brevo publishes no limit."""


class AttributeType(StrEnum):
    """The types of Brevo that can be written, and `phone`: a text in E.164."""

    TEXT = "text"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATE = "date"
    CHOICES = "multiple-choice"
    PHONE = "phone"

    @property
    def in_brevo(self) -> str:
        """Brevo's own word for the type."""
        return "text" if self is AttributeType.PHONE else self.value


class Converted(NamedTuple):
    """`value` None: nothing to send. `remark`: what was left out or cut and why, never the value."""

    value: Value | None
    remark: str | None = None


def convert(raw: object, kind: AttributeType, *, options: Sequence[str] = (), region: str | None = None) -> Converted:
    """`raw` as `kind`; `region` is the country of phone numbers without a country code. Never raises ValueError."""
    if raw is None:
        return Converted(None)
    try:
        match kind:
            case AttributeType.TEXT:
                return _cut(normalize.text(raw))
            case AttributeType.FLOAT:
                return Converted(normalize.number(raw))
            case AttributeType.BOOLEAN:
                return Converted(normalize.boolean(raw))
            case AttributeType.DATE:
                # "The API accepts dates only in yyyy-mm-dd": developers.brevo.com/docs/other-common-questions
                return Converted(normalize.iso_date(raw))
            case AttributeType.PHONE:
                return Converted(normalize.phone(raw, region))
            case AttributeType.CHOICES:
                return _known(normalize.choices(raw), options)
    except ValueError as error:
        return Converted(None, f"left out: {error}")


def _cut(text: str | None) -> Converted:
    if text is None or len(text) <= LONGEST_TEXT:
        return Converted(text)
    return Converted(text[:LONGEST_TEXT], f"cut to {LONGEST_TEXT} characters")


def _known(chosen: list[str] | None, options: Sequence[str]) -> Converted:
    if chosen is None or not options:
        return Converted(chosen)
    known = [item for item in chosen if item in options]
    return Converted(known or None, None if known == chosen else "left out where it is none of the options")


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
