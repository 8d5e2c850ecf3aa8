"""What of a contact goes to n8n, told without a secret."""

from collections.abc import Mapping, Sequence
from typing import Any

from crm_pipelines.crms.attributes import AccountAttributes
from crm_pipelines.crms.mapper import FieldMapper
from crm_pipelines.crms.n8n.mapping import N8nMapping, load_mapping
from crm_pipelines.crms.values import AttributeType
from crm_pipelines.settings import N8nSettings


class N8nMapper(FieldMapper[AccountAttributes[Any]]):
    """See `crm_pipelines.crms.base.Mapper`."""

    def __init__(self, *, mapping: N8nMapping, phone_region: str | None = None, name: str = N8nSettings.kind) -> None:
        super().__init__(mapping, _unused, list_ids=(), phone_region=phone_region, name=name)
        self.judged_here = mapping.of_type(AttributeType.PHONE)

    @classmethod
    def without_secret(cls, settings: N8nSettings, phone_region: str | None) -> "N8nMapper":
        """Raises SettingsError when the mapping file or the phone region is wrong."""
        return cls(
            name=settings.name,
            mapping=load_mapping(settings.mapping_file, settings.variable("mapping_file")),
            phone_region=phone_region,
        )

    def know(self, attributes: Sequence[Mapping[str, Any]] | None) -> None:
        """A workflow takes whatever it is sent."""


def _unused(_rows: Sequence[Mapping[str, Any]], _destination: str) -> AccountAttributes[Any]:
    raise NotImplementedError
