"""What a workflow of n8n tells about a contact, with the checks of what comes from outside.

The names are those of the original system. Ours are `error`; `name`, `first_name`, `last_name` and `custom_fields` in
`enriched_data`; `source` and `version` in `metadata`, of which both spellings of the original's documents are known.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    model_validator,
)

from crm_pipelines.api.models import CustomFields, Moment, RequestBody, few_names, storable, storable_object
from crm_pipelines.contacts.enriching import Offer
from crm_pipelines.crms.phones import e164
from crm_pipelines.settings.values import CUSTOM_FIELD

_MOST_CALLS = 1_000_000_000
_FIRST_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)

COMPANY = {
    "name": "company",
    "website": "company_website",
    "industry": "company_industry",
    "size": "company_size",
    "description": "company_description",
}
"""The custom field that each part of a company goes to. Those of an address and of profiles have the part's name."""


def _as_text(value: Any) -> Any:
    """Workflows give numbers where texts are meant: the size of a company, a zip code."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _of_our_time(moment: datetime) -> datetime:
    """What is none, such as the year 1, is a mistake; in UTC it may be a year that no datetime can hold."""
    if moment < _FIRST_MOMENT:
        raise ValueError("it is before 1970")
    return moment


Phone = Annotated[Annotated[str, Field(max_length=50), AfterValidator(storable)] | None, BeforeValidator(_as_text)]
Short = Annotated[Annotated[str, Field(max_length=300), AfterValidator(storable)] | None, BeforeValidator(_as_text)]
Link = Annotated[str, Field(max_length=2_000), AfterValidator(storable)] | None
Long = Annotated[str, Field(max_length=10_000), AfterValidator(storable)] | None
Items = Annotated[
    list[Annotated[str, Field(max_length=300), AfterValidator(storable)]], Field(max_length=100, fail_fast=True)
]


class _Found(BaseModel):
    """A part of what was found. What is not known in it is kept, and goes to no field of the contact."""

    model_config = ConfigDict(extra="allow", str_strip_whitespace=True)

    _names = model_validator(mode="before")(few_names)

    @model_validator(mode="wrap")
    @classmethod
    def _bounded(cls, value: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        """What is too long by itself is named by its field; the whole, with what nobody knows, is bounded, too."""
        found = validate(value)
        storable_object(value)
        return found


class AddressFound(_Found):
    """A postal address."""

    street: Short = None
    city: Short = None
    state: Short = None
    zip: Short = None
    country: Short = None


class ProfilesFound(_Found):
    """Addresses of profiles."""

    linkedin: Link = None
    twitter: Link = None
    facebook: Link = None
    instagram: Link = None
    github: Link = None


class CompanyFound(_Found):
    """Where somebody works."""

    name: Short = None
    website: Link = None
    industry: Short = None
    size: Short = None
    description: Long = None


class EnrichedData(_Found):
    """What was found. `additional_emails` are kept, and never become the contact's address."""

    phone: Phone = None
    name: Short = Field(None, description="The whole name.")
    first_name: Short = None
    last_name: Short = None
    address: AddressFound | None = None
    social_profiles: ProfilesFound | None = None
    company: CompanyFound | None = None
    additional_emails: Items | None = None
    confidence_score: int | None = Field(None, ge=0, le=100)
    sources: Items | None = None
    custom_fields: CustomFields | None = Field(None, description="Values for custom fields of the contact, by name.")

    def offers(self, region: str | None) -> Iterator[Offer]:
        """What of it is meant for which field of the contact; `region` is that of phone numbers without a country."""
        if self.phone:
            yield _phone(self.phone, region)
        for name in ("name", "first_name", "last_name"):
            if value := getattr(self, name):
                yield Offer(field=name, value=value)
        custom = dict(self.custom_fields or {})
        for part, names in ((self.company, COMPANY), (self.address, None), (self.social_profiles, None)):
            known = {} if part is None else {name: getattr(part, name) for name in type(part).model_fields}
            for name, value in known.items():
                custom.setdefault(names[name] if names else name, value)
        for name, value in custom.items():
            if name.strip() and value not in (None, "", []):
                yield Offer(field=f"{CUSTOM_FIELD}{name}", value=value)


def _phone(text: str, region: str | None) -> Offer:
    try:
        return Offer(field="phone_number", value=e164(text, region))
    except ValueError as reason:
        return Offer(field="phone_number", value=None, problem=str(reason))


class EnrichmentMetadata(_Found):
    """How it was found. Every field may be missing."""

    enrichment_duration_seconds: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        validation_alias=AliasChoices("enrichment_duration_seconds", "duration_seconds"),
        description="Also as `duration_seconds`.",
    )
    api_calls_made: int | None = Field(
        None,
        ge=0,
        le=_MOST_CALLS,
        validation_alias=AliasChoices("api_calls_made", "api_calls"),
        description="Also as `api_calls`.",
    )
    cost_estimate: float | None = Field(None, ge=0, allow_inf_nan=False, description="For example in dollars.")
    source: Short = Field(None, description="Which workflow it was.")
    version: Short = None


class EnrichmentComplete(RequestBody):
    """A message of a workflow. `enrichment_id` is its own name for it, such as the id of its execution."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "contact_id": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
                    "enrichment_id": "execution-231",
                    "status": "complete",
                    "timestamp": "2026-01-31T12:00:00Z",
                    "enriched_data": {
                        "phone": "+12025550143",
                        "company": {"name": "Analytical Engines"},
                        "confidence_score": 85,
                        "sources": ["registry"],
                    },
                    "metadata": {"enrichment_duration_seconds": 12.5, "api_calls_made": 3, "cost_estimate": 0.15},
                }
            ]
        }
    )

    contact_id: UUID
    enrichment_id: Annotated[str, Field(min_length=1, max_length=255), AfterValidator(storable)]
    status: Literal["complete", "partial", "failed"]
    timestamp: Annotated[Moment, AfterValidator(_of_our_time)] = Field(
        description="When it was found. A message that is older than the latest one overwrites nothing."
    )
    enriched_data: EnrichedData | None = None
    metadata: EnrichmentMetadata | None = None
    error: Long = Field(None, description="Why it failed, or what is missing.")

    @property
    def found(self) -> dict[str, Any]:
        """What was found, without what is null."""
        data = self.enriched_data
        return {} if data is None else data.model_dump(mode="json", exclude_none=True)

    @property
    def digest(self) -> bytes:
        """The same for the same content. A retry may have another time, and another count of its calls."""
        content = {"status": self.status, "error": self.error, "found": self.found}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()


class EnrichmentAnswer(BaseModel):
    """What became of the message. `updated_fields` are the contact's, by their names."""

    success: Literal[True] = True
    contact_id: UUID
    enrichment_id: str
    message: str = Field(description="A sentence for people.")
    updated_fields: list[str] = Field(examples=[["phone_number", "custom_fields.company"]])
    kept_fields: dict[str, str] = Field(description="Fields that stay as they were, and why.")
    already: bool = Field(description="The message came before; nothing was changed by this one.")


class WebhookHealth(BaseModel):
    """That the secret is the right one."""

    status: Literal["healthy"] = "healthy"
    webhook_url: str
    authentication: Literal["configured"] = "configured"
    message: str
