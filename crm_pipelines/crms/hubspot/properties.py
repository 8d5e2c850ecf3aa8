"""The contact properties of one HubSpot account, and which values fit them. Pure.

HubSpot refuses a contact for a value that does not fit, so every value is brought to the account's type before it is
sent, and what does not fit is left out, with a remark.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from crm_pipelines.crms import normalize
from crm_pipelines.crms.attributes import AccountAttributes, as_text
from crm_pipelines.crms.hubspot.forms import wire
from crm_pipelines.crms.hubspot.mapping import ONLY_ON_CREATION
from crm_pipelines.crms.options import Labelled, Options
from crm_pipelines.crms.values import LEFT_OUT, AttributeType, Converted, PythonTypes, Value
from crm_pipelines.settings import HubspotSettings

# Raised with every change of what values are brought to a type: what was left out before is judged anew then.
_RULES = 2

_AS_IT_IS: dict[str, PythonTypes] = {
    "string": (str,),
    "phone_number": (str,),
    "number": (int, float),
    "bool": (bool,),
}
_IN_WORDS = {
    "string": "a text",
    "phone_number": "a text",
    "number": "a number",
    "bool": "true or false",
    "date": "a date",
    "datetime": "a date",
}

CREATED_AS: Mapping[AttributeType, tuple[str, str]] = {
    AttributeType.TEXT: ("string", "text"),
    AttributeType.FLOAT: ("number", "number"),
    AttributeType.BOOLEAN: ("bool", "booleancheckbox"),
    AttributeType.DATE: ("date", "date"),
    AttributeType.CHOICES: ("enumeration", "checkbox"),
    AttributeType.PHONE: ("string", "phonenumber"),
}
"""By type of the mapping: HubSpot's type and fieldType of a property that is made for it."""


@dataclass(frozen=True)
class Property:
    """One property. `options` are internal value and label of each; `open`: its options stand elsewhere.

    `fixed`: no option is added by us, since HubSpot allows none, or since its options are stages of the sales.

    `destination` is the name under which the account is provisioned.
    """

    name: str
    type: str
    field_type: str
    read_only: bool
    options: tuple[tuple[str, str], ...] = ()
    open: bool = False
    fixed: bool = False
    destination: str = HubspotSettings.kind

    @property
    def writable(self) -> bool:
        """Whether a delivery may write it."""
        return not self.read_only

    @property
    def grows(self) -> bool:
        """Whether options may be added to it."""
        return self.writable and not self.fixed

    @property
    def several(self) -> bool:
        """Whether it takes several of its options."""
        return self.type == "enumeration" and self.field_type == "checkbox"

    @property
    def as_is(self) -> PythonTypes:
        """Types in Python that it takes as they are."""
        return _AS_IT_IS.get(self.type, ())

    def fit(self, value: Value) -> Converted:
        """`value` as this property takes it; with a remark for what of it is left out. Never raises ValueError."""
        if self.read_only:
            remark = f"{LEFT_OUT}: {self.name} cannot be written at HubSpot, so name another one in the mapping file"
            return Converted(None, remark)
        if type(value) in self.as_is:
            return Converted(value)
        if self.type == "enumeration" and not self.open:
            return self._chosen(value)
        try:
            return Converted(_as_type(value, self.type))
        except ValueError as error:
            wanted = _IN_WORDS.get(self.type, f"of type {self.type}")
            remark = f"{self.name} at HubSpot takes {wanted} ({error}), so correct the value or the property"
            return Converted(None, f"{LEFT_OUT}: {remark}")

    def same_form(self, value: Any) -> Any:
        """A value that was sent or read back, in the form in which two that mean the same are equal."""
        text = wire(value).strip()
        if self.several:
            return sorted(self.labelled.values_of(text.split(";")))
        if self.type == "enumeration":
            return next(iter(self.labelled.values_of([text])), text)
        if self.field_type == "phonenumber" or self.type == "phone_number":
            return "".join(filter(str.isdigit, text)) or text
        try:
            match self.type:
                case "number":
                    return float(text)
                case "date":
                    return _day(text)
                case "datetime":
                    return _moment(text)
        except ValueError:
            return text
        return text

    @cached_property
    def labelled(self) -> Labelled:
        """Its options."""
        return Labelled(self.options)

    @property
    def choices(self) -> Options:
        """What reads its values: labels and internal values."""
        return self.labelled.options

    def _chosen(self, value: Value) -> Converted:
        kept, unknown = self.labelled.read(value if isinstance(value, list) else wire(value))
        if self.several:
            fitted: Value | None = kept or None
        else:
            fitted = kept[0] if len(kept) == 1 and not unknown else None
        if not unknown and (fitted is not None or not kept):
            return Converted(fitted)
        if not self.several and len(kept) + len(unknown) > 1:
            return Converted(None, f"{LEFT_OUT}: {self.name} at HubSpot takes one option, so correct the value")
        remark = f"{LEFT_OUT} where it is none of the options of {self.name} at HubSpot"
        if self.fixed:
            return Converted(fitted, f"{remark}: correct the value")
        return Converted(fitted, f"{remark}: add them there, or run crm-pipelines provision {self.destination}")


class AccountProperties(AccountAttributes[Property]):
    """All contact properties of one account; `rows` as `described` gives them."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], destination: str = HubspotSettings.kind) -> None:
        known = [_property(row, destination) for row in rows]
        super().__init__(known, rows, rules=_RULES, label=HubspotSettings.label, destination=destination)


def described(body: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """What of an answer of GET /properties/contacts is worth keeping, by name; None when it lists none at all."""
    listed = body.get("results")
    if not isinstance(listed, list):
        return None
    rows = {row["name"]: _described(row) for row in listed if isinstance(row, dict) and _is_there(row)}
    return [rows[name] for name in sorted(rows)]


def _is_there(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("name"), str) and row.get("archived") is not True


def _described(row: Mapping[str, Any]) -> dict[str, Any]:
    metadata = row.get("modificationMetadata")
    told = metadata if isinstance(metadata, dict) else {}
    found: dict[str, Any] = {
        "name": row["name"],
        "type": str(row.get("type") or "string"),
        "field_type": str(row.get("fieldType") or ""),
        "read_only": told.get("readOnlyValue") is True or row.get("calculated") is True,
    }
    if found["type"] == "enumeration":
        listed = row.get("options")
        options = [one for one in (listed if isinstance(listed, list) else []) if isinstance(one, dict)]
        found["options"] = [str(one.get("value")) for one in options]
        found["labels"] = [str(one.get("label") or one.get("value")) for one in options]
        found["open"] = row.get("externalOptions") is True
        found["fixed"] = told.get("readOnlyOptions") is True or row["name"] in ONLY_ON_CREATION
    return found


def _property(row: Mapping[str, Any], destination: str) -> Property:
    return Property(
        name=row["name"],
        type=row["type"],
        field_type=row["field_type"],
        read_only=row["read_only"],
        options=tuple(zip(row.get("options", ()), row.get("labels", ()), strict=True)),
        open=row.get("open", False),
        fixed=row.get("fixed", row["name"] in ONLY_ON_CREATION),
        destination=destination,
    )


def _as_type(value: Value, kind: str) -> Value | None:
    if isinstance(value, list):
        raise ValueError("not a single value")
    match kind:
        case "number":
            return normalize.number(value)
        case "bool":
            return normalize.boolean(value)
        case "date":
            return normalize.iso_date(value)
        case "datetime":
            day = normalize.iso_date(value)
            return None if day is None else f"{day}T00:00:00Z"
    return as_text(value)


def _day(text: str) -> str:
    """Raises ValueError."""
    return text if len(text) == len("1984-04-05") else _moment(text)[:10]


def _moment(text: str) -> str:
    """In UTC. Raises ValueError."""
    try:
        if text.lstrip("-").isdecimal():
            return datetime.fromtimestamp(int(text) / 1000, UTC).isoformat()
        read = datetime.fromisoformat(text)
    except (OverflowError, OSError) as error:
        raise ValueError("not a time") from error
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
