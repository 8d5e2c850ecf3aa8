"""What requests say and answers tell, with the checks of what comes from outside."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    model_validator,
)

from crm_pipelines.contacts.filters import ContactFilter
from crm_pipelines.files.addresses import usable_address
from crm_pipelines.files.cleaning import LONGEST_CELL

MOST_IDS = 100_000
CONFIRM_ABOVE = 1000
"""Contacts that a filter may match without the count having to be confirmed."""

_DEEPEST = 20
_MOST_NAMES = 100
_AN_ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


def storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL character cannot be stored")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half a surrogate pair cannot be stored") from None
    return text


def _blank_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def storable_object(value: dict[str, Any]) -> dict[str, Any]:
    if _is_deeper_than(_DEEPEST, value):
        raise ValueError(f"it is nested more than {_DEEPEST} deep")
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half a surrogate pair cannot be stored") from None
    except ValueError:
        raise ValueError("NaN and infinite numbers are no JSON") from None
    if "\\u0000" in json.dumps(value):
        raise ValueError("a NUL character cannot be stored")
    if len(text) > LONGEST_CELL:
        raise ValueError(f"it is longer than {LONGEST_CELL:,} characters")
    return value


def few_names(value: Any) -> Any:
    """Every name that nobody knows is a problem of its own, and so takes memory many times its size."""
    if isinstance(value, dict) and len(value) > _MOST_NAMES:
        raise ValueError(f"it has more than {_MOST_NAMES} names")
    return value


def _is_deeper_than(depth: int, value: Any) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return any(isinstance(one, dict | list) for one in level)


def _written_out(value: Any) -> Any:
    if not isinstance(value, str) or not value[:4].isdecimal() or value[4:5] != "-":
        raise ValueError("expected a time such as 2026-01-31T12:00:00Z")
    return value


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


# Which names there are is for the endpoints to say: api.destinations.
Crm = Annotated[str, BeforeValidator(_lower), Field(pattern=r"^[a-z][a-z0-9_]{0,29}$", examples=["brevo"])]
SyncStatus = Literal["New", "Selected", "Queued", "Processing", "Complete", "Error", "Skipped"]
Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]
Word = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(storable)]
Reason = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(storable)]
Text = Annotated[
    Annotated[str, Field(max_length=LONGEST_CELL), AfterValidator(storable)] | None, BeforeValidator(_blank_is_none)
]
Address = Annotated[str, Field(max_length=254), AfterValidator(storable), AfterValidator(usable_address)]
CustomFields = Annotated[dict[str, Any], AfterValidator(storable_object)]
# The first that is none ends it: a problem for each of a million would take memory many times the body's size.
Ids = Annotated[list[UUID], Field(min_length=1, max_length=MOST_IDS, fail_fast=True)]


class RequestBody(BaseModel):
    """A body. A field that is not known is refused: its name may be misspelt."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    _names = model_validator(mode="before")(few_names)


class Filter(RequestBody):
    """Contacts that match every condition that is given."""

    status: SyncStatus | None = Field(None, description="Sync status at the CRM that the request is about.")
    domain: Word | None = Field(None, description="The domain of the address, without the @.", examples=["example.com"])
    domain_id: UUID | None = None
    email_type: Word | None = None
    text: Word | None = Field(
        None,
        description="Each word stands somewhere in the name, the address or a text of the custom fields; case and "
        "accents are ignored. One or two letters: at the beginning of a word.",
    )
    created_since: Moment | None = Field(None, examples=["2026-01-01T00:00:00Z"])
    created_before: Moment | None = None

    def to_filter(self) -> ContactFilter:
        return ContactFilter(**self.model_dump())


class SelectRequest(RequestBody):
    """Contacts by id, the CRMs, and what is decided about them."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"contact_ids": [_AN_ID], "crms": ["brevo"], "action": "select"}]}
    )

    contact_ids: Ids
    crms: list[Crm] = Field(min_length=1, max_length=10)
    action: Literal["select", "unselect"] = "select"


class FilteredSelectRequest(RequestBody):
    """Contacts by filter. `dry_run` counts them; that count confirms a decision about more than a thousand."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"filter": {"status": "New", "domain": "example.com"}, "crms": ["brevo"], "dry_run": True}]
        }
    )

    filter: Filter = Field(default_factory=Filter)
    everyone: StrictBool = Field(False, description="Must be true if the filter has no condition.")
    crms: list[Crm] = Field(min_length=1, max_length=10)
    action: Literal["select", "unselect"] = "select"
    dry_run: StrictBool = Field(False, description="Change nothing; say how many it would be.")
    confirm: StrictInt | None = Field(
        None, ge=0, description=f"How many contacts you expect at most. Required above {CONFIRM_ABOVE}."
    )

    @model_validator(mode="after")
    def _says_whom(self) -> "FilteredSelectRequest":
        if self.everyone == any(value is not None for value in self.filter.model_dump().values()):
            raise ValueError("give either a filter or everyone: true")
        return self


class Refused(BaseModel):
    """A contact for which nothing was done."""

    contact_id: UUID
    crm: Crm | None = Field(description="null: all of them.")
    reason: Literal["not_found", "suppressed"]
    message: str


class Counts(BaseModel):
    """What became of the contacts at one CRM. `claimed` are being delivered, and are queued again afterwards.

    `unknown` may have arrived where nothing must be sent twice: a filter leaves them alone, their ids select them.
    """

    crm: Crm
    selected: int = 0
    already_queued: int = 0
    claimed: int = 0
    suppressed: int = 0
    unknown: int = 0
    unselected: int = 0
    unchanged: int = 0


class SelectAnswer(BaseModel):
    """Every id of the request is in a count or in `refused`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "action": "select",
                    "crms": [
                        {
                            "crm": "brevo",
                            "selected": 41,
                            "already_queued": 0,
                            "claimed": 0,
                            "suppressed": 1,
                            "unselected": 0,
                            "unchanged": 0,
                        }
                    ],
                    "refused": [
                        {
                            "contact_id": _AN_ID,
                            "crm": "brevo",
                            "reason": "suppressed",
                            "message": "Never sent, by a user's decision. /contacts/{id}/unsuppress lifts it.",
                        }
                    ],
                }
            ]
        }
    )

    action: Literal["select", "unselect"]
    crms: list[Counts]
    refused: list[Refused]


class FilteredSelectAnswer(BaseModel):
    """`contacts` matched (at most at one CRM); without `dry_run`, the counts say what became of them."""

    action: Literal["select", "unselect"]
    dry_run: bool
    contacts: int
    crms: list[Counts]


class SuppressRequest(RequestBody):
    """Never send this contact, nor anybody with its address; `crm` null: to no CRM."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"crm": "brevo", "reason": "objected by letter"}]})

    crm: Crm | None = None
    reason: Reason | None = None


class UnsuppressRequest(RequestBody):
    """Let this contact be selected again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "asked for it by phone"}]})

    crm: Crm | None = None
    reason: Reason


class SuppressionAnswer(BaseModel):
    """For which CRMs something changed."""

    contact_id: UUID
    crms: list[Crm]


class TriggerRequest(RequestBody):
    """The contact that is to go now."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"contact_id": _AN_ID, "crm": "brevo"}]})

    contact_id: UUID
    crm: Crm


class TriggerAnswer(BaseModel):
    """The contact is first in the queue. `run_id` is the run that takes it; null: `message` says why not."""

    contact_id: UUID
    crm: Crm
    outcome: Literal["selected", "already_queued", "claimed"]
    run_id: str | None = None
    run_url: str | None = None
    message: str


class RetryRequest(RequestBody):
    """Failed contacts by id, by the kind of their error, or all; ids and kind narrow each other down."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"crm": "brevo", "kind": "rejected", "dry_run": True}]})

    crm: Crm
    contact_ids: Ids | None = None
    kind: Word | None = None
    all: StrictBool = False
    dry_run: StrictBool = Field(False, description="Change nothing; say how many it would be.")

    @model_validator(mode="after")
    def _says_whom(self) -> "RetryRequest":
        if self.all == (self.contact_ids is not None or self.kind is not None):
            raise ValueError("give contact_ids, a kind, or all: true")
        return self


class RetryAnswer(BaseModel):
    """Contacts put back into the queue, waiting ones that are due now, and chosen ones that were neither.

    `unknown` of the last may have arrived where nothing must be sent twice. `all` leaves them alone. Kind `unknown` or
    their ids retry them.
    """

    crm: Crm
    requeued: int
    hastened: int
    other: int
    unknown: int = 0
    dry_run: bool
    not_found: list[UUID]


class _Fields(RequestBody):
    name: Text = Field(None, description="The whole name. If it is written alone, the two parts become unknown.")
    first_name: Text = Field(None, description="The whole name is then made from both parts.")
    last_name: Text = Field(None, description="The whole name is then made from both parts.")
    phone_number: Text = None
    email_type: Text = None
    has_gmail: StrictBool | None = None
    context: Text = None
    source_url: Text = None
    source_job_id: UUID | None = None
    domain_id: UUID | None = None
    page_id: UUID | None = None


class ContactIn(_Fields):
    """A contact. What is left out is blank."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"email": "ada@example.com", "name": "Ada Lovelace", "custom_fields": {"tier": "gold"}}]
        }
    )

    email: Address
    custom_fields: CustomFields = Field(default_factory=dict)


class ContactPatch(_Fields):
    """Changes of a contact. What is left out stays; `custom_fields` are replaced as a whole."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Ada King"}]})

    # Never used: only what is set counts. A factory keeps the value out of the schema.
    email: Address = Field(default_factory=str)
    custom_fields: CustomFields = Field(default_factory=dict)


class StandingOfContact(BaseModel):
    """The contact at one CRM, as the columns of the view `contacts` have it."""

    crm: Crm
    sync_status: SyncStatus
    processing_status: Literal["Queued", "Processing", "Complete", "Error"] | None
    processing_error: str | None
    remote_id: str | None


class ContactOut(BaseModel):
    """A contact with its status at every CRM."""

    id: UUID
    email: str | None
    name: str | None
    first_name: str | None = Field(description="null, with a null last_name too: known only as part of the name.")
    last_name: str | None
    phone_number: str | None
    email_type: str | None
    has_gmail: bool | None
    context: str | None
    source_url: str | None
    source_job_id: UUID | None
    domain_id: UUID | None
    page_id: UUID | None
    custom_fields: dict[str, Any]
    revision: int = Field(description="Grows with every change that could be sent.")
    created_at: datetime
    updated_at: datetime
    crms: list[StandingOfContact]
