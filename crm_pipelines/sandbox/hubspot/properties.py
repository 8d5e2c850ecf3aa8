"""The contact properties of the account."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crm_pipelines.sandbox.hubspot.times import as_time, now_ms

FIELD_TYPES: Mapping[str, frozenset[str]] = {
    "string": frozenset({"text", "textarea", "phonenumber", "html", "file"}),
    "phone_number": frozenset({"phonenumber"}),
    "number": frozenset({"number", "calculation_equation"}),
    "date": frozenset({"date"}),
    "datetime": frozenset({"date"}),
    "bool": frozenset({"booleancheckbox", "calculation_equation"}),
    "enumeration": frozenset({"select", "radio", "checkbox", "booleancheckbox", "calculation_equation"}),
}
"""What may show a property of each type."""

STAGES = (
    "subscriber",
    "lead",
    "marketingqualifiedlead",
    "salesqualifiedlead",
    "opportunity",
    "customer",
    "evangelist",
    "other",
)
_LEAD_STATUSES = (
    "NEW",
    "OPEN",
    "IN_PROGRESS",
    "OPEN_DEAL",
    "UNQUALIFIED",
    "ATTEMPTED_TO_CONTACT",
    "CONNECTED",
    "BAD_TIMING",
)
_TEXTS = {
    "email": "Email",
    "firstname": "First Name",
    "lastname": "Last Name",
    "jobtitle": "Job Title",
    "company": "Company Name",
    "website": "Website URL",
    "address": "Street Address",
    "city": "City",
    "state": "State/Region",
    "zip": "Postal Code",
    "country": "Country/Region",
    "fax": "Fax Number",
    "date_of_birth": "Date of birth",
    "industry": "Industry",
}
_PHONES = {"phone": "Phone Number", "mobilephone": "Mobile Phone Number"}
_READ_ONLY = {
    "hs_object_id": ("Record ID", "number", "number"),
    "createdate": ("Create Date", "datetime", "date"),
    "lastmodifieddate": ("Last Modified Date", "datetime", "date"),
    "hs_email_optout": ("Unsubscribed from all email", "bool", "booleancheckbox"),
    "hs_additional_emails": ("Additional email addresses", "enumeration", "checkbox"),
}
GROUP = "contactinformation"


@dataclass(slots=True, kw_only=True)
class Property:
    """One property. `options` are label, hidden and the like by value."""

    name: str
    label: str
    type: str
    field_type: str
    group: str = GROUP
    description: str = ""
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    unique: bool = False
    hidden: bool = False
    form_field: bool = False
    display_order: int = -1
    built_in: bool = False
    read_only: bool = False
    created: int = field(default_factory=now_ms)
    updated: int = field(default_factory=now_ms)
    archived: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The form of GET /crm/v3/properties/contacts/{name}."""
        described = {
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "fieldType": self.field_type,
            "groupName": self.group,
            "description": self.description,
            "options": [{"value": value, **rest} for value, rest in self.options.items()],
            "hasUniqueValue": self.unique,
            "hidden": self.hidden,
            "formField": self.form_field,
            "displayOrder": self.display_order,
            "calculated": False,
            "externalOptions": False,
            "hubspotDefined": self.built_in,
            "archived": self.archived is not None,
            "modificationMetadata": {
                "archivable": not self.built_in,
                "readOnlyDefinition": self.built_in,
                "readOnlyOptions": False,
                "readOnlyValue": self.read_only,
            },
            "createdAt": as_time(self.created),
            "updatedAt": as_time(self.updated),
        }
        return described if self.archived is None else {**described, "archivedAt": as_time(self.archived)}


@dataclass(slots=True, kw_only=True)
class Group:
    """A group of properties."""

    name: str
    label: str
    display_order: int = -1

    def as_json(self) -> dict[str, Any]:
        """The form of GET /crm/v3/properties/contacts/groups/{name}."""
        return {"name": self.name, "label": self.label, "displayOrder": self.display_order, "archived": False}


def properties_of_new_account() -> dict[str, Property]:
    """What HubSpot itself puts into a new account, as far as contacts of ours could have it."""
    described = [
        *(Property(name=name, label=label, type="string", field_type="text") for name, label in _TEXTS.items()),
        *(Property(name=name, label=label, type="string", field_type="phonenumber") for name, label in _PHONES.items()),
        _choice("lifecyclestage", "Lifecycle Stage", "radio", STAGES),
        _choice("hs_lead_status", "Lead Status", "radio", _LEAD_STATUSES),
        _choice("hs_language", "Preferred language", "select", ("en", "de", "fr", "es", "it", "pt", "nl", "pl")),
        *(
            Property(name=name, label=label, type=kind, field_type=field_type, read_only=True)
            for name, (label, kind, field_type) in _READ_ONLY.items()
        ),
    ]
    for one in described:
        one.built_in = True
    return {one.name: one for one in described}


def option(label: str, *, hidden: bool = False, display_order: int = -1, description: str = "") -> dict[str, Any]:
    """One option without its value."""
    return {"label": label, "hidden": hidden, "displayOrder": display_order, "description": description}


def _choice(name: str, label: str, field_type: str, values: tuple[str, ...]) -> Property:
    options = {value: option(value, display_order=order) for order, value in enumerate(values)}
    return Property(name=name, label=label, type="enumeration", field_type=field_type, options=options)
