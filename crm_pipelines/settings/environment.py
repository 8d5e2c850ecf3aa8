"""Base of the groups of settings: how the environment is read."""

from pathlib import Path
from typing import Any

from pydantic import model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def project_folder() -> Path:
    """The folder that holds `dagster.yaml`: the checkout, or else the current folder."""
    checkout = Path(__file__).resolve().parent.parent.parent
    return checkout if (checkout / "dagster.yaml").is_file() else Path.cwd()


class EnvironmentSettings(BaseSettings):
    """A group of variables. Raises pydantic.ValidationError for a wrong value; the error does not quote it."""

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


def variable_name(group: type[BaseSettings], field: str) -> str:
    """The environment variable that fills `field` of `group`."""
    return f"{group.model_config.get('env_prefix', '')}{field}".upper()
