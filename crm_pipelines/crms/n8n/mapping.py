"""Which field of a contact goes into n8n's body under which name. The comments of `mapping.toml` are the reference."""

from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

from crm_pipelines.crms.mapping import Attribute, FieldMapping, read_mapping
from crm_pipelines.crms.values import LONGEST_NAME

SHIPPED = Path(__file__).with_name("mapping.toml")

OWN = frozenset({"contact_id", "email", "timestamp"})
"""Names in the body that are the delivery's own."""

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_NAME)]


class N8nMapping(FieldMapping):
    """A validated mapping file."""

    attributes: dict[Name, Attribute]

    @classmethod
    def reserves(cls, name: str) -> bool:
        """What the delivery itself says."""
        return name in OWN

    @staticmethod
    def own_name(field: str) -> str | None:
        """As the user has named it, cut to LONGEST_NAME characters."""
        return field.strip()[:LONGEST_NAME].rstrip() or None


def load_mapping(path: Path | None, variable: str = "N8N_MAPPING_FILE") -> N8nMapping:
    """Read and validate `path`, or the shipped file; see `read_mapping`."""
    return read_mapping(N8nMapping, path or SHIPPED, variable)
