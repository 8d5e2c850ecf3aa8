"""Which field of a contact goes to which attribute of a CRM: reads a mapping file and applies it.

The comments of the shipped files, `mapping.toml` in the folder of each CRM, are the reference of the format.
"""

import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from crm_pipelines.crms import normalize
from crm_pipelines.crms.attributes import AccountAttributes
from crm_pipelines.crms.options import LONGEST_OPTION, Options
from crm_pipelines.crms.values import (
    FORMATS,
    LEFT_OUT,
    AttributeType,
    Value,
    Way,
    attribute_name,
    convert,
    natural_type,
)
from crm_pipelines.errors import SettingsError

CUSTOM = "custom_fields."
SOURCES = (
    "first_name", "last_name", "name", "phone_number", "email_type", "has_gmail", "context", "source_url",
    "source_job_id", "domain_id", "page_id", "created_at", "updated_at",
)  # fmt: skip


_SETS_OF_FIELDS = 1000

NATURAL_WAYS = {kind: Way(kind) for kind in AttributeType}
"""How the values of a custom field are read that the mapping does not name."""


Account = AccountAttributes[Any]


class MappingError(SettingsError):
    """The mapping file cannot be used."""


class MappedValues(NamedTuple):
    """The attributes that have a value, a warning for each that was left out or cut, and the names of those of
    which not all is sent: it is none of the type, or not for certain, or the account does not take it."""

    values: dict[str, Value]
    warnings: tuple[str, ...]
    left_out: frozenset[str]


Fitting = tuple[Value | None, str | None, bool]
"""The value, None if nothing is to be sent; the remark; and whether some or all of it was left out."""


def _source(value: str) -> str:
    if value in SOURCES or (value.startswith(CUSTOM) and value != CUSTOM):
        return value
    near = get_close_matches(value, SOURCES, n=1)
    hint = f"did you mean {near[0]}?" if near else f"expected {CUSTOM}KEY or one of {', '.join(SOURCES)}"
    raise ValueError(f"no such field; {hint}")


class Attribute(BaseModel):
    """One line of `[attributes]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Annotated[str, AfterValidator(_source)] = Field(alias="from")
    type: AttributeType
    options: tuple[Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_OPTION)], ...] = ()
    format: str | None = None

    def way(self) -> Way:
        """How its values are read."""
        said = FORMATS.get(self.type, {}).get(self.format or "", {})
        return Way(self.type, Options(self.options) if self.options else None, **said)


class FieldMapping(BaseModel):
    """A validated mapping file.

    `phones` are attributes of this CRM that take nothing but phone numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    phones: ClassVar[frozenset[str]] = frozenset()

    # Extra columns are imported because somebody wants them in the CRM; a list to be kept by hand loses them silently.
    custom_fields: Literal["all", "mapped"] = "all"
    attributes: dict[str, Attribute]

    @field_validator("attributes")
    @classmethod
    def _consistent(cls, attributes: dict[str, Attribute]) -> dict[str, Attribute]:
        for name, attribute in attributes.items():
            if cls.reserves(name):
                raise ValueError(f"{name} is sent by crm-pipelines itself, remove the line")
            if name in cls.phones and attribute.type is not AttributeType.PHONE:
                raise ValueError(f'{name} needs type = "phone"')
            if attribute.options and attribute.type is not AttributeType.CHOICES:
                raise ValueError(f"{name} has options, which only multiple-choice has")
            if attribute.format is not None and attribute.format not in (known := FORMATS.get(attribute.type, {})):
                expected = f"expected {' or '.join(known)}" if known else "which only date and float have"
                raise ValueError(f"{name} has the format {attribute.format}, {expected}")
        return attributes

    @classmethod
    def reserves(cls, name: str) -> bool:
        """Whether no mapping may set it: identity, sent by the delivery itself, and what people decide at the CRM."""
        raise NotImplementedError

    @staticmethod
    def own_name(field: str) -> str | None:
        """The attribute of a custom field that has no line; None when it has no name that the CRM takes."""
        return attribute_name(field)

    @cached_property
    def version(self) -> str:
        """16 hex digits that change with the meaning of the file, not with its comments."""
        # What is not said stays out: else a new key in this file would send every contact again.
        canonical = json.dumps(self.model_dump(mode="json", exclude_none=True), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @cached_property
    def _ways(self) -> list[tuple[str, str, str | None, Way]]:
        """Of each attribute its name, its source, the custom field if it is one, and how that is read."""
        return [
            (name, one.source, one.source.removeprefix(CUSTOM) if one.source.startswith(CUSTOM) else None, one.way())
            for name, one in self.attributes.items()
        ]

    def of_type(self, kind: AttributeType) -> frozenset[str]:
        """Names of the attributes that have a line of this type."""
        return frozenset(name for name, one in self.attributes.items() if one.type is kind)

    def owns(self, name: str) -> bool:
        """Whether this mapping may write the attribute, and so also clear it."""
        return name in self.attributes or (
            self.custom_fields == "all" and name not in self.phones and not self.reserves(name)
        )

    def by_own_name(self, custom_fields: Mapping[str, Any]) -> Mapping[str, str | None]:
        """For `custom_fields = "all"`: field -> attribute, None where the name is unusable or taken."""
        if self.custom_fields != "all" or not custom_fields:
            return {}
        return self._own_names(tuple(custom_fields))

    @cached_property
    def _own_names(self) -> Callable[[tuple[str, ...]], Mapping[str, str | None]]:
        """`_found_own_names`, which remembers: contacts of the same origin have the same custom fields."""
        return lru_cache(maxsize=_SETS_OF_FIELDS)(self._found_own_names)

    def _found_own_names(self, custom_fields: tuple[str, ...]) -> Mapping[str, str | None]:
        mapped = {attribute.source for attribute in self.attributes.values()}
        taken: set[str | None] = {*self.phones, *self.attributes}
        found: dict[str, str | None] = {}
        for field in sorted(custom_fields):
            if CUSTOM + field in mapped:
                continue
            name = self.own_name(field)
            found[field] = None if name is None or name in taken or self.reserves(name) else name
            taken.add(name)
        return found

    def lines(self, record: Mapping[str, Any], custom: Mapping[str, Any]) -> list[tuple[str | None, str, object, Way]]:
        """Of each mapped field, blank or not: its attribute, if it has one, the field, its value, how to read it.

        `record` is a row of crm_contacts, `custom` its custom fields.
        """
        first, last = normalize.names_of(record)
        named = {**record, "first_name": first, "last_name": last}
        return [
            (name, source, custom.get(field) if field else named.get(source), way)
            for name, source, field, way in self._ways
        ] + [
            (name, CUSTOM + field, custom[field], NATURAL_WAYS[natural_type(custom[field])])
            for field, name in self.by_own_name(custom).items()
        ]

    def apply(self, record: Mapping[str, Any], *, region: str | None, account: Account | None = None) -> MappedValues:
        """What is sent of a contact, in the types of the account (None: not known, then in those of the mapping).

        `record` is a row of crm_contacts; `region` the country of phone numbers without a country code.
        """
        values: dict[str, Value] = {}
        warnings: list[str] = []
        left_out: list[str] = []
        for name, source, raw, way in self.lines(record, record.get("custom_fields") or {}):
            if raw is None:
                continue
            value, remark, misfit = self.fitting(name, raw, way, region, account)
            if remark:
                warnings.append(f"{(normalize.text(source) or '')[:80]} {remark}")
            if name is not None:
                if value is not None:
                    values[name] = value
                if misfit:
                    left_out.append(name)
        return MappedValues(values, tuple(warnings), frozenset(left_out))

    def fitting(self, name: str | None, raw: object, way: Way, region: str | None, account: Account | None) -> Fitting:
        """A field as it is sent as the attribute `name`: brought to the way's type, then to that of the account."""
        value, remark = convert(raw, way, region)
        misfit = remark is not None and remark.startswith(LEFT_OUT)
        # `_refit` by itself would do; this is asked for each value of each contact, and most stay as they are.
        if value is None or (name is not None and (account is None or type(value) in account.as_is.get(name, ()))):
            return value, remark, misfit
        value, remark, unfit = self._refit(name, value, remark, account)
        return value, remark, misfit or unfit

    def _refit(self, name: str | None, value: Value, remark: str | None, account: Account | None) -> Fitting:
        """A value of the mapping's type, with the remark that it has, as the account takes it."""
        if name is None:
            why = "left out: it has no attribute name of its own, so name one in the mapping file"
            return None, why, False
        if account is None or name in self.phones:
            return value, remark, False
        fitted, left_out = account.fit(name, value)
        if left_out is None:
            return fitted, remark, False
        return fitted, left_out if remark is None else f"{remark}; {left_out}", True


M = TypeVar("M", bound=FieldMapping)


def read_mapping(kind: type[M], file: Path, variable: str) -> M:
    """Read and validate a mapping file of this kind. Raises MappingError with the file and the key.

    `variable` is the environment variable that names the file.
    """
    try:
        return kind.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        problem = error.strerror or "it cannot be read"
    except UnicodeDecodeError:
        problem = "it is not UTF-8"
    except tomllib.TOMLDecodeError as error:
        problem = f"it is not TOML, {error}"
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in detail["loc"] if part != "[key]")
        problem = f"{key}: {detail['msg'].removeprefix('Value error, ')}"
    raise MappingError(f"The mapping file {file} ({variable}) cannot be used: {problem}. Correct it.")
