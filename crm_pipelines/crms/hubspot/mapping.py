"""Which field of a contact goes to which property of HubSpot. The comments of `mapping.toml` are the reference."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

from crm_pipelines.crms.mapping import Attribute, FieldMapping, read_mapping
from crm_pipelines.crms.values import LONGEST_NAME, attribute_name

SHIPPED = Path(__file__).with_name("mapping.toml")

ONLY_ON_CREATION = frozenset({"lifecyclestage"})
"""People and workflows at HubSpot move a contact on; the API can move it forward only."""

_STANDARD = frozenset(
    ("jobtitle", "mobilephone", "company", "website", "address", "city", "state", "zip", "country", "lifecyclestage")
)
# Identity, and who has unsubscribed from what: the person's own decision.
_RESERVED = re.compile(r"email|hs_object_id|hs_additional_emails|hs_merged_object_ids|hs_email_optout(?:_\d+)?")
# HubSpot: a letter first, then small letters, digits and underscores.
_NAME = rf"[a-z][a-z0-9_]{{0,{LONGEST_NAME - 1}}}"
Name = Annotated[str, StringConstraints(pattern=f"^{_NAME}$")]


class HubspotMapping(FieldMapping):
    """A validated mapping file."""

    attributes: dict[Name, Attribute]

    @classmethod
    def reserves(cls, name: str) -> bool:
        """Identity, and what a person has unsubscribed from."""
        return _RESERVED.fullmatch(name) is not None

    @staticmethod
    def own_name(field: str) -> str | None:
        """ "Company size" becomes company_size, "Job title" HubSpot's own jobtitle.

        None for one that is none at HubSpot, and for those of HubSpot's own working (hs_…).
        """
        name = (attribute_name(field) or "").lower()
        standard = name.replace("_", "")
        if standard in _STANDARD:
            return standard
        return name if re.fullmatch(_NAME, name) and not name.startswith("hs_") else None

    def owns(self, name: str) -> bool:
        """See `FieldMapping.owns`. What is sent on creation only is never cleared."""
        return name not in ONLY_ON_CREATION and super().owns(name)


def load_mapping(path: Path | None, variable: str = "HUBSPOT_MAPPING_FILE") -> HubspotMapping:
    """Read and validate `path`, or the shipped file; see `read_mapping`."""
    return read_mapping(HubspotMapping, path or SHIPPED, variable)
