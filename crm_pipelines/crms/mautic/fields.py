"""The contact fields of one Mautic, and which values fit them. Pure.

Mautic refuses a contact for a value that does not fit, and takes no notice of a field that it does not have, so every
value is brought to the field's type before it is sent, and what does not fit is left out, with a remark.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from crm_pipelines.crms import normalize
from crm_pipelines.crms.attributes import AccountAttributes, as_text
from crm_pipelines.crms.mautic.api import listed
from crm_pipelines.crms.options import Labelled, Options
from crm_pipelines.crms.values import LEFT_OUT, AttributeType, Converted, PythonTypes, Value
from crm_pipelines.settings import MauticSettings

LONGEST_TEXT = 191
"""Characters of a text (EntityFieldsBuildFormTrait); of web and e-mail addresses, since their columns are no longer."""

# Raised with every change of what values are brought to a type: what was left out before is judged anew then.
_RULES = 2

_SHORT = frozenset({"tel", "url", "email", "country", "region", "locale", "timezone", "time"})
_TAG = re.compile(r"<[/!?a-zA-Z][^>]*>?")
_ENTITY = re.compile(r"&#?\w+;")
_CHOSEN = frozenset({"select", "multiselect"})
_AS_IT_IS: dict[str, PythonTypes] = {
    "html": (str,),
    "number": (int, float),
    "boolean": (bool,),
}
_IN_WORDS = {"number": "a number", "boolean": "yes or no", "date": "a date", "datetime": "a date"}

CREATED_AS: Mapping[AttributeType, str] = {
    AttributeType.TEXT: "text",
    AttributeType.FLOAT: "number",
    AttributeType.BOOLEAN: "boolean",
    AttributeType.DATE: "date",
    AttributeType.CHOICES: "multiselect",
    AttributeType.PHONE: "tel",
}
"""By type of the mapping: the type of a field that is made for it."""


@dataclass(frozen=True)
class Field:
    """One field. `options` are value and label of each; `scale` the decimal places that answers show of a number.

    `unique`: Mautic tells contacts apart by it, and merges those that share a value. `destination` is the name under
    which the account is provisioned.
    """

    name: str
    type: str
    published: bool = True
    unique: bool = False
    scale: int = 0
    options: tuple[tuple[str, str], ...] = ()
    destination: str = MauticSettings.kind

    @property
    def writable(self) -> bool:
        """Whether a delivery may write it."""
        return self.published and not self.unique

    @property
    def as_is(self) -> PythonTypes:
        """Types in Python that it takes as they are."""
        return _AS_IT_IS.get(self.type, ())

    def fit(self, value: Value) -> Converted:
        """`value` as this field takes it; with a remark for what of it is left out. Never raises ValueError."""
        if self.unique:
            remark = f"{self.name} is a unique identifier at Mautic, which merges contacts that share one"
            return Converted(None, f"{LEFT_OUT}: {remark}")
        if not self.published:
            return Converted(None, f"{LEFT_OUT}: {self.name} is not published at Mautic, so publish it there")
        if type(value) in self.as_is:
            return Converted(value)
        if self.type in _CHOSEN:
            return self._chosen(value)
        try:
            return self._of_type(value)
        except ValueError as error:
            wanted = _IN_WORDS.get(self.type, f"of type {self.type}")
            remark = f"{self.name} at Mautic takes {wanted} ({error}), so correct the value or the field"
            return Converted(None, f"{LEFT_OUT}: {remark}")

    def same_form(self, value: Any) -> Any:
        """A value that was sent or read back, in the form in which two that mean the same are equal."""
        if self.type == "multiselect":
            texts = value if isinstance(value, list) else str(value).split("|")
            return sorted(self.labelled.values_of([str(one) for one in texts]))
        text = str(value).strip()
        if self.type == "select":
            return next(iter(self.labelled.values_of([text])), text)
        if self.type == "tel":
            return "".join(filter(str.isdigit, text)) or text
        try:
            match self.type:
                case "number":
                    return round(float(text), self.scale) if self.scale else int(float(text))
                case "boolean":
                    return value if isinstance(value, bool) else bool(int(text))
                case "date":
                    return text[: len("1984-04-05")]
                case "datetime":
                    return _minute(text)
        except (ValueError, OverflowError):
            return text
        return text

    @cached_property
    def labelled(self) -> Labelled:
        """Its choices."""
        return Labelled(self.options)

    @property
    def choices(self) -> Options:
        """What reads its values: labels and values."""
        return self.labelled.options

    def _chosen(self, value: Value) -> Converted:
        kept, unknown = self.labelled.read(value if isinstance(value, list) else as_text(value))
        if self.type == "select" and len(kept) + len(unknown) > 1:
            return Converted(None, f"{LEFT_OUT}: {self.name} at Mautic takes one choice, so correct the value")
        fitted: Value | None = (kept or None) if self.type == "multiselect" else next(iter(kept), None)
        if not unknown:
            return Converted(fitted)
        remark = f"{LEFT_OUT} where it is none of the choices of {self.name} at Mautic"
        return Converted(fitted, f"{remark}: add them there, or run crm-pipelines provision {self.destination}")

    def _of_type(self, value: Value) -> Converted:
        """Raises ValueError."""
        if isinstance(value, list):
            raise ValueError("not a single value")
        match self.type:
            case "number":
                return Converted(normalize.number(value))
            case "boolean":
                return Converted(normalize.boolean(value))
            case "date":
                return Converted(normalize.iso_date(value))
            case "datetime":
                day = normalize.iso_date(value)
                return Converted(None if day is None else f"{day} 00:00:00+00:00")
            case "email":
                return Converted(normalize.address(value))
        text = as_text(value)
        if text is None or self.type == "html":
            return Converted(text)
        if self.type in _SHORT:
            if len(text) > LONGEST_TEXT:
                raise ValueError(f"longer than {LONGEST_TEXT} characters")
            return Converted(text)
        return _plain(text, LONGEST_TEXT if self.type != "textarea" else len(text))


class AccountFields(AccountAttributes[Field]):
    """All contact fields of one Mautic; `rows` as `described` gives them."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], destination: str = MauticSettings.kind) -> None:
        known = [_field(row, destination) for row in rows]
        super().__init__(known, rows, rules=_RULES, label=MauticSettings.label, destination=destination)


def described(body: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """What of an answer of GET /api/fields/contact is worth keeping, by alias; None when it lists none at all."""
    rows = {
        row["alias"]: _described(row)
        for row in listed(body.get("fields")).values()
        if isinstance(row, dict) and isinstance(row.get("alias"), str)
    }
    return [rows[name] for name in sorted(rows)] or None


def choices_in(row: Mapping[str, Any]) -> list[dict[str, str]]:
    """The choices of a field: a list of labels and values, or of texts; of older fields a text with bars between."""
    properties = row.get("properties")
    given = properties.get("list") if isinstance(properties, dict) else None
    if isinstance(given, str):
        given = given.split("|")
    found = []
    for key, one in listed(given).items():
        if isinstance(one, dict):
            value = str(one.get("value", ""))
            found.append({"label": str(one.get("label") or value), "value": value})
        elif one is not None:
            found.append({"label": str(one), "value": str(one) if isinstance(given, list) else key})
    return found


def _described(row: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": row["alias"],
        "type": str(row.get("type") or "text"),
        "published": row.get("isPublished") is not False,
        "unique": row.get("isUniqueIdentifier") is True or row.get("isUniqueIdentifer") is True,
    }
    if found["type"] == "number":
        found["scale"] = _scale(row.get("properties"))
    if found["type"] in _CHOSEN:
        choices = choices_in(row)
        found["options"] = [one["value"] for one in choices]
        found["labels"] = [one["label"] for one in choices]
    return found


def _scale(properties: Any) -> int:
    given = properties.get("scale") if isinstance(properties, dict) else None
    return int(given) if isinstance(given, int | str) and str(given).isdecimal() else 0


def _field(row: Mapping[str, Any], destination: str) -> Field:
    return Field(
        name=row["name"],
        type=row["type"],
        published=row["published"],
        unique=row["unique"],
        scale=row.get("scale", 0),
        options=tuple(zip(row.get("options", ()), row.get("labels", ()), strict=True)),
        destination=destination,
    )


def _plain(text: str, longest: int) -> Converted:
    """A text as Mautic keeps it: without what looks like HTML (InputHelper), and no longer than the field."""
    plain = normalize.text(_TAG.sub("", _ENTITY.sub(lambda found: html.unescape(found[0]), text)))
    remarks = ["without what looks like HTML, which Mautic takes out"] if plain != text else []
    if plain is not None and len(plain) > longest:
        plain, remarks = plain[:longest], [*remarks, f"cut to {longest} characters: a text area at Mautic takes more"]
    return Converted(plain, "; ".join(remarks) or None)


def _minute(text: str) -> str:
    """In UTC, to the minute, as Mautic keeps times. Raises ValueError."""
    read = datetime.fromisoformat(text)
    moment = (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    return moment.replace(second=0, microsecond=0).isoformat()
