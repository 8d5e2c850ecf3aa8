"""What of a contact goes to Mautic, told without credentials."""

from crm_pipelines.crms.mapper import FieldMapper
from crm_pipelines.crms.mautic.fields import AccountFields
from crm_pipelines.crms.mautic.mapping import MauticMapping, load_mapping
from crm_pipelines.crms.values import AttributeType
from crm_pipelines.settings import MauticSettings


class MauticMapper(FieldMapper[AccountFields]):
    """See `crm_pipelines.crms.base.Mapper`."""

    def __init__(
        self,
        *,
        mapping: MauticMapping,
        segment_id: int | None = None,
        phone_region: str | None = None,
        name: str = MauticSettings.kind,
    ) -> None:
        segments = () if segment_id is None else (segment_id,)
        super().__init__(mapping, AccountFields, list_ids=segments, phone_region=phone_region, name=name)
        self.judged_here = mapping.of_type(AttributeType.PHONE)

    @classmethod
    def without_key(cls, settings: MauticSettings, phone_region: str | None) -> "MauticMapper":
        """Raises SettingsError when the mapping file or the phone region is wrong."""
        return cls(
            name=settings.name,
            mapping=load_mapping(settings.mapping_file, settings.variable("mapping_file")),
            segment_id=settings.segment_id,
            phone_region=phone_region,
        )
