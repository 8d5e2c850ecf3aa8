"""The attributes of the account, and which values fit them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import phonenumbers

from crm_pipelines.sandbox.brevo.answers import invalid

Value = str | float | bool | list[str]

IDENTIFIERS = ("EMAIL", "SMS", "EXT_ID", "WHATSAPP", "LANDLINE_NUMBER")
"""Each is unique in the account. In the order in which a refusal names them."""
PHONES = frozenset({"SMS", "WHATSAPP", "LANDLINE_NUMBER"})

NAME_ATTRIBUTES = {"en": ("FIRSTNAME", "LASTNAME"), "fr": ("PRENOM", "NOM"), "it": ("NOME", "COGNOME")}
TYPES_OF_CATEGORY = {
    "normal": {"text", "date", "float", "boolean", "user", "multiple-choice"},
    "transactional": {"text", "date", "float", "boolean", "id"},
    "category": {"category"},
    "calculated": {"float"},
    "global": {"float"},
}

_EMAIL = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\".]{2,}")
_PHONE = re.compile(r"(?:\+|00)?([1-9]\d{5,14})")
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_MISFIT = object()


@dataclass(slots=True)
class Attribute:
    """One attribute of the account. `options` are the labels by value of a category attribute."""

    name: str
    category: str
    type: str
    options: dict[int, str] = field(default_factory=dict)
    choices: list[str] = field(default_factory=list)
    formula: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The form of GET /contacts/attributes."""
        described: dict[str, Any] = {"name": self.name, "category": self.category, "type": self.type}
        if self.category == "category":
            described["enumeration"] = [
                {"value": value, "valueStr": str(value), "label": label} for value, label in self.options.items()
            ]
        if self.type == "multiple-choice":
            described["multiCategoryOptions"] = self.choices
        if self.formula is not None:
            described["calculatedValue"] = self.formula
        return described


@dataclass(frozen=True, slots=True)
class Habits:
    """What the account does with values, where people report that real ones differ. `refuses_…`: with 400.

    `refuses_names` is a regular expression of names that no new attribute may have. `drops_words`: a text in an
    attribute of numbers, or of true and false, has no effect.
    """

    takes_labels: bool = False
    keeps_cleared: frozenset[str] = frozenset()
    refuses_ill_dates: bool = False
    refuses_transactional: bool = False
    refuses_names: str = ""
    drops_words: bool = False


def attributes_of_new_account(language: str) -> dict[str, Attribute]:
    """What Brevo itself puts into a new account: names, the identifiers, and one global counter."""
    texts = [*NAME_ATTRIBUTES[language], *IDENTIFIERS[1:]]
    attributes = {name: Attribute(name, "normal", "text") for name in texts}
    attributes["BLACKLIST"] = Attribute(
        "BLACKLIST", "global", "float", formula="COUNT[BLACKLISTED,BLACKLISTED,<,NOW()]"
    )
    return attributes


_PLAIN = Habits()


def normal_email(text: object) -> str | None:
    """The address as Brevo stores it, or None when it is none."""
    if not isinstance(text, str) or len(text) > 254:
        return None
    lowered = text.strip().lower()
    return lowered if _EMAIL.fullmatch(lowered) else None


def normal_phone(value: object) -> str | None:
    """The number as Brevo stores it: digits with the country code, no plus; None when it is none."""
    match = _PHONE.fullmatch(re.sub(r"[\s().-]", "", str(value)))
    if not match:
        return None
    try:
        number = phonenumbers.parse(f"+{match[1]}")
    except phonenumbers.NumberParseException:
        return None
    return match[1] if phonenumbers.is_possible_number(number) else None


def read_attributes(
    known: Mapping[str, Attribute],
    given: Mapping[str, object],
    *,
    refuse_phones: bool = True,
    habits: Habits = _PLAIN,
) -> tuple[dict[str, str], dict[str, Value | None]]:
    """Split attributes into identifiers and values as they will be stored; "" or None clears.

    What the account does not know and what does not fit is left out without a word. An unusable phone number raises
    ApiError 400, or is left out too when `refuse_phones` is False.
    """
    identifiers: dict[str, str] = {}
    values: dict[str, Value | None] = {}
    for name, value in given.items():
        if name == "EMAIL":
            email = normal_email(value)
            if email is None:
                raise invalid("Invalid email address")
            identifiers[name] = email
            continue
        attribute = known.get(name)
        if attribute is None or value is None:
            continue
        if name in IDENTIFIERS:
            identifier = _identifier(name, value)
            if identifier is not None:
                identifiers[name] = identifier
            elif refuse_phones:
                raise invalid("Invalid phone number" if name in PHONES else f"Invalid {name}")
        elif value == "":
            if name not in habits.keeps_cleared:
                values[name] = None
        elif habits.refuses_transactional and attribute.category == "transactional":
            raise invalid("Transactional attribute as primary Key is missing")
        else:
            fitting = _fitting(attribute, value, habits)
            if fitting is _MISFIT and attribute.type == "date" and habits.refuses_ill_dates:
                raise invalid("Invalid date format")
            if fitting is not _MISFIT:
                values[attribute.name] = fitting
    return identifiers, values


def _identifier(name: str, value: object) -> str | None:
    if value == "":
        return ""
    if name in PHONES:
        return normal_phone(value)
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def _fitting(attribute: Attribute, value: object, habits: Habits) -> Any:
    """The value as it is stored, or _MISFIT."""
    if habits.drops_words and isinstance(value, str) and attribute.type in {"float", "boolean"}:
        return _MISFIT
    match attribute.type:
        case "text" | "user" | "id":
            if isinstance(value, str):
                return value
            return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else _MISFIT
        case "float":
            return _number(value)
        case "boolean":
            if isinstance(value, bool):
                return value
            return _WORDS.get(str(value).lower(), _MISFIT)
        case "date":
            return _day(value)
        case "multiple-choice":
            chosen = value if isinstance(value, list) else [value]
            return [choice for choice in chosen if choice in attribute.choices] or _MISFIT
        case "category" if attribute.category == "category":
            return _option(attribute, value, takes_labels=habits.takes_labels)
    return _MISFIT


def _number(value: object) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        return float(value) if isinstance(value, str) else _MISFIT
    except ValueError:
        return _MISFIT


def _day(value: object) -> Any:
    try:
        return date.fromisoformat(value).isoformat() if isinstance(value, str) else _MISFIT
    except ValueError:
        return _MISFIT


def _option(attribute: Attribute, value: object, *, takes_labels: bool) -> Any:
    for number, label in attribute.options.items():
        if value in (number, str(number)) or (takes_labels and value == label):
            return number
    return _MISFIT
