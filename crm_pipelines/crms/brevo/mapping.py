"""Which field of a contact goes to which attribute of Brevo. The comments of `mapping.toml` are the reference."""

from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

from crm_pipelines.crms.mapping import Attribute, FieldMapping, read_mapping
from crm_pipelines.crms.values import LONGEST_NAME

SHIPPED = Path(__file__).with_name("mapping.toml")

PHONES = frozenset({"SMS", "WHATSAPP", "LANDLINE_NUMBER"})
"""Attributes by which Brevo also finds a contact: a number is unique in the account."""

RESERVED = frozenset({"EMAIL", "EXT_ID"})
"""Identity, sent by the delivery itself. A change of EMAIL can subscribe somebody again, so no mapping may set it."""

# Brevo asks for capitals; which other characters it takes is not published.
Name = Annotated[str, StringConstraints(pattern=rf"^[A-Z0-9_-]{{1,{LONGEST_NAME}}}$")]


class BrevoMapping(FieldMapping):
    """A validated mapping file."""

    phones = PHONES
    attributes: dict[Name, Attribute]

    @classmethod
    def reserves(cls, name: str) -> bool:
        """See `RESERVED`."""
        return name in RESERVED


def load_mapping(path: Path | None, variable: str = "BREVO_MAPPING_FILE") -> BrevoMapping:
    """Read and validate `path`, or the shipped file; see `read_mapping`."""
    return read_mapping(BrevoMapping, path or SHIPPED, variable)
