"""Which values fit a property, and in which form they are stored."""

import re
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from crm_pipelines.sandbox.hubspot.properties import STAGES, Property
from crm_pipelines.sandbox.hubspot.times import as_time

_EMAIL = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\".]{2,}")
_NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_MILLISECONDS = re.compile(r"-?\d{1,15}")
_DAY_MS = 86_400_000


class Misfit(NamedTuple):
    """Why a value was not taken: HubSpot's code, and its words."""

    code: str
    message: str
    name: str

    def as_json(self) -> dict[str, Any]:
        """As it stands in the message of a refusal."""
        return {"isValid": False, "message": self.message, "error": self.code, "name": self.name}

    def as_detail(self) -> dict[str, Any]:
        """As it stands among the errors of a refusal."""
        return {"message": self.message, "code": self.code, "context": {"propertyName": [self.name]}}


def normal_email(text: str) -> str | None:
    """The address as HubSpot stores it, or None when it is none."""
    lowered = text.strip().lower()
    return lowered if len(lowered) <= 254 and _EMAIL.fullmatch(lowered) else None


def fitting(described: Property, text: str) -> str | Misfit:
    """The value as it is stored, or why it is not. The text is not empty."""
    if described.name == "email":
        return normal_email(text) or Misfit("INVALID_EMAIL", f"Email address {text} is invalid", "email")
    match described.type:
        case "number":
            fits = _NUMBER.fullmatch(text.strip())
            return text.strip() if fits else _misfit(described, text, "INVALID_NUMBER", "a valid number")
        case "date":
            return _day(text) or _misfit(described, text, "INVALID_DATE", "a valid date")
        case "datetime":
            return _moment(text) or _misfit(described, text, "INVALID_DATE", "a valid date")
        case "bool":
            lowered = text.lower()
            return lowered if lowered in {"true", "false"} else _not_allowed(described, text, ["true", "false"])
        case "enumeration":
            return _options(described, text)
    return text


def goes_back(stored: str | None, given: str) -> bool:
    """Whether a lifecycle stage lies before the one that a contact has."""
    return stored in STAGES and given in STAGES and STAGES.index(given) < STAGES.index(stored)


def _options(described: Property, text: str) -> str | Misfit:
    values = text.split(";") if described.field_type == "checkbox" else [text]
    wrong = next((value for value in values if value not in described.options), None)
    if wrong is not None:
        return _not_allowed(described, wrong, list(described.options))
    return text


def _day(text: str) -> str | None:
    if _MILLISECONDS.fullmatch(text):
        return as_time(int(text))[:10] if int(text) % _DAY_MS == 0 else None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        moment = _moment(text)
        return moment[:10] if moment is not None and moment.endswith("T00:00:00Z") else None


def _moment(text: str) -> str | None:
    try:
        if _MILLISECONDS.fullmatch(text):
            read = datetime.fromtimestamp(int(text) / 1000, UTC)
        else:
            read = datetime.fromisoformat(text)
            read = (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return read.isoformat(timespec="milliseconds" if read.microsecond else "seconds").replace("+00:00", "Z")


def _misfit(described: Property, text: str, code: str, wanted: str) -> Misfit:
    return Misfit(code, f"{text} was not {wanted}.", described.name)


def _not_allowed(described: Property, text: str, allowed: list[str]) -> Misfit:
    return Misfit(
        "INVALID_OPTION", f"{text} was not one of the allowed options: [{', '.join(allowed)}]", described.name
    )
