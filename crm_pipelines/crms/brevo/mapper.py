"""What of a contact goes to Brevo, told without a key."""

from crm_pipelines.crms.brevo.attributes import BrevoAttributes
from crm_pipelines.crms.brevo.mapping import BrevoMapping, load_mapping
from crm_pipelines.crms.mapper import FieldMapper
from crm_pipelines.settings import BrevoSettings


class BrevoMapper(FieldMapper[BrevoAttributes]):
    """See `crm_pipelines.crms.base.Mapper`."""

    def __init__(
        self,
        *,
        mapping: BrevoMapping,
        list_id: int | None = None,
        phone_region: str | None = None,
        name: str = BrevoSettings.kind,
    ) -> None:
        list_ids = () if list_id is None else (list_id,)
        super().__init__(mapping, BrevoAttributes, list_ids=list_ids, phone_region=phone_region, name=name)

    @classmethod
    def without_key(cls, settings: BrevoSettings, phone_region: str | None) -> "BrevoMapper":
        """Raises SettingsError when the mapping file or the phone region is wrong."""
        return cls(
            name=settings.name,
            mapping=load_mapping(settings.mapping_file, settings.variable("mapping_file")),
            list_id=settings.list_id,
            phone_region=phone_region,
        )
