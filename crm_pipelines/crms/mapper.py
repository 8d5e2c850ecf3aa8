"""What of a contact goes to a CRM that has a mapping, told without a key: nothing here makes a request."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import phonenumbers

from crm_pipelines.crms import normalize
from crm_pipelines.crms.attributes import AccountAttributes
from crm_pipelines.crms.building import build_payload
from crm_pipelines.crms.mapping import CUSTOM, SOURCES, FieldMapping
from crm_pipelines.crms.payloads import Line, Payload, Unsendable
from crm_pipelines.crms.values import Way
from crm_pipelines.errors import SettingsError

A = TypeVar("A", bound=AccountAttributes[Any])

_PARTS_OF_NAME = frozenset({"first_name", "last_name"})
_NOT_OF_THE_PERSON = frozenset({"created_at", "updated_at"})


class FieldMapper(Generic[A]):
    """See `crm_pipelines.crms.base.Mapper`. `attributes_of` makes what an account takes out of its attributes."""

    def __init__(
        self,
        mapping: FieldMapping,
        attributes_of: Callable[[Sequence[Mapping[str, Any]], str], A],
        *,
        list_ids: Sequence[int],
        phone_region: str | None,
        name: str,
    ) -> None:
        if phone_region is not None and phone_region not in phonenumbers.SUPPORTED_REGIONS:
            raise SettingsError("CRM_PHONE_REGION names no country: use two letters, such as US.")
        self.name = name
        self.mapping_version = mapping.version
        self.judged_here = mapping.phones
        self._mapping = mapping
        self._phone_region = phone_region
        self._list_ids = tuple(list_ids)
        self._attributes_of = attributes_of
        self._account: A | None = None

    def know(self, attributes: Sequence[Mapping[str, Any]] | None) -> None:
        """The account's attributes, as `attributes` of an account gave them; None: they are not known."""
        self._account = None if attributes is None else self._attributes_of(attributes, self.name)

    @property
    def attributes_version(self) -> str | None:
        """Changes with whatever decides if the account takes a value; None: its attributes are not known."""
        return None if self._account is None else self._account.version

    @property
    def writable(self) -> frozenset[str]:
        """Names of the account's attributes that deliveries may write; empty while they are not known."""
        return frozenset() if self._account is None else self._account.writable | self._mapping.phones

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
        value, remark, _ = self._mapping.fitting(name, raw, way, self._phone_region, self._account)
        return Line(source=source, attribute=name, value=value, remark=remark)
