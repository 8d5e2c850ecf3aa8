"""Every environment variable that crm-pipelines reads, typed and validated.

`load_settings()` is the only reader. A `.env` file in the project folder is read too; the environment wins. A blank
value counts as unset. The configuration reference in `docs/configuration.md` is generated from the field
descriptions here.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, HttpUrl, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from crm_pipelines.errors import SettingsError
from crm_pipelines.postgres_urls import read_postgres_url

STATUS_PAGE_NAME = "crm-pipelines.localhost"
"""The status page's own name on this machine: browsers keep cookies by name, and not by port.

Chromium and Firefox (84 and later) lead every name in `.localhost` to this machine, as RFC 6761 has it; Safari leaves
it to macOS, which knows `localhost` alone.
"""

_HOST_NAME = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")


def project_folder() -> Path:
    """The folder that holds `dagster.yaml`: the checkout, or else the current folder."""
    checkout = Path(__file__).resolve().parent.parent
    return checkout if (checkout / "dagster.yaml").is_file() else Path.cwd()


def _evenly_spaced(minutes: int) -> int:
    # Cron cannot say "every 7 minutes": */7 restarts at each full hour and leaves a gap of 4.
    if not (1 <= minutes <= 1440) or (60 % minutes and minutes % 60) or (minutes > 60 and 1440 % minutes):
        raise ValueError(
            "expected minutes that divide an hour (such as 1, 5, 15, 30, 60) or whole hours that divide a day"
        )
    return minutes


def _postgres_url(value: str) -> str:
    """The driver is always psycopg 3."""
    return read_postgres_url(value).render_as_string(hide_password=False)


def _dagster_postgres_url(value: str) -> str:
    if not value.startswith("postgresql+psycopg2://"):
        raise ValueError(
            "expected a URL that begins with postgresql+psycopg2:// "
            "(with SQLAlchemy 2.1 a plain postgresql:// selects a driver on which Dagster's storage fails)"
        )
    return value


def _base_url(value: str) -> str:
    HttpUrl(value)
    return value.rstrip("/")


def _parts(value: SecretStr, expected: str) -> SplitResult:
    """The parts of a URL that is a secret, or holds one: no error quotes it."""
    try:
        url = urlsplit(value.get_secret_value())
        valid = bool(url.hostname) and url.port != 0
    except ValueError:  # its text quotes the port or the host
        valid = False
    if not valid:
        raise ValueError(expected)
    return url


def _secret_url(value: SecretStr) -> SecretStr:
    expected = "expected a URL that begins with https:// or http://"
    if _parts(value, expected).scheme not in {"http", "https"}:
        raise ValueError(expected)
    return value


def _smtp_url(value: SecretStr) -> SecretStr:
    expected = "expected smtp://user:password@host:587 or smtps://user:password@host:465"
    url = _parts(value, expected)
    options = parse_qs(url.query, keep_blank_values=True)
    if url.scheme not in {"smtp", "smtps"} or url.path not in {"", "/"}:
        raise ValueError(expected)
    if options and (options != {"starttls": ["never"]} or url.scheme == "smtps"):
        raise ValueError(f"{expected}; the only option is ?starttls=never, for smtp://")
    if options and url.password:
        raise ValueError("with ?starttls=never there can be no password, since it would be sent in the clear")
    return value


def _sentry_dsn(value: SecretStr) -> SecretStr:
    expected = "expected a DSN such as https://key@host/project"
    url = _parts(value, expected)
    if url.scheme not in {"http", "https"} or not url.username or not url.path.strip("/"):
        raise ValueError(expected)
    return value


def _addresses(value: str) -> str:
    """Addresses separated by commas, in the form in which they may stand in a header of a message."""
    try:
        valid = [
            validate_email(one.strip(), check_deliverability=False, allow_smtputf8=False).ascii_email
            for one in value.split(",")
        ]
    except EmailNotValidError:
        raise ValueError("expected e-mail addresses separated by commas") from None
    return ", ".join(str(one) for one in valid)


def _address(value: str) -> str:
    if "," in _addresses(value):
        raise ValueError("expected one e-mail address")
    return _addresses(value)


def _host_names(value: str) -> str:
    names = _listed(value)
    if not names or any(not _HOST_NAME.fullmatch(name) for name in names):
        raise ValueError("expected host names separated by commas, without scheme and port")
    return ", ".join(names)


def _origins(value: str) -> str:
    origins = _listed(value)
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}":
            raise ValueError("expected origins such as https://app.example.com, separated by commas")
    return ", ".join(origins)


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


class _EnvironmentSettings(BaseSettings):
    model_config = SettingsConfigDict(
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _blank_is_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if not isinstance(value, str) or value.strip()}


class StorageSettings(_EnvironmentSettings):
    """Where contacts, Dagster's own records and local files live."""

    crm_database_url: Annotated[str, AfterValidator(_postgres_url)] | None = Field(
        None, description="The contacts database. Unset: the embedded Postgres."
    )
    dagster_postgres_url: Annotated[str, AfterValidator(_dagster_postgres_url)] | None = Field(
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


class CrmSettings(_EnvironmentSettings):
    """What every CRM has: the schedule, the batches and the retry policy."""

    sync_scheduler_interval_minutes: Annotated[int, AfterValidator(_evenly_spaced)] = Field(
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


class BrevoSettings(CrmSettings):
    """Brevo."""

    model_config = SettingsConfigDict(env_prefix="BREVO_")

    api_key: SecretStr | None = Field(
        None,
        description="Required for Brevo. Unset: its schedule and sensors skip, with that reason; nothing is claimed.",
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
    api_base_url: Annotated[str, AfterValidator(_base_url)] = Field(
        "https://api.brevo.com/v3", description="Where Brevo's API is."
    )
    mapping_file: Path | None = Field(
        None,
        description="TOML file that maps contact fields to Brevo attributes. Unset: the one that is shipped.",
    )
    rate_limit_per_second: float = Field(
        10,
        gt=0,
        le=1000,
        description="Requests per second to this account, shared by all runs and machines. Unset: this many until "
        "Brevo's answers report the account's own limit. Set: never more than this.",
    )
    rate_limit_reserve_percent: float = Field(
        0,
        ge=0,
        le=95,
        description="Percent of the account's rate limit that is left to its other tools.",
    )
    bulk_threshold: int = Field(
        1000,
        ge=1,
        description="At or above this many due contacts, the bulk import is used where that is cheaper; a very large "
        "number: never. It puts contacts on a list: BREVO_LIST_ID's, else one named crm-pipelines, which is created. "
        "Who is on a block-list of Brevo goes singly.",
    )


class GeneralSettings(_EnvironmentSettings):
    """What concerns all CRMs."""

    crm_phone_region: str | None = Field(
        None,
        pattern=r"^[A-Z]{2}$",
        description="Country (two letters, such as US) of phone numbers written without a country code. "
        "Unset: such numbers are left out, with a warning in the contact's record.",
    )


class RetentionSettings(_EnvironmentSettings):
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


class AlertSettings(_EnvironmentSettings):
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
    reminder_minutes: int = Field(
        240, ge=1, description="Tell again after this many minutes, for as long as it lasts. In between: nothing."
    )


class ChannelSettings(_EnvironmentSettings):
    """Where people are told; the log always has it too."""

    alert_slack_webhook_url: Annotated[SecretStr, AfterValidator(_secret_url)] | None = Field(
        None, description="Slack's incoming webhook. The URL is a secret."
    )
    alert_webhook_url: Annotated[SecretStr, AfterValidator(_secret_url)] | None = Field(
        None, description="A webhook of your own: gets JSON by POST. The URL is treated as a secret."
    )
    alert_webhook_secret: SecretStr | None = Field(
        None, description="Signs what the webhook gets (docs/runbook.md says how to verify it). Unset: no signature."
    )
    alert_email_to: Annotated[str, AfterValidator(_addresses)] | None = Field(
        None, description="E-mail addresses, separated by commas."
    )
    alert_email_from: Annotated[str, AfterValidator(_address)] | None = Field(
        None, description="Sender of the e-mails. Unset: the first of ALERT_EMAIL_TO."
    )
    smtp_url: Annotated[SecretStr, AfterValidator(_smtp_url)] = Field(
        SecretStr("smtp://localhost:25"),
        description="Mail server. `smtps://user:password@host:465`: TLS from the start. "
        "`smtp://user:password@host:587`: STARTTLS, demanded unless the host is this machine or `?starttls=never` is "
        "added.",
    )
    sentry_dsn: Annotated[SecretStr, AfterValidator(_sentry_dsn)] | None = Field(
        None, description="Sentry's DSN. Only alerts are sent there, no traces and no data."
    )
    dagster_ui_url: Annotated[str, AfterValidator(_base_url)] | None = Field(
        None, description="Where people open Dagster's pages, for the links in alerts. Unset: no links."
    )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret value, and the password within a URL, for the scrubber of what leaves this process."""
        given = [self.alert_slack_webhook_url, self.alert_webhook_url, self.alert_webhook_secret, self.sentry_dsn]
        values = [one.get_secret_value() for one in given if one is not None]
        password = urlsplit(self.smtp_url.get_secret_value()).password
        return (*values, *([password, unquote(password)] if password else []))


class ApiSettings(_EnvironmentSettings):
    """The HTTP API and the status page."""

    model_config = SettingsConfigDict(env_prefix="API_")

    allowed_hosts: Annotated[str, AfterValidator(_host_names)] = Field(
        f"localhost, 127.0.0.1, [::1], {STATUS_PAGE_NAME}",
        description="Names under which people and programs reach it, separated by commas, without ports. A request "
        "for another name is refused, so that no web page can use a browser to get in.",
    )
    cors_origins: Annotated[str, AfterValidator(_origins)] | None = Field(
        None,
        description="Origins (`https://app.example.com`), separated by commas, whose web pages may call the API. "
        "Unset: none.",
    )
    requests_per_minute: int = Field(1200, ge=1, description="Requests that one token may make in a minute.")
    dagster_url: Annotated[str, AfterValidator(_base_url)] = Field(
        "http://127.0.0.1:3000", description="Where the API finds Dagster's web server, to have a run started at once."
    )

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(_listed(self.allowed_hosts))

    @property
    def origins(self) -> tuple[str, ...]:
        return tuple(_listed(self.cors_origins or ""))


@dataclass(frozen=True)
class Settings:
    """All settings of this process."""

    storage: StorageSettings
    general: GeneralSettings
    brevo: BrevoSettings
    retention: RetentionSettings
    alerts: AlertSettings
    channels: ChannelSettings
    api: ApiSettings


GROUPS: tuple[type[_EnvironmentSettings], ...] = (
    StorageSettings,
    GeneralSettings,
    BrevoSettings,
    RetentionSettings,
    AlertSettings,
    ChannelSettings,
    ApiSettings,
)


def variable_name(group: type[BaseSettings], field: str) -> str:
    """The environment variable that fills `field` of `group`."""
    return f"{group.model_config.get('env_prefix', '')}{field}".upper()


def load_settings() -> Settings:
    """Read and validate the environment and `.env`.

    Raises SettingsError that names every bad variable and what was expected, never the value.
    """
    loaded: list[Any] = []
    problems: list[str] = []
    for group in GROUPS:
        try:
            loaded.append(group(_env_file=project_folder() / ".env"))
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_input=False):
                name = variable_name(group, str(detail["loc"][0]))
                problems.append(f"{name}: {detail['msg'].removeprefix('Value error, ')}")
        except UnicodeDecodeError:
            raise SettingsError("The file .env is not text in UTF-8. Save it in that encoding.") from None
        except OSError as error:
            raise SettingsError(f"The file .env cannot be read: {error.strerror}.") from None
    if problems:
        raise SettingsError(f"Wrong settings. {'; '.join(problems)}. Correct the environment or the file .env.")
    storage, general, brevo, retention, alerts, channels, api = loaded
    return Settings(
        storage=storage,
        general=general,
        brevo=brevo,
        retention=retention,
        alerts=alerts,
        channels=channels,
        api=api,
    )
