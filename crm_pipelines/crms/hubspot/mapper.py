"""What of a contact goes to HubSpot, told without a key."""

from crm_pipelines.crms.hubspot.mapping import HubspotMapping, load_mapping
from crm_pipelines.crms.hubspot.properties import AccountProperties
from crm_pipelines.crms.mapper import FieldMapper
from crm_pipelines.crms.values import AttributeType
from crm_pipelines.settings import HubspotSettings


class HubspotMapper(FieldMapper[AccountProperties]):
    """See `crm_pipelines.crms.base.Mapper`."""

    def __init__(
        self,
        *,
        mapping: HubspotMapping,
        list_id: int | None = None,
        phone_region: str | None = None,
        name: str = HubspotSettings.kind,
    ) -> None:
        list_ids = () if list_id is None else (list_id,)
        super().__init__(mapping, AccountProperties, list_ids=list_ids, phone_region=phone_region, name=name)
        self.judged_here = mapping.of_type(AttributeType.PHONE)

    @classmethod
    def without_key(cls, settings: HubspotSettings, phone_region: str | None) -> "HubspotMapper":
        """Raises SettingsError when the mapping file or the phone region is wrong."""
        return cls(
            name=settings.name,
            mapping=load_mapping(settings.mapping_file, settings.variable("mapping_file")),
            list_id=settings.list_id,
            phone_region=phone_region,
        )
