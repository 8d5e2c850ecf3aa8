"""What the value of a variable may be. Each function returns it in its usual form or raises ValueError that says what
was expected, without the value."""

import ipaddress
import re
from urllib.parse import SplitResult, parse_qs, urlsplit

from pydantic import HttpUrl, SecretStr

from crm_pipelines.postgres_urls import read_postgres_url

_HOST_NAME = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")

# Names that nobody outside has: RFC 6761, 6762, 8375; the others by custom.
_PRIVATE_ENDS = (".localhost", ".local", ".home.arpa", ".internal", ".lan")


def evenly_spaced(minutes: int) -> int:
    # Cron cannot say "every 7 minutes": */7 restarts at each full hour and leaves a gap of 4.
    if not (1 <= minutes <= 1440) or (60 % minutes and minutes % 60) or (minutes > 60 and 1440 % minutes):
        raise ValueError(
            "expected minutes that divide an hour (such as 1, 5, 15, 30, 60) or whole hours that divide a day"
        )
    return minutes


def country(value: str) -> str:
    """Whether it is one, those who read phone numbers know."""
    if not re.fullmatch(r"[A-Za-z]{2}", value, re.ASCII):
        raise ValueError("expected a country in two letters, such as DE or US")
    return value.upper()


def postgres_url(value: str) -> str:
    """The driver is always psycopg 3."""
    return read_postgres_url(value).render_as_string(hide_password=False)


def dagster_postgres_url(value: str) -> str:
    if not value.startswith("postgresql+psycopg2://"):
        raise ValueError(
            "expected a URL that begins with postgresql+psycopg2:// "
            "(with SQLAlchemy 2.1 a plain postgresql:// selects a driver on which Dagster's storage fails)"
        )
    return value


def base_url(value: str) -> str:
    HttpUrl(value)
    return value.rstrip("/")


def site_url(value: str) -> str:
    """Of a site whose API is under /api, which may be named along. It stands in pages, so it holds no password. Secrets
    are sent to it, so in the clear only within a network of one's own: whatever redirects to https has read them.
    """
    url = base_url(value.strip()).removesuffix("/api")
    parts = urlsplit(url)
    if parts.username is not None:
        raise ValueError("expected an address without a user and a password")
    if parts.query or parts.fragment:
        raise ValueError("expected an address without ? and #, since paths are added to it")
    if parts.scheme == "http" and not _is_private(parts.hostname or ""):
        raise ValueError("expected https://; http:// is for hosts of a network of your own only")
    return url


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


def secret_url(value: SecretStr) -> SecretStr:
    expected = "expected a URL that begins with https:// or http://"
    if _parts(value, expected).scheme not in {"http", "https"}:
        raise ValueError(expected)
    return value


def webhook_url(value: SecretStr) -> SecretStr:
    expected = "expected a URL that begins with https://, without a user or password"
    url = _parts(value, expected)
    if url.scheme not in {"http", "https"} or url.username is not None or url.password is not None or url.fragment:
        raise ValueError(expected)
    if url.scheme == "http" and not _is_private(url.hostname or ""):
        raise ValueError(f"{expected}; http:// is for hosts of a network of your own only")
    return value


def origin_of(url: str) -> str:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _is_private(host: str) -> bool:
    """By its address or its name alone; no name is looked up."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        is_number = host[:1].isdigit()  # `134744072` and `0x8080808` are addresses to many programs
        return ("." not in host and not is_number) or host.endswith(_PRIVATE_ENDS)
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_private and not address.is_link_local  # where clouds tell a machine its secrets


def smtp_url(value: SecretStr) -> SecretStr:
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


def sentry_dsn(value: SecretStr) -> SecretStr:
    expected = "expected a DSN such as https://key@host/project"
    url = _parts(value, expected)
    if url.scheme not in {"http", "https"} or not url.username or not url.path.strip("/"):
        raise ValueError(expected)
    return value


def addresses(value: str) -> str:
    """Addresses separated by commas, in the form in which they may stand in a header of a message."""
    # Here, since few settings have any, and every command reads the settings.
    from email_validator import EmailNotValidError, validate_email

    try:
        valid = [
            validate_email(one.strip(), check_deliverability=False, allow_smtputf8=False).ascii_email
            for one in value.split(",")
        ]
    except EmailNotValidError:
        raise ValueError("expected e-mail addresses separated by commas") from None
    return ", ".join(str(one) for one in valid)


def address(value: str) -> str:
    if "," in addresses(value):
        raise ValueError("expected one e-mail address")
    return addresses(value)


def host_names(value: str) -> str:
    names = listed(value)
    if not names or any(not _HOST_NAME.fullmatch(name) for name in names):
        raise ValueError("expected host names separated by commas, without scheme and port")
    return ", ".join(names)


def origins(value: str) -> str:
    origins = listed(value)
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}":
            raise ValueError("expected origins such as https://app.example.com, separated by commas")
    return ", ".join(origins)


def listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


FILLED_COLUMNS = ("phone_number", "name", "first_name", "last_name")
"""Columns of a contact that what a workflow found may go to. The address is none: an enrichment never changes it."""

CUSTOM_FIELD = "custom_fields."


def enriched_fields(value: str) -> str:
    names = listed(value)
    if not all(name in FILLED_COLUMNS or name.removeprefix(CUSTOM_FIELD) not in {"", name} for name in names):
        raise ValueError(f"expected fields separated by commas: {', '.join(FILLED_COLUMNS)}, or {CUSTOM_FIELD}NAME")
    return ",".join(names)
