"""What concerns one account of a CRM each: a destination.

A kind is a CRM product. The destination that is named like its kind is the first account; further ones have names, and
variables, of their own.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr
from pydantic_settings import SettingsConfigDict

from crm_pipelines.settings import values
from crm_pipelines.settings.environment import EnvironmentSettings


class CrmSettings(EnvironmentSettings):
    """What every CRM has: the schedule, the batches, the retry policy, the pace.

    `label` is the product's name for people, `credentials` the fields without which there is no account.
    `keeps_contacts`: whether it holds contacts that people can look up there.
    """

    kind: ClassVar[str]
    label: ClassVar[str]
    credentials: ClassVar[tuple[str, ...]]
    keeps_contacts: ClassVar[bool] = True

    _name: str | None = PrivateAttr(None)

    sync_scheduler_interval_minutes: Annotated[int, AfterValidator(values.evenly_spaced)] = Field(
        5,
        description="Minutes between two ticks of the schedule: a divisor of 60, or whole hours that divide a day.",
    )
    sync_scheduler_batch_size: int = Field(
        10,
        ge=1,
        le=1000,
        description="Smallest batch; a long queue gets larger ones, so that a run keeps few steps.",
    )
    sync_scheduler_max_instances: int = Field(1, ge=1, le=50, description="Runs of the job at the same time.")
    sync_prompt_seconds: int | None = Field(
        None,
        ge=10,
        le=3600,
        description="If set, a sensor looks every so many seconds whether a contact is due, and starts a run if none "
        "is active, beside the schedule. What that brings and costs: docs/deployment.md, Within seconds.",
    )
    sync_processes: int = Field(
        1,
        ge=1,
        le=32,
        description="Processes of a run. 1: all steps in one; more: one per step, so many at a time, which pays only "
        "where one processor is too slow for the account's rate.",
    )
    sync_max_retries: int = Field(3, ge=0, le=20, description="Retries after the first attempt.")
    sync_retry_delay_minutes: float = Field(5, gt=0, le=1440, description="Base delay before a retry.")
    sync_retry_exponential: bool = Field(
        True,
        description="true: the delay doubles with each retry (5, 10, 20); false: it grows evenly (5, 10, 15).",
    )
    mapping_file: Path | None = Field(
        None,
        description="TOML file that maps contact fields to the CRM's attributes. Unset: the one that is shipped.",
    )
    rate_limit_per_second: float = Field(
        10,
        gt=0,
        le=1000,
        description="Requests per second to this account, shared by all runs and machines. Unset: this many until "
        "the CRM's answers report the account's own limit. Set: never more than this.",
    )
    rate_limit_reserve_percent: float = Field(
        0,
        ge=0,
        le=95,
        description="Percent of the account's rate limit that is left to its other tools.",
    )

    @classmethod
    def of(cls, name: str, *, env_file: Path | None = None) -> Self:
        """The settings of the destination with this name. Raises pydantic.ValidationError."""
        settings = cls(_env_prefix=prefix_of(name), _env_file=env_file)
        settings._name = name
        return settings

    @property
    def name(self) -> str:
        """The destination's."""
        return self._name or self.kind

    @property
    def title(self) -> str:
        """The destination for people: the product, and the name of a further account of it."""
        return self.label if self.name == self.kind else f"{self.label} ({self.name})"

    def variable(self, field: str) -> str:
        """The environment variable that fills `field`."""
        return variable_of(self.name, field)

    @property
    def missing(self) -> str | None:
        """The variable that has to be set before anything can be sent; None when there are credentials."""
        return next((self.variable(field) for field in self.credentials if getattr(self, field) is None), None)

    @property
    def url(self) -> str:
        """Where the CRM is."""
        raise NotImplementedError

    def contact_page(self, remote_id: str) -> str | None:  # noqa: ARG002
        """Where people see the contact with this number in the CRM's own pages; None where that is not certain."""
        return None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret value, for scrubbers."""
        given = (getattr(self, field) for field in type(self).model_fields)
        return tuple(one.get_secret_value() for one in given if isinstance(one, SecretStr))


class BrevoSettings(CrmSettings):
    """Brevo."""

    model_config = SettingsConfigDict(env_prefix="BREVO_")
    kind = "brevo"
    label = "Brevo"
    credentials = ("api_key",)

    api_key: SecretStr | None = Field(
        None,
        description="Required for Brevo. Unset: its schedule and sensors skip, with that reason; nothing is sent.",
    )
    list_id: int | None = Field(
        None,
        ge=1,
        description="If set, contacts are added to this list with their first delivery to it, but for those who have "
        "left it.",
    )
    ext_id: Literal["keep", "ours"] = Field(
        "keep",
        description="What becomes of an EXT_ID that another system, a shop say, has given a contact at Brevo. keep: it "
        "stays, and ours is set only where there is none; ours: it is overwritten.",
    )
    api_base_url: Annotated[str, AfterValidator(values.base_url)] = Field(
        "https://api.brevo.com/v3", description="Where Brevo's API is."
    )
    bulk_threshold: int = Field(
        1000,
        ge=1,
        description="At or above this many due contacts, the bulk import is used where that is cheaper; a very large "
        "number: never. It puts contacts on a list: BREVO_LIST_ID's, else one named crm-pipelines, which is created. "
        "Who is on a block-list of Brevo goes one by one.",
    )

    @property
    def url(self) -> str:
        return self.api_base_url

    def contact_page(self, remote_id: str) -> str | None:
        """The same for every account."""
        return f"https://app.brevo.com/contact/index/{remote_id}"


class HubspotSettings(CrmSettings):
    """HubSpot."""

    model_config = SettingsConfigDict(env_prefix="HUBSPOT_")
    kind = "hubspot"
    label = "HubSpot"
    credentials = ("api_key",)

    api_key: SecretStr | None = Field(
        None,
        description="Required for HubSpot: a service key, or the token of an existing private app, that may read and "
        "write contacts. Unset: its schedule and sensors skip, with that reason; nothing is sent.",
    )
    list_id: int | None = Field(
        None,
        ge=1,
        description="If set, contacts are added to this list, which is of the type MANUAL or SNAPSHOT, with their "
        "first delivery to it, and never again. HubSpot does not tell who has left a list before.",
    )
    api_base_url: Annotated[str, AfterValidator(values.base_url)] = Field(
        "https://api.hubapi.com", description="Where HubSpot's API is."
    )
    api_version: str = Field(
        "v3",
        pattern=r"^(v\d|20\d\d-\d\d)$",
        description="Version of HubSpot's API, as it stands in paths: `v3`, or a dated one such as `2026-03`.",
    )

    @property
    def url(self) -> str:
        return self.api_base_url


class MauticSettings(CrmSettings):
    """Mautic."""

    model_config = SettingsConfigDict(env_prefix="MAUTIC_")
    kind = "mautic"
    label = "Mautic"
    credentials = ("base_url", "client_id", "client_secret")

    base_url: Annotated[str, AfterValidator(values.site_url)] | None = Field(
        None,
        description="Required for Mautic: where it is, such as `https://mautic.example.com`; http only to a host of "
        "your own network, by its private address or a name such as `mautic` or `mautic.internal`. Unset: its "
        "schedule and sensors skip, with that reason; nothing is sent.",
    )
    client_id: str | None = Field(
        None,
        description="Required for Mautic: of API credentials of the type OAuth 2 (Mautic: Settings, API Credentials).",
    )
    client_secret: SecretStr | None = Field(None, description="Required for Mautic: the secret of these credentials.")
    segment_id: int | None = Field(
        None,
        ge=1,
        description="If set, contacts are added to this segment with their first delivery to it, and never again. "
        "Mautic does not tell who has left a segment before.",
    )
    contacts_per_request: int = Field(
        50,
        ge=1,
        le=200,
        description="Contacts in one request; Mautic saves them one by one and takes 200 at most. Fewer for an "
        "instance that does not answer in time, or whose `api_batch_max_limit` is lower.",
    )
    rate_limit_per_second: float = Field(
        2,
        gt=0,
        le=1000,
        description="Requests per second to this instance, shared by all runs and machines. Unset: this many, since "
        "one request is work for seconds, until Mautic's answers report a limit of its own. Set: never more than this.",
    )

    @property
    def url(self) -> str:
        return self.base_url or ""

    def contact_page(self, remote_id: str) -> str | None:
        """Of this installation."""
        return f"{self.url.rstrip('/')}/s/contacts/view/{remote_id}" if self.url else None


class N8nSettings(CrmSettings):
    """n8n."""

    model_config = SettingsConfigDict(env_prefix="N8N_")
    kind = "n8n"
    label = "n8n"
    credentials = ("webhook_url", "webhook_secret")
    keeps_contacts = False

    webhook_url: Annotated[SecretStr, AfterValidator(values.webhook_url)] | None = Field(
        None,
        description="Required for n8n: the production URL of the workflow's Webhook node, with https; http only to a "
        "host of your own network, by its private address or a name such as `localhost`, `n8n` or `n8n.internal`. "
        "It is kept like a secret, since whoever knows it may run the workflow.",
    )
    webhook_secret: SecretStr | None = Field(
        None,
        description="Required for n8n: sent as a bearer token, what requests are signed with, and what a workflow must "
        "show that tells what it found out.",
    )
    at_most_once: bool = Field(
        False,
        description="true: a contact whose answer was lost is not sent again by itself, since the workflow may have "
        "run; it is in Error with the kind `unknown` until a person decides.",
    )
    enrichment_overwrite: Annotated[str, AfterValidator(values.enriched_fields)] | None = Field(
        None,
        description="Fields, separated by commas, that what a workflow found may overwrite: `phone_number`, `name`, "
        "`first_name`, `last_name`, `custom_fields.NAME`. All others are filled where they are blank only; the address "
        "is never changed.",
    )

    @property
    def url(self) -> str:
        """Scheme, host and port: the rest is secret."""
        return "" if self.webhook_url is None else values.origin_of(self.webhook_url.get_secret_value())

    @property
    def overwritten(self) -> frozenset[str]:
        """Fields of a contact that what a workflow found may overwrite."""
        return frozenset(values.listed(self.enrichment_overwrite or ""))

    @property
    def secrets(self) -> tuple[str, ...]:
        """With the address's path, which tells as much as the whole of it."""
        path = "" if self.webhook_url is None else urlsplit(self.webhook_url.get_secret_value()).path.strip("/")
        return tuple(filter(None, (*super().secrets, path)))


KINDS: dict[str, type[CrmSettings]] = {
    settings.kind: settings for settings in (BrevoSettings, HubspotSettings, MauticSettings, N8nSettings)
}
"""The CRM products that contacts can be delivered to, by name."""


def prefix_of(name: str) -> str:
    """How the variables of a destination begin."""
    return f"{name}_".upper()


def variable_of(name: str, field: str) -> str:
    """The environment variable that fills `field` of the destination with this name."""
    return f"{prefix_of(name)}{field}".upper()
