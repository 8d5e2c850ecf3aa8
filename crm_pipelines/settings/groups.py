"""What concerns no single CRM."""

from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from crm_pipelines.settings import values
from crm_pipelines.settings.destinations import destination_names
from crm_pipelines.settings.environment import EnvironmentSettings, project_folder

STATUS_PAGE_NAME = "crm-pipelines.localhost"
"""The status page's own name on this machine: browsers keep cookies by name, and not by port.

Chromium and Firefox (84 and later) lead every name in `.localhost` to this machine, as RFC 6761 has it; Safari leaves
it to macOS, which knows `localhost` alone.
"""


class StorageSettings(EnvironmentSettings):
    """Where contacts, Dagster's own records and local files live."""

    crm_database_url: Annotated[str, AfterValidator(values.postgres_url)] | None = Field(
        None, description="The contacts database. Unset: the embedded Postgres."
    )
    dagster_postgres_url: Annotated[str, AfterValidator(values.dagster_postgres_url)] | None = Field(
        None,
        description="Dagster's own storage, `postgresql+psycopg2://…`. "
        "Unset: a database named `dagster` on the server of the contacts database.",
    )
    dagster_home: Path = Field(
        default_factory=project_folder, description="Folder of `dagster.yaml`. Unset: the project folder."
    )
    crm_pipelines_data_dir: Path = Field(
        default_factory=lambda: project_folder() / ".data",
        description="Where the embedded Postgres and local files live. Unset: `.data` in the project folder.",
    )
    crm_postgres_bin: Path | None = Field(
        None,
        description="Folder with the programs `postgres` and `initdb` that the embedded Postgres is to use.",
    )


class GeneralSettings(EnvironmentSettings):
    """What concerns all CRMs."""

    crm_destinations: Annotated[str, AfterValidator(destination_names)] | None = Field(
        None,
        description="Where contacts are delivered to, separated by commas: `NAME`, or `NAME:KIND` for a further "
        "account of a CRM. The variables of `brevo_eu:brevo` begin with `BREVO_EU_`. Unset: `brevo`, and every CRM "
        "that has its credentials.",
    )
    crm_phone_region: Annotated[str, AfterValidator(values.country)] | None = Field(
        None,
        description="Country (two letters, such as US) of phone numbers written without a country code. "
        "Unset: such numbers are left out, with a warning in the contact's record.",
    )


class RetentionSettings(EnvironmentSettings):
    """How long history is kept; the job prune_history deletes what is older, every night."""

    model_config = SettingsConfigDict(env_prefix="KEEP_")

    runs_days: int = Field(
        30, ge=7, le=3650, description="Days to keep ended runs in Dagster's pages, with their logs and plots."
    )
    attempts_days: int = Field(
        90, ge=31, le=3650, description="Days to keep the ledger of deliveries, `crm_attempts`, per contact."
    )
    audit_days: int = Field(
        365, ge=31, le=3650, description="Days to keep the audit log of the API and the status page, `crm_api_writes`."
    )


class AlertSettings(EnvironmentSettings):
    """When people are told."""

    model_config = SettingsConfigDict(env_prefix="ALERT_")

    error_backlog: int = Field(50, ge=1, description="Alert at this many contacts that have failed for good, per CRM.")
    failure_rate_percent: float = Field(
        50,
        gt=0,
        le=100,
        description="Alert when this share of the last hour's attempts has failed, once there were 20, per CRM.",
    )
    oldest_due_minutes: int = Field(
        60, ge=1, description="Alert when a due contact has waited for this many minutes, per CRM."
    )
    delay_p95_minutes: float | None = Field(
        None,
        gt=0,
        description="Alert when the 95th percentile of the delay from an edit or a selection to the CRM is longer than "
        "so many minutes, per CRM; who still waits counts too. Unset: no such alert.",
    )
    reminder_minutes: int = Field(
        240, ge=1, description="Tell again after this many minutes, for as long as it lasts. In between: nothing."
    )


class ChannelSettings(EnvironmentSettings):
    """Where people are told; the log always has it too."""

    alert_slack_webhook_url: Annotated[SecretStr, AfterValidator(values.secret_url)] | None = Field(
        None, description="Slack's incoming webhook. The URL is a secret."
    )
    alert_webhook_url: Annotated[SecretStr, AfterValidator(values.secret_url)] | None = Field(
        None, description="A webhook of your own: gets JSON by POST. The URL is treated as a secret."
    )
    alert_webhook_secret: SecretStr | None = Field(
        None, description="Signs what the webhook gets (docs/runbook.md says how to verify it). Unset: no signature."
    )
    alert_email_to: Annotated[str, AfterValidator(values.addresses)] | None = Field(
        None, description="E-mail addresses, separated by commas."
    )
    alert_email_from: Annotated[str, AfterValidator(values.address)] | None = Field(
        None, description="Sender of the e-mails. Unset: the first of ALERT_EMAIL_TO."
    )
    smtp_url: Annotated[SecretStr, AfterValidator(values.smtp_url)] = Field(
        SecretStr("smtp://localhost:25"),
        description="Mail server. `smtps://user:password@host:465`: TLS from the start. "
        "`smtp://user:password@host:587`: STARTTLS, demanded unless the host is this machine or `?starttls=never` is "
        "added.",
    )
    sentry_dsn: Annotated[SecretStr, AfterValidator(values.sentry_dsn)] | None = Field(
        None, description="Sentry's DSN. Only alerts are sent there, no traces and no data."
    )
    dagster_ui_url: Annotated[str, AfterValidator(values.base_url)] | None = Field(
        None, description="Where people open Dagster's pages, for the links in alerts. Unset: no such links."
    )
    status_page_url: Annotated[str, AfterValidator(values.base_url)] | None = Field(
        None,
        description="Where people open the status page, such as `https://crm.example.com`, for the links in alerts and "
        "at the daily report. Unset: no such links.",
    )
    docs_url: Annotated[str, AfterValidator(values.base_url)] | None = Field(
        None,
        description="Where people open the folder `docs` of this project, such as "
        "`https://git.example.com/crm-pipelines/blob/main/docs`: alerts link to the section that says what to do, and "
        "the status page to the glossary. Unset: they name it.",
    )

    @property
    def glossary_url(self) -> str | None:
        """Where people read what the words mean; None while `docs_url` is not set."""
        return self.docs_url and f"{self.docs_url.rstrip('/')}/glossary.md"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret value, and the password within a URL, for the scrubber of what leaves this process."""
        given = [self.alert_slack_webhook_url, self.alert_webhook_url, self.alert_webhook_secret, self.sentry_dsn]
        values = [one.get_secret_value() for one in given if one is not None]
        password = urlsplit(self.smtp_url.get_secret_value()).password
        return (*values, *([password, unquote(password)] if password else []))


class ApiSettings(EnvironmentSettings):
    """The HTTP API and the status page."""

    model_config = SettingsConfigDict(env_prefix="API_")

    allowed_hosts: Annotated[str, AfterValidator(values.host_names)] = Field(
        f"localhost, 127.0.0.1, [::1], {STATUS_PAGE_NAME}",
        description="Names under which people and programs reach it, separated by commas, without ports. A request "
        "for another name is refused, so that no web page can use a browser to get in.",
    )
    cors_origins: Annotated[str, AfterValidator(values.origins)] | None = Field(
        None,
        description="Origins (`https://app.example.com`), separated by commas, whose web pages may call the API. "
        "Unset: none.",
    )
    requests_per_minute: int = Field(1200, ge=1, description="Requests that one token may make in a minute.")
    dagster_url: Annotated[str, AfterValidator(values.base_url)] = Field(
        "http://127.0.0.1:3000", description="Where the API finds Dagster's web server, to have a run started at once."
    )

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(values.listed(self.allowed_hosts))

    @property
    def origins(self) -> tuple[str, ...]:
        return tuple(values.listed(self.cors_origins or ""))
