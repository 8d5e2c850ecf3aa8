"""Which field of a contact goes to which field of Mautic. The comments of `mapping.toml` are the reference."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

from crm_pipelines.crms.mapping import Attribute, FieldMapping, read_mapping
from crm_pipelines.crms.values import attribute_name

SHIPPED = Path(__file__).with_name("mapping.toml")

LONGEST_ALIAS = 25
"""Characters of an alias; Mautic cuts longer ones without a word (FieldAliasHelper)."""

_STANDARD = {
    **{name.replace("_", ""): name for name in ("title", "company", "position", "mobile", "fax", "address1", "address2",
        "city", "state", "zipcode", "country", "preferred_locale", "timezone", "website", "facebook", "foursquare",
        "instagram", "linkedin", "skype", "twitter")},
    "jobtitle": "position", "mobilephone": "mobile", "address": "address1", "zip": "zipcode",
}  # fmt: skip
# Identity; what a person has said no to; Mautic's own working, and what its API takes beside fields.
_RESERVED = frozenset(
    [
        "email",
        "id",
        "donotcontact",
        "frequencyrules",
        "points",
        "stage",
        "owner",
        "tags",
        "utmtags",
        "companies",
        "category",
        "ispublished",
        "publishup",
        "publishdown",
        "ipaddress",
        "lastactive",
        "last_active",
        "overwritewithblank",
        "preferred_profile_image",
        "custom_avatar",
        "buttons",
        "attribution",
        "attribution_date",
        "dateadded",
        "datemodified",
        "dateidentified",
        "createdby",
    ]
)
# Mautic makes small letters, digits and underscores of whatever it is given (FormModel, cleanAlias).
_NAME = rf"[a-z][a-z0-9_]{{0,{LONGEST_ALIAS - 1}}}"
Name = Annotated[str, StringConstraints(pattern=f"^{_NAME}$")]


class MauticMapping(FieldMapping):
    """A validated mapping file."""

    attributes: dict[Name, Attribute]

    @classmethod
    def reserves(cls, name: str) -> bool:
        """Identity, consent, and what is Mautic's own."""
        return name.lower() in _RESERVED

    @staticmethod
    def own_name(field: str) -> str | None:
        """ "Company size" becomes company_size, "Job title" Mautic's own position; cut to the length of an alias.

        None for one that is none at Mautic.
        """
        name = (attribute_name(field) or "").lower()
        if (standard := _STANDARD.get(name.replace("_", ""))) is not None:
            return standard
        name = name[:LONGEST_ALIAS].rstrip("_")
        return name if re.fullmatch(_NAME, name) else None


def load_mapping(path: Path | None, variable: str = "MAUTIC_MAPPING_FILE") -> MauticMapping:
    """Read and validate `path`, or the shipped file; see `read_mapping`."""
    return read_mapping(MauticMapping, path or SHIPPED, variable)
