"""The fields of contacts: those that Mautic comes with, and how an alias is made."""

import re
import unicodedata
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from crm_pipelines.sandbox.mautic.times import as_time, now_ms

GROUPS = ("core", "social", "personal", "professional")
TYPES = (
    *("boolean", "country", "date", "datetime", "email", "html", "locale", "lookup", "multiselect", "number"),
    *("region", "select", "tel", "text", "textarea", "time", "timezone", "url"),
)
_LONGEST_ALIAS = 25
# Of MySQL's reserved words those that come to mind as the name of a field.
_RESERVED = re.compile(
    "add|all|and|as|by|case|change|check|column|condition|create|cross|default|delete|desc|describe|each|else|for|from|"
    "group|having|if|in|index|int|interval|into|is|join|keys?|leading|left|like|limit|lines|load|lock|match|not|null|of|"
    "on|option|or|order|out|primary|range|rank|read|right|select|set|show|system|table|then|to|trigger|union|unique|"
    "update|use|values|when|where|with|write"
)
_SCALES = tuple("0123456789")
_SCALED = {"scale": 2, "roundmode": 4}
_BUILT_IN: tuple[tuple[str, str, str], ...] = (
    ("title", "Title", "lookup"),
    ("firstname", "First Name", "text"),
    ("lastname", "Last Name", "text"),
    ("company", "Primary company", "text"),
    ("position", "Position", "text"),
    ("email", "Email", "email"),
    ("mobile", "Mobile", "tel"),
    ("phone", "Phone", "tel"),
    ("points", "Points", "number"),
    ("fax", "Fax", "tel"),
    ("address1", "Address Line 1", "text"),
    ("address2", "Address Line 2", "text"),
    ("city", "City", "text"),
    ("state", "State", "region"),
    ("zipcode", "Zip Code", "text"),
    ("country", "Country", "country"),
    ("preferred_locale", "Preferred Locale", "locale"),
    ("timezone", "Preferred Timezone", "timezone"),
    ("last_active", "Date Last Active", "datetime"),
    ("attribution_date", "Attribution Date", "datetime"),
    ("attribution", "Attribution", "number"),
    ("website", "Website", "url"),
    ("facebook", "Facebook", "text"),
    ("foursquare", "Foursquare", "text"),
    ("instagram", "Instagram", "text"),
    ("linkedin", "LinkedIn", "text"),
    ("skype", "Skype", "text"),
    ("twitter", "Twitter", "text"),
)
_SOCIAL = frozenset({"facebook", "foursquare", "instagram", "linkedin", "skype", "twitter"})
_NOT_FIXED = _SOCIAL | {"fax", "website"}


@dataclass(slots=True, kw_only=True)
class Field:
    """One field. Without a column (`queued`) it takes no values yet."""

    id: int
    alias: str
    label: str
    type: str
    group: str = "core"
    order: int = 0
    default: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    published: bool = True
    queued: bool = False
    required: bool = False
    fixed: bool = False
    unique: bool = False
    public: bool = False
    listable: bool = True
    visible: bool = True
    short_visible: bool = False
    length_limit: int | None = None
    created: int = field(default_factory=now_ms)

    @property
    def usable(self) -> bool:
        """Whether contacts can have a value of it."""
        return self.published and not self.queued

    @property
    def scale(self) -> int:
        """Decimal places of a number; 0: none."""
        scale = str(self.properties.get("scale") or 0)
        return int(scale) if scale in _SCALES else 0

    def options(self) -> list[str]:
        """The values that may be chosen."""
        return [option_value(option) for option in self.properties.get("list") or []]

    def as_json(self) -> dict[str, Any]:
        """The form of GET /api/fields/contact/{id}."""
        return {
            "isPublished": self.published,
            "dateAdded": as_time(self.created),
            "dateModified": None,
            "createdBy": None,
            "createdByUser": None,
            "modifiedBy": None,
            "modifiedByUser": None,
            "id": self.id,
            "label": self.label,
            "alias": self.alias,
            "type": self.type,
            "group": self.group,
            "order": self.order,
            "object": "lead",
            "defaultValue": self.default,
            "isRequired": self.required,
            "isFixed": self.fixed,
            "isListable": self.listable,
            "isVisible": self.visible,
            "isShortVisible": self.short_visible,
            "isUniqueIdentifier": self.unique,
            "isPubliclyUpdatable": self.public,
            "properties": self.properties or [],
        }

    def with_value(self, value: Any) -> dict[str, Any]:
        """As it stands among the fields of a contact."""
        return {
            "id": str(self.id),
            "label": self.label,
            "alias": self.alias,
            "type": self.type,
            "group": self.group,
            "object": "lead",
            "is_fixed": "1" if self.fixed else "0",
            "properties": self.properties or [],
            "default_value": self.default,
            "value": value,
            "normalizedValue": "" if value is None else value,
        }


def option_value(option: object) -> str:
    """An option is told by its value, or stands for itself."""
    return str(option.get("value", "") if isinstance(option, Mapping) else option)


def fields_of_new_instance() -> dict[str, Field]:
    """By alias, in Mautic's order."""
    return {
        alias: Field(
            id=number,
            order=number,
            alias=alias,
            label=label,
            type=kind,
            group="social" if alias in _SOCIAL else "core",
            default="0" if alias == "points" else None,
            properties=dict(_SCALED) if alias == "attribution" else _titles(alias),
            fixed=alias not in _NOT_FIXED,
            unique=alias == "email",
        )
        for number, (alias, label, kind) in enumerate(_BUILT_IN, 1)
    }


def _titles(alias: str) -> dict[str, Any]:
    return {"list": ["Mr", "Mrs", "Miss"]} if alias == "title" else {}


def free_alias(wanted: str, taken: Container[str]) -> str:
    """The alias that Mautic gives: cleaned, cut to 25 letters, with a number behind it when it is taken."""
    alias = _clean(wanted)
    free, number = alias, 1
    while free in taken:
        free = f"{alias}{number}"
        number += 1
    return free


def _clean(wanted: str) -> str:
    latin = unicodedata.normalize("NFKD", wanted.strip().casefold()).encode("ascii", "ignore").decode()
    alias = re.sub(r"[^0-9a-z_]+", "", latin.replace(" ", "_")) or "field"
    alias = alias[:_LONGEST_ALIAS].removesuffix("_")
    return f"f_{alias}" if _RESERVED.fullmatch(alias) or alias.isdecimal() else alias
