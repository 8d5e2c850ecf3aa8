"""What of a contact goes to Brevo, told without a key: nothing here makes a request."""

from collections.abc import Mapping, Sequence
from typing import Any

import phonenumbers

from crm_pipelines.crms import normalize
from crm_pipelines.crms.brevo.attributes import AccountAttributes
from crm_pipelines.crms.brevo.mapping import CUSTOM, PHONES, SOURCES, BrevoMapping, fitting, load_mapping
from crm_pipelines.crms.brevo.payload import build_payload
from crm_pipelines.crms.brevo.values import Way
from crm_pipelines.crms.payloads import Line, Payload, Unsendable
from crm_pipelines.errors import SettingsError
from crm_pipelines.settings import BrevoSettings

_PARTS_OF_NAME = frozenset({"first_name", "last_name"})
_NOT_OF_THE_PERSON = frozenset({"created_at", "updated_at"})


class BrevoMapper:
    """See `crm_pipelines.crms.base.Mapper`."""

    judged_here = PHONES

    def __init__(
        self,
        *,
        mapping: BrevoMapping,
        list_id: int | None = None,
        phone_region: str | None = None,
        name: str = BrevoSettings.kind,
    ) -> None:
        if phone_region is not None and phone_region not in phonenumbers.SUPPORTED_REGIONS:
            raise SettingsError("CRM_PHONE_REGION names no country: use two letters, such as US.")
        self.name = name
        self.mapping_version = mapping.version
        self._mapping = mapping
        self._phone_region = phone_region
        self._list_ids = () if list_id is None else (list_id,)
        self._account: AccountAttributes | None = None

    @classmethod
    def without_key(cls, settings: BrevoSettings, phone_region: str | None) -> "BrevoMapper":
        """Raises SettingsError when the mapping file or the phone region is wrong."""
        return cls(
            name=settings.name,
            mapping=load_mapping(settings.mapping_file, settings.variable("mapping_file")),
            list_id=settings.list_id,
            phone_region=phone_region,
        )

    def know(self, attributes: Sequence[Mapping[str, Any]] | None) -> None:
        """The account's attributes, as `attributes` of an account gave them; None: they are not known."""
        self._account = None if attributes is None else AccountAttributes(attributes, self.name)

    @property
    def attributes_version(self) -> str | None:
        """Changes with whatever decides if the account takes a value; None: its attributes are not known."""
        return None if self._account is None else self._account.version

    @property
    def writable(self) -> frozenset[str]:
        """Names of the account's attributes that deliveries may write; empty while they are not known."""
        return frozenset() if self._account is None else self._account.writable | PHONES

    def prepare(self, record: Mapping[str, Any], *, sent_attributes: frozenset[str]) -> Payload | Unsendable:
        """Map, normalize and validate one row of crm_contacts. Pure."""
        return build_payload(
            record,
            mapping=self._mapping,
            region=self._phone_region,
            list_ids=self._list_ids,
            sent_attributes=sent_attributes,
            account=self._account,
        )

    def explain(self, record: Mapping[str, Any]) -> list[Line]:
        """One line per mapped field, blank or not, then those that have a value and go nowhere. Pure.

        Values and remarks are those of `prepare`.
        """
        custom = record.get("custom_fields") or {}
        lines = [self._line(name, source, raw, way) for name, source, raw, way in self._mapping.lines(record, custom)]
        mapped = {line.source for line in lines} | _NOT_OF_THE_PERSON
        mapped |= _PARTS_OF_NAME if "name" in mapped else {"name"} if mapped & _PARTS_OF_NAME else set()
        first, last = normalize.names_of(record)
        fields = {name: record.get(name) for name in SOURCES} | {"first_name": first, "last_name": last}
        fields |= {CUSTOM + key: value for key, value in custom.items()}
        return lines + [
            Line(source=source, attribute=None, value=None, remark="not sent: the mapping names no attribute for it")
            for source, value in fields.items()
            if source not in mapped and value not in (None, "")
        ]

    def _line(self, name: str | None, source: str, raw: object, way: Way) -> Line:
        value, remark, _ = fitting(name, raw, way, self._phone_region, self._account)
        return Line(source=source, attribute=name, value=value, remark=remark)
