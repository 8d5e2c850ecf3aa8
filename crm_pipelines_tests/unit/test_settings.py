"""Settings: names and defaults of the contract, and what a bad value is told."""

import os
import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from crm_pipelines import settings as module
from crm_pipelines.errors import SettingsError
from crm_pipelines.settings import (
    GROUPS,
    KINDS,
    BrevoSettings,
    N8nSettings,
    Settings,
    UnknownDestination,
    groups,
    load_settings,
    variable_name,
)
from crm_pipelines.settings.crms import prefix_of

SECRET = "s3cr3t-of-the-user"
DEFAULTS: dict[str, Any] = {
    "CRM_DATABASE_URL": None,
    "DAGSTER_POSTGRES_URL": None,
    "BREVO_API_KEY": None,
    "BREVO_LIST_ID": None,
    "BREVO_EXT_ID": "keep",
    "BREVO_API_BASE_URL": "https://api.brevo.com/v3",
    "BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES": 5,
    "BREVO_SYNC_SCHEDULER_BATCH_SIZE": 10,
    "BREVO_SYNC_SCHEDULER_MAX_INSTANCES": 1,
    "BREVO_SYNC_PROMPT_SECONDS": None,
    "BREVO_SYNC_MAX_RETRIES": 3,
    "BREVO_SYNC_RETRY_DELAY_MINUTES": 5,
    "BREVO_SYNC_RETRY_EXPONENTIAL": True,
    "BREVO_RATE_LIMIT_PER_SECOND": 10,
    "BREVO_BULK_THRESHOLD": 1000,
    "HUBSPOT_API_KEY": None,
    "HUBSPOT_LIST_ID": None,
    "HUBSPOT_API_BASE_URL": "https://api.hubapi.com",
    "HUBSPOT_API_VERSION": "v3",
    "HUBSPOT_SYNC_SCHEDULER_INTERVAL_MINUTES": 5,
    "HUBSPOT_SYNC_MAX_RETRIES": 3,
    "HUBSPOT_RATE_LIMIT_PER_SECOND": 10,
    "MAUTIC_BASE_URL": None,
    "MAUTIC_CLIENT_ID": None,
    "MAUTIC_CLIENT_SECRET": None,
    "MAUTIC_SEGMENT_ID": None,
    "MAUTIC_CONTACTS_PER_REQUEST": 50,
    "MAUTIC_RATE_LIMIT_PER_SECOND": 2,
    "N8N_WEBHOOK_URL": None,
    "N8N_WEBHOOK_SECRET": None,
    "N8N_AT_MOST_ONCE": False,
    "N8N_ENRICHMENT_OVERWRITE": None,
    "N8N_SYNC_SCHEDULER_INTERVAL_MINUTES": 5,
    "N8N_SYNC_MAX_RETRIES": 3,
    "N8N_RATE_LIMIT_PER_SECOND": 10,
}
GIVEN: dict[str, tuple[str, Any]] = {
    "CRM_DATABASE_URL": ("postgresql://u:p@h/db", "postgresql+psycopg://u:p@h/db"),
    "DAGSTER_POSTGRES_URL": ("postgresql+psycopg2://u:p@h/db", "postgresql+psycopg2://u:p@h/db"),
    "DAGSTER_HOME": ("/srv/dagster", Path("/srv/dagster")),
    "CRM_PIPELINES_DATA_DIR": ("/srv/data", Path("/srv/data")),
    "CRM_POSTGRES_BIN": ("/srv/bin", Path("/srv/bin")),
    "CRM_PHONE_REGION": ("de", "DE"),
    "ALERT_DELAY_P95_MINUTES": ("0.5", 0.5),
    "CRM_DESTINATIONS": (" Brevo , brevo_eu:brevo", "brevo,brevo_eu:brevo"),
    "BREVO_API_KEY": (f" {SECRET}\n", SECRET),
    "BREVO_LIST_ID": ("7", 7),
    "BREVO_EXT_ID": ("ours", "ours"),
    "BREVO_API_BASE_URL": ("http://127.0.0.1:8025/v3/", "http://127.0.0.1:8025/v3"),
    "BREVO_MAPPING_FILE": ("/srv/mapping.toml", Path("/srv/mapping.toml")),
    "BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES": ("15", 15),
    "BREVO_SYNC_SCHEDULER_BATCH_SIZE": ("25", 25),
    "BREVO_SYNC_SCHEDULER_MAX_INSTANCES": ("2", 2),
    "BREVO_SYNC_PROMPT_SECONDS": ("10", 10),
    "BREVO_SYNC_PROCESSES": ("4", 4),
    "BREVO_SYNC_MAX_RETRIES": ("0", 0),
    "BREVO_SYNC_RETRY_DELAY_MINUTES": ("0.5", 0.5),
    "BREVO_SYNC_RETRY_EXPONENTIAL": ("false", False),
    "BREVO_RATE_LIMIT_PER_SECOND": ("60", 60),
    "BREVO_RATE_LIMIT_RESERVE_PERCENT": ("20", 20),
    "BREVO_BULK_THRESHOLD": ("1", 1),
    "HUBSPOT_API_KEY": (f" {SECRET}\n", SECRET),
    "HUBSPOT_LIST_ID": ("7", 7),
    "HUBSPOT_API_BASE_URL": ("http://127.0.0.1:8026/", "http://127.0.0.1:8026"),
    "HUBSPOT_API_VERSION": ("2026-03", "2026-03"),
    "HUBSPOT_MAPPING_FILE": ("/srv/mapping.toml", Path("/srv/mapping.toml")),
    "HUBSPOT_SYNC_SCHEDULER_INTERVAL_MINUTES": ("15", 15),
    "HUBSPOT_SYNC_SCHEDULER_BATCH_SIZE": ("25", 25),
    "HUBSPOT_SYNC_SCHEDULER_MAX_INSTANCES": ("2", 2),
    "HUBSPOT_SYNC_PROMPT_SECONDS": ("10", 10),
    "HUBSPOT_SYNC_PROCESSES": ("4", 4),
    "HUBSPOT_SYNC_MAX_RETRIES": ("0", 0),
    "HUBSPOT_SYNC_RETRY_DELAY_MINUTES": ("0.5", 0.5),
    "HUBSPOT_SYNC_RETRY_EXPONENTIAL": ("false", False),
    "HUBSPOT_RATE_LIMIT_PER_SECOND": ("60", 60),
    "HUBSPOT_RATE_LIMIT_RESERVE_PERCENT": ("20", 20),
    "MAUTIC_BASE_URL": ("https://mautic.example.com/crm/api/", "https://mautic.example.com/crm"),
    "MAUTIC_CLIENT_ID": ("1_of_a_test", "1_of_a_test"),
    "MAUTIC_CLIENT_SECRET": (f" {SECRET}\n", SECRET),
    "MAUTIC_SEGMENT_ID": ("7", 7),
    "MAUTIC_CONTACTS_PER_REQUEST": ("20", 20),
    "MAUTIC_MAPPING_FILE": ("/srv/mapping.toml", Path("/srv/mapping.toml")),
    "MAUTIC_SYNC_SCHEDULER_INTERVAL_MINUTES": ("15", 15),
    "MAUTIC_SYNC_SCHEDULER_BATCH_SIZE": ("25", 25),
    "MAUTIC_SYNC_SCHEDULER_MAX_INSTANCES": ("2", 2),
    "MAUTIC_SYNC_PROMPT_SECONDS": ("10", 10),
    "MAUTIC_SYNC_PROCESSES": ("4", 4),
    "MAUTIC_SYNC_MAX_RETRIES": ("0", 0),
    "MAUTIC_SYNC_RETRY_DELAY_MINUTES": ("0.5", 0.5),
    "MAUTIC_SYNC_RETRY_EXPONENTIAL": ("false", False),
    "MAUTIC_RATE_LIMIT_PER_SECOND": ("60", 60),
    "MAUTIC_RATE_LIMIT_RESERVE_PERCENT": ("20", 20),
    "N8N_WEBHOOK_URL": (f"https://n8n.example.org/webhook/{SECRET}",) * 2,
    "N8N_WEBHOOK_SECRET": (f" {SECRET}\n", SECRET),
    "N8N_AT_MOST_ONCE": ("true", True),
    "N8N_ENRICHMENT_OVERWRITE": ("phone_number, name", "phone_number,name"),
    "N8N_MAPPING_FILE": ("/srv/mapping.toml", Path("/srv/mapping.toml")),
    "N8N_SYNC_SCHEDULER_INTERVAL_MINUTES": ("15", 15),
    "N8N_SYNC_SCHEDULER_BATCH_SIZE": ("25", 25),
    "N8N_SYNC_SCHEDULER_MAX_INSTANCES": ("2", 2),
    "N8N_SYNC_PROMPT_SECONDS": ("10", 10),
    "N8N_SYNC_PROCESSES": ("4", 4),
    "N8N_SYNC_MAX_RETRIES": ("0", 0),
    "N8N_SYNC_RETRY_DELAY_MINUTES": ("0.5", 0.5),
    "N8N_SYNC_RETRY_EXPONENTIAL": ("false", False),
    "N8N_RATE_LIMIT_PER_SECOND": ("60", 60),
    "N8N_RATE_LIMIT_RESERVE_PERCENT": ("20", 20),
    "KEEP_RUNS_DAYS": ("7", 7),
    "KEEP_ATTEMPTS_DAYS": ("400", 400),
    "KEEP_AUDIT_DAYS": ("400", 400),
    "ALERT_ERROR_BACKLOG": ("1", 1),
    "ALERT_FAILURE_RATE_PERCENT": ("12.5", 12.5),
    "ALERT_OLDEST_DUE_MINUTES": ("5", 5),
    "ALERT_REMINDER_MINUTES": ("30", 30),
    "ALERT_SLACK_WEBHOOK_URL": (f"https://hooks.slack.com/services/{SECRET}",) * 2,
    "ALERT_WEBHOOK_URL": (f"http://hooks.internal/{SECRET}",) * 2,
    "ALERT_WEBHOOK_SECRET": (SECRET, SECRET),
    "ALERT_EMAIL_TO": ("night@example.org,Day@Example.org", "night@example.org, Day@example.org"),
    "ALERT_EMAIL_FROM": ("crm@example.org", "crm@example.org"),
    "SMTP_URL": (f"smtps://u:{SECRET}@mail.example.org:465",) * 2,
    "SENTRY_DSN": (f"https://{SECRET}@sentry.example.org/1",) * 2,
    "DAGSTER_UI_URL": ("https://dagster.example.org/", "https://dagster.example.org"),
    "STATUS_PAGE_URL": ("https://crm.example.org/", "https://crm.example.org"),
    "DOCS_URL": ("https://git.example.org/docs/", "https://git.example.org/docs"),
    "API_ALLOWED_HOSTS": ("crm.example.org,[::1]", "crm.example.org, [::1]"),
    "API_CORS_ORIGINS": (
        "https://app.example.org,http://localhost:5173",
        "https://app.example.org, http://localhost:5173",
    ),
    "API_REQUESTS_PER_MINUTE": ("60", 60),
    "API_DAGSTER_URL": ("http://webserver:3000/", "http://webserver:3000"),
}
BAD: list[tuple[str, str, str]] = [
    ("CRM_DATABASE_URL", f"sqlite:///{SECRET}", "postgresql://user:password@host:port/database"),
    ("CRM_DATABASE_URL", SECRET, "postgresql://user:password@host:port/database"),
    ("CRM_DATABASE_URL", f"postgresql://u:{SECRET}@h", "postgresql://user:password@host:port/database"),
    ("CRM_DATABASE_URL", f"postgresql://u@h:{SECRET}/db", "postgresql://user:password@host:port/database"),
    ("CRM_DATABASE_URL", f"postgresql+psycopg2://u:{SECRET}@h/db", "postgresql://user:password@host:port/database"),
    ("DAGSTER_POSTGRES_URL", f"postgresql://u:{SECRET}@h/db", "begins with postgresql+psycopg2://"),
    ("DAGSTER_POSTGRES_URL", f"postgresql+psycopg://u:{SECRET}@h/db", "begins with postgresql+psycopg2://"),
    ("BREVO_LIST_ID", SECRET, "integer"),
    ("BREVO_EXT_ID", SECRET, "'keep' or 'ours'"),
    ("BREVO_LIST_ID", "0", "greater than or equal to 1"),
    ("BREVO_API_BASE_URL", SECRET, "URL"),
    ("BREVO_API_BASE_URL", f"ftp://{SECRET}/v3", "'http' or 'https'"),
    ("HUBSPOT_API_VERSION", SECRET, "pattern"),
    ("HUBSPOT_LIST_ID", "0", "greater than or equal to 1"),
    ("MAUTIC_BASE_URL", f"https://user:{SECRET}@mautic.example.com", "without a user and a password"),
    ("MAUTIC_BASE_URL", "http://mautic.example.com", "a network of your own only"),
    ("MAUTIC_BASE_URL", "http://8.8.8.8/mautic", "a network of your own only"),
    ("MAUTIC_BASE_URL", f"https://mautic.example.com/?key={SECRET}", "without ? and #"),
    ("MAUTIC_BASE_URL", f"https://mautic.example.com/#{SECRET}", "without ? and #"),
    ("MAUTIC_CONTACTS_PER_REQUEST", "201", "less than or equal to 200"),
    ("N8N_WEBHOOK_URL", SECRET, "begins with https://"),
    ("N8N_WEBHOOK_URL", f"https://u:{SECRET}@n8n.example.org/webhook/x", "without a user or password"),
    ("N8N_WEBHOOK_URL", f"https://{SECRET}@n8n.example.org/webhook/x", "without a user or password"),
    ("N8N_WEBHOOK_URL", f"https://n8n.example.org/webhook/x#{SECRET}", "without a user or password"),
    ("N8N_WEBHOOK_URL", f"ftp://n8n/{SECRET}", "begins with https://"),
    ("N8N_WEBHOOK_URL", f"http://n8n.example.org/webhook/{SECRET}", "a network of your own only"),
    ("N8N_WEBHOOK_URL", f"http://134744072/{SECRET}", "a network of your own only"),
    ("N8N_WEBHOOK_URL", f"http://0x8080808/{SECRET}", "a network of your own only"),
    ("N8N_WEBHOOK_URL", f"http://[::ffff:8.8.8.8]/{SECRET}", "a network of your own only"),
    ("N8N_WEBHOOK_URL", f"http://8.8.8.8/webhook/{SECRET}", "a network of your own only"),
    ("N8N_WEBHOOK_URL", f"http://169.254.169.254/{SECRET}", "a network of your own only"),
    ("BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES", "7", "divide an hour"),
    ("BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES", "0", "divide an hour"),
    ("BREVO_SYNC_SCHEDULER_BATCH_SIZE", "0", "greater than or equal to 1"),
    ("BREVO_SYNC_SCHEDULER_MAX_INSTANCES", "0", "greater than or equal to 1"),
    ("BREVO_SYNC_PROMPT_SECONDS", "9", "greater than or equal to 10"),
    ("BREVO_SYNC_PROMPT_SECONDS", "0", "greater than or equal to 10"),
    ("BREVO_SYNC_PROMPT_SECONDS", "10 s", "valid integer"),
    ("BREVO_SYNC_MAX_RETRIES", "-1", "greater than or equal to 0"),
    ("BREVO_SYNC_RETRY_DELAY_MINUTES", "0", "greater than 0"),
    ("BREVO_SYNC_RETRY_DELAY_MINUTES", "nan", "less than or equal"),
    ("BREVO_SYNC_RETRY_EXPONENTIAL", SECRET, "boolean"),
    ("BREVO_RATE_LIMIT_PER_SECOND", "0", "greater than 0"),
    ("BREVO_RATE_LIMIT_PER_SECOND", "inf", "less than or equal"),
    ("BREVO_BULK_THRESHOLD", "0", "greater than or equal to 1"),
    ("CRM_PHONE_REGION", "Germany", "a country in two letters"),
    ("CRM_DESTINATIONS", ",", "at least one destination"),
    ("CRM_DESTINATIONS", ":", "names of small letters"),
    ("CRM_DESTINATIONS", ":brevo", "names of small letters"),
    ("CRM_DESTINATIONS", "brevo eu:brevo", "names of small letters"),
    ("CRM_DESTINATIONS", "7brevo:brevo", "names of small letters"),
    ("CRM_DESTINATIONS", f"{'b' * 31}:brevo", "a letter first, 30 at most"),
    ("CRM_DESTINATIONS", SECRET, "names of small letters"),
    ("CRM_DESTINATIONS", "brevo_eu", "NAME:KIND; known kinds are brevo"),
    ("CRM_DESTINATIONS", "brevo_eu:brewo", "NAME:KIND; known kinds are brevo"),
    ("CRM_DESTINATIONS", "brevo:brevo:brevo", "NAME:KIND; known kinds are brevo"),
    ("CRM_DESTINATIONS", "hubspot:brevo", "named like a CRM is an account of that CRM"),
    ("CRM_DESTINATIONS", "brevo,Brevo", "named twice"),
    ("CRM_DESTINATIONS", "brevo_eu:brevo,brevo, brevo_eu : brevo", "named twice"),
    ("KEEP_RUNS_DAYS", "6", "greater than or equal to 7"),
    ("KEEP_ATTEMPTS_DAYS", "30", "greater than or equal to 31"),
    ("KEEP_AUDIT_DAYS", "30", "greater than or equal to 31"),
    ("ALERT_ERROR_BACKLOG", "0", "greater than or equal to 1"),
    ("ALERT_OLDEST_DUE_MINUTES", SECRET, "integer"),
    ("ALERT_FAILURE_RATE_PERCENT", "0", "greater than 0"),
    ("ALERT_FAILURE_RATE_PERCENT", "101", "less than or equal to 100"),
    ("ALERT_REMINDER_MINUTES", "0", "greater than or equal to 1"),
    ("ALERT_SLACK_WEBHOOK_URL", SECRET, "https://"),
    ("ALERT_SLACK_WEBHOOK_URL", f"ftp://h/{SECRET}", "https://"),
    ("ALERT_WEBHOOK_URL", f"https:///{SECRET}", "https://"),
    ("ALERT_EMAIL_TO", SECRET, "separated by commas"),
    ("ALERT_EMAIL_TO", f"a@example.org\nBcc: {SECRET}@example.org", "separated by commas"),
    ("ALERT_EMAIL_FROM", f"a@example.org, {SECRET}@example.org", "one e-mail address"),
    ("SMTP_URL", SECRET, "smtp://user:password@host:587"),
    ("SMTP_URL", f"http://u:{SECRET}@h", "smtp://user:password@host:587"),
    ("SMTP_URL", f"smtp://u@h:{SECRET}", "smtp://user:password@host:587"),
    ("SMTP_URL", f"smtp://u:{SECRET}@h?starttls=never", "in the clear"),
    ("SMTP_URL", f"smtp://u:{SECRET}@h?tls=no", "the only option"),
    ("SENTRY_DSN", f"https://sentry.example.org/{SECRET}", "https://key@host/project"),
    ("DAGSTER_UI_URL", SECRET, "URL"),
    ("STATUS_PAGE_URL", SECRET, "URL"),
    ("DOCS_URL", SECRET, "URL"),
    ("API_ALLOWED_HOSTS", f"https://{SECRET}", "without scheme and port"),
    ("API_ALLOWED_HOSTS", f"{SECRET}:8000", "without scheme and port"),
    ("API_ALLOWED_HOSTS", ",", "without scheme and port"),
    ("API_CORS_ORIGINS", "*", "expected origins such as"),
    ("API_CORS_ORIGINS", f"https://app.example.org/{SECRET}", "expected origins such as"),
    ("API_REQUESTS_PER_MINUTE", "0", "greater than or equal to 1"),
    ("API_DAGSTER_URL", SECRET, "URL"),
]


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A project folder without `.env`, and an environment without any of our variables."""
    for group in GROUPS:
        for field in group.model_fields:
            monkeypatch.delenv(variable_name(group, field), raising=False)
    for one in (module, groups):
        monkeypatch.setattr(one, "project_folder", lambda: tmp_path)
    return tmp_path


def value_of(settings: Settings, variable: str) -> Any:
    general = [getattr(settings, one.name) for one in fields(settings) if one.name != "destinations"]
    for group in [*general, *settings.destinations.values()]:
        for field in type(group).model_fields:
            if variable_name(type(group), field) == variable:
                value = getattr(group, field)
                return value.get_secret_value() if hasattr(value, "get_secret_value") else value
    raise KeyError(variable)


def enable_kind_of(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its credentials a CRM is no destination, and its variables are not read."""
    for kind in KINDS:
        if variable.startswith(prefix_of(kind)):
            monkeypatch.setenv("CRM_DESTINATIONS", kind)


def brevo() -> BrevoSettings:
    found = load_settings().destination("brevo")
    assert isinstance(found, BrevoSettings)
    return found


@pytest.mark.parametrize(("variable", "default"), DEFAULTS.items())
def test_the_defaults_are_those_of_the_contract(monkeypatch: pytest.MonkeyPatch, variable: str, default: Any) -> None:
    if (crm := variable.partition("_")[0].lower()) in {"hubspot", "mautic"}:
        monkeypatch.setenv("CRM_DESTINATIONS", crm)
    enable_kind_of(variable, monkeypatch)
    assert value_of(load_settings(), variable) == default


def test_local_files_and_dagster_are_at_home_in_the_project_folder(folder: Path) -> None:
    storage = load_settings().storage
    assert (storage.dagster_home / "dagster.yaml").is_file()
    assert storage.crm_pipelines_data_dir == folder / ".data"


@pytest.mark.parametrize("variable", GIVEN)
def test_every_variable_is_read(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    given, expected = GIVEN[variable]
    if (crm := variable.partition("_")[0].lower()) in {"hubspot", "mautic"}:
        monkeypatch.setenv("CRM_DESTINATIONS", crm)
    enable_kind_of(variable, monkeypatch)
    monkeypatch.setenv(variable, given)
    assert value_of(load_settings(), variable) == expected


def test_no_variable_is_left_out_of_these_tests() -> None:
    assert set(GIVEN) == {variable_name(group, field) for group in GROUPS for field in group.model_fields}


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("", ["brevo"]),
        ("brevo", ["brevo"]),
        (" BREVO_EU : Brevo , brevo,", ["brevo_eu", "brevo"]),
        ("brevo_eu:brevo\n", ["brevo_eu"]),
    ],
)
def test_destinations_are_those_that_are_named_in_that_order(
    monkeypatch: pytest.MonkeyPatch, value: str, names: list[str]
) -> None:
    monkeypatch.setenv("CRM_DESTINATIONS", value)
    settings = load_settings()
    assert list(settings.destinations) == names
    assert [one.name for one in settings.destinations.values()] == names


def test_a_further_account_has_variables_of_its_own_and_none_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo,brevo_eu:brevo")
    monkeypatch.setenv("BREVO_API_KEY", "of the first")
    monkeypatch.setenv("BREVO_LIST_ID", "7")
    first, second = load_settings().destinations.values()
    assert isinstance(second, BrevoSettings)
    assert (second.api_key, second.list_id, second.missing) == (None, None, "BREVO_EU_API_KEY")
    monkeypatch.setenv("BREVO_EU_API_KEY", "of the second")
    monkeypatch.setenv("BREVO_EU_LIST_ID", "8")
    first, second = load_settings().destinations.values()
    assert isinstance(first, BrevoSettings)
    assert isinstance(second, BrevoSettings)
    assert (first.list_id, second.list_id, second.missing) == (7, 8, None)
    assert (first.secrets, second.secrets) == (("of the first",), ("of the second",))
    assert (first.title, second.title) == ("Brevo", "Brevo (brevo_eu)")
    monkeypatch.setenv("BREVO_EU_LIST_ID", "eight")
    with pytest.raises(SettingsError, match="BREVO_EU_LIST_ID: "):
        load_settings()


def test_a_further_account_is_read_from_the_file_env_too(folder: Path) -> None:
    (folder / ".env").write_text("CRM_DESTINATIONS=brevo_eu:brevo\nBREVO_EU_LIST_ID=8\n", encoding="utf-8")
    found = load_settings().destination("Brevo_EU")
    assert isinstance(found, BrevoSettings)
    assert found.list_id == 8


@pytest.mark.parametrize(
    ("named", "crm", "reason"),
    [
        (None, "brewo", "There is no destination named brewo: there are brevo. CRM_DESTINATIONS names further ones."),
        (None, "hubspot", "HubSpot is not set up: set HUBSPOT_API_KEY and what else it needs."),
        (None, "mautic", "Mautic is not set up: set MAUTIC_BASE_URL and what else it needs."),
        (None, "n8n", "n8n is not set up: set N8N_WEBHOOK_URL and what else it needs."),
        ("brevo_eu:brevo", "brevo", "Brevo is no destination here: CRM_DESTINATIONS names brevo_eu only."),
    ],
)
def test_what_is_no_destination_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, named: str | None, crm: str, reason: str
) -> None:
    monkeypatch.setenv("CRM_DESTINATIONS", named or "")
    with pytest.raises(UnknownDestination, match=f"^{re.escape(reason)}$") as refused:
        load_settings().destination(crm)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(("variable", "bad", "expected"), BAD)
def test_a_bad_value_is_named_with_what_was_expected_and_never_repeated(
    monkeypatch: pytest.MonkeyPatch, variable: str, bad: str, expected: str
) -> None:
    monkeypatch.setenv(variable, bad)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert f"{variable}: " in str(refused.value)
    assert expected in str(refused.value)
    assert SECRET not in str(refused.value)
    assert SECRET not in repr(refused.value.__cause__)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("host", ["127.0.0.1:5678", "[::1]:5678", "10.0.0.7", "localhost", "n8n:5678", "n8n.internal"])
def test_a_webhook_without_encryption_may_be_in_a_network_of_ones_own(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("CRM_DESTINATIONS", "n8n")
    monkeypatch.setenv("N8N_WEBHOOK_URL", f"http://{host}/webhook/{SECRET}?token=more")
    found = load_settings().destination("n8n")
    assert found.url == f"http://{host}"


def test_the_address_of_a_webhook_is_a_secret_beside_scheme_and_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_DESTINATIONS", "n8n")
    monkeypatch.setenv("N8N_WEBHOOK_URL", f"https://n8n.example.org/webhook/{SECRET}")
    monkeypatch.setenv("N8N_WEBHOOK_SECRET", "the-secret")
    settings = load_settings()
    found = settings.destination("n8n")
    assert found.url == "https://n8n.example.org"
    assert SECRET not in repr(found)
    assert settings.secrets == (f"https://n8n.example.org/webhook/{SECRET}", "the-secret", f"webhook/{SECRET}")


def test_all_bad_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREVO_LIST_ID", "seven")
    monkeypatch.setenv("BREVO_SYNC_MAX_RETRIES", "many")
    monkeypatch.setenv("CRM_DATABASE_URL", "mysql://h/db")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    for variable in ("BREVO_LIST_ID", "BREVO_SYNC_MAX_RETRIES", "CRM_DATABASE_URL"):
        assert variable in str(refused.value)


@pytest.mark.parametrize("blank", ["", " ", "\n"])
@pytest.mark.parametrize("variable", ["BREVO_API_KEY", "BREVO_LIST_ID", "CRM_DATABASE_URL", "BREVO_SYNC_MAX_RETRIES"])
def test_a_blank_value_is_unset(monkeypatch: pytest.MonkeyPatch, variable: str, blank: str) -> None:
    monkeypatch.setenv(variable, blank)
    assert value_of(load_settings(), variable) == DEFAULTS[variable]


def test_the_file_env_is_read(folder: Path) -> None:
    (folder / ".env").write_text("BREVO_LIST_ID=7\nSOMETHING_ELSE=1\n", encoding="utf-8")
    assert brevo().list_id == 7


def test_the_environment_wins_over_the_file_env(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("BREVO_LIST_ID=7\n", encoding="utf-8")
    monkeypatch.setenv("BREVO_LIST_ID", "8")
    assert brevo().list_id == 8


def test_an_empty_variable_does_not_hide_the_file_env(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("BREVO_LIST_ID=7\n", encoding="utf-8")
    monkeypatch.setenv("BREVO_LIST_ID", "")
    assert brevo().list_id == 7


def test_a_file_env_in_another_encoding_is_refused_with_a_sentence(folder: Path) -> None:
    (folder / ".env").write_bytes(b"BREVO_API_KEY=\xe9\n")
    with pytest.raises(SettingsError, match="UTF-8"):
        load_settings()


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that not even root can read")
def test_a_file_env_that_cannot_be_read_is_refused_with_a_sentence(folder: Path) -> None:
    (folder / ".env").symlink_to("/proc/self/mem")
    with pytest.raises(SettingsError, match=r"The file \.env cannot be read: Input/output error"):
        load_settings()


@pytest.mark.parametrize("minutes", [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440])
def test_evenly_spaced_intervals_are_taken(monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    monkeypatch.setenv("BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES", str(minutes))
    assert load_settings().destination("brevo").sync_scheduler_interval_minutes == minutes


@pytest.mark.parametrize("minutes", [-5, 7, 45, 90, 300, 1441, 2880])
def test_intervals_that_leave_gaps_are_refused(monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    monkeypatch.setenv("BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES", str(minutes))
    with pytest.raises(SettingsError, match="BREVO_SYNC_SCHEDULER_INTERVAL_MINUTES"):
        load_settings()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_a_postgres_url_means_psycopg_3(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("CRM_DATABASE_URL", f"{scheme}://ada:pw@db.example:5433/contacts?sslmode=require")
    url = sa.make_url(load_settings().storage.crm_database_url or "")
    assert url.get_dialect().driver == "psycopg"
    assert (url.username, url.password, url.host, url.port, url.database) == (
        "ada",
        "pw",
        "db.example",
        5433,
        "contacts",
    )
    assert url.query == {"sslmode": "require"}


def test_a_percent_encoded_password_survives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_DATABASE_URL", "postgres://ada:p%40ss%2Fw%25rd%3A@h/db")
    assert sa.make_url(load_settings().storage.crm_database_url or "").password == "p@ss/w%rd:"


def test_a_host_given_as_a_folder_of_sockets_survives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_DATABASE_URL", "postgresql:///db?host=/var/run/postgresql")
    url = sa.make_url(load_settings().storage.crm_database_url or "").set(drivername="postgresql")
    conninfo = url.render_as_string(hide_password=False)
    assert psycopg.conninfo.conninfo_to_dict(conninfo) == {"dbname": "db", "host": "/var/run/postgresql"}


def test_no_secret_shows_in_the_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREVO_API_KEY", SECRET)
    assert SECRET not in repr(load_settings())
    assert SECRET not in str(load_settings())


def test_reading_changes_no_variable(folder: Path) -> None:
    (folder / ".env").write_text("BREVO_LIST_ID=7\n", encoding="utf-8")
    before = dict(os.environ)
    load_settings()
    assert dict(os.environ) == before


@pytest.mark.parametrize("value", ["email", "custom_fields", "custom_fields.", "phone", "phone_number,x", "revision"])
def test_a_field_that_no_workflow_may_overwrite_is_refused_at_start(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("N8N_ENRICHMENT_OVERWRITE", value)
    with pytest.raises(SettingsError, match="N8N_ENRICHMENT_OVERWRITE: expected fields separated by commas"):
        load_settings()


def test_fields_that_a_workflow_may_overwrite_are_read_as_they_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("N8N_ENRICHMENT_OVERWRITE", "phone_number, custom_fields.Company size")
    monkeypatch.setenv("N8N_WEBHOOK_URL", "https://n8n.example.com/webhook/x")
    monkeypatch.setenv("N8N_WEBHOOK_SECRET", "secret-of-the-workflow")
    found = load_settings().destination("n8n")
    assert isinstance(found, N8nSettings)
    assert found.overwritten == {"phone_number", "custom_fields.Company size"}
