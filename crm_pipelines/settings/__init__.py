"""Every environment variable that crm-pipelines reads, typed and validated.

`load_settings()` is the only reader. A `.env` file in the project folder is read too; the environment wins. A blank
value counts as unset. The configuration reference in `docs/configuration.md` is generated from the field
descriptions here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from crm_pipelines.errors import SettingsError, UsageError
from crm_pipelines.settings.crms import (
    KINDS,
    BrevoSettings,
    CrmSettings,
    HubspotSettings,
    MauticSettings,
    N8nSettings,
    prefix_of,
    variable_of,
)
from crm_pipelines.settings.destinations import FIRST, is_name, kinds_of
from crm_pipelines.settings.environment import EnvironmentSettings, project_folder, variable_name
from crm_pipelines.settings.groups import (
    STATUS_PAGE_NAME,
    AlertSettings,
    ApiSettings,
    ChannelSettings,
    GeneralSettings,
    RetentionSettings,
    StorageSettings,
)

__all__ = [
    "GROUPS",
    "KINDS",
    "STATUS_PAGE_NAME",
    "AlertSettings",
    "ApiSettings",
    "BrevoSettings",
    "ChannelSettings",
    "CrmSettings",
    "GeneralSettings",
    "HubspotSettings",
    "MauticSettings",
    "N8nSettings",
    "NotConfigured",
    "RetentionSettings",
    "Settings",
    "StorageSettings",
    "UnknownDestination",
    "is_name",
    "load_settings",
    "project_folder",
    "variable_name",
    "variable_of",
]

GROUPS: tuple[type[EnvironmentSettings], ...] = (
    StorageSettings,
    GeneralSettings,
    *KINDS.values(),
    RetentionSettings,
    AlertSettings,
    ChannelSettings,
    ApiSettings,
)

Group = TypeVar("Group", bound=EnvironmentSettings)


class UnknownDestination(UsageError):
    """Nothing is delivered to a destination of this name."""


class NotConfigured(SettingsError):
    """The credentials of a destination are not set, so nothing is claimed or sent."""

    exit_code = 1

    def __init__(self, variable: str) -> None:
        super().__init__(f"{variable} is not set: set it in the environment or in the file .env.")


@dataclass(frozen=True)
class CrmInWords:
    """A destination as people know it. `keeps_contacts`: whether they can look a contact up there, by its number."""

    title: str
    keeps_contacts: bool = True


@dataclass(frozen=True)
class Settings:
    """All settings of this process; `destinations` are those that contacts are delivered to, by name."""

    storage: StorageSettings
    general: GeneralSettings
    destinations: Mapping[str, CrmSettings]
    retention: RetentionSettings
    alerts: AlertSettings
    channels: ChannelSettings
    api: ApiSettings

    def destination(self, name: str) -> CrmSettings:
        """Raises UnknownDestination, which says what to set."""
        found = self.destinations.get(name.casefold())
        if found is None:
            raise UnknownDestination(self.why_not(name.casefold()))
        return found

    def delivers_to(self, name: str) -> bool:
        """Whether contacts that are selected for it get there: a further account has nothing without its credentials.

        For the first one they may be in another process: `make up` has a sandbox for it.
        """
        found = self.destinations.get(name)
        return found is not None and (found.missing is None or name == FIRST)

    def title_of(self, name: str) -> str:
        """The destination for people, also one that is not set up."""
        found = self.destinations.get(name) or KINDS.get(name)
        return found.title if isinstance(found, CrmSettings) else found.label if found else name

    def in_words(self, name: str) -> CrmInWords:
        """What is said of the destination to people, also of one that is not set up."""
        found = self.destinations.get(name) or KINDS.get(name)
        return CrmInWords(self.title_of(name), keeps_contacts=found is None or found.keeps_contacts)

    def why_not(self, name: str) -> str:
        """Why nothing is delivered to a destination of this name, and which variable to set."""
        if (found := self.destinations.get(name)) is not None and found.missing is not None:
            return str(NotConfigured(found.missing))
        known = ", ".join(self.destinations)
        if name not in KINDS:
            shown = name if is_name(name) else repr(name)
            return f"There is no destination named {shown}: there are {known}. CRM_DESTINATIONS names further ones."
        if self.general.crm_destinations is not None:
            return f"{KINDS[name].label} is no destination here: CRM_DESTINATIONS names {known} only."
        first = KINDS[name].credentials[0]
        return f"{KINDS[name].label} is not set up: set {variable_name(KINDS[name], first)} and what else it needs."

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret value, for the scrubber of what leaves this process."""
        return (*self.channels.secrets, *(secret for one in self.destinations.values() for secret in one.secrets))


def load_settings() -> Settings:
    """Read and validate the environment and `.env`.

    Raises SettingsError that names every bad variable and what was expected, never the value.
    """
    reader = _Reader(project_folder() / ".env")
    storage = reader.group(StorageSettings)
    general = reader.group(GeneralSettings)
    destinations = reader.destinations(general)
    retention = reader.group(RetentionSettings)
    alerts = reader.group(AlertSettings)
    channels = reader.group(ChannelSettings)
    api = reader.group(ApiSettings)
    if reader.problems or not (storage and general and retention and alerts and channels and api):
        raise SettingsError(f"Wrong settings. {'; '.join(reader.problems)}. Correct the environment or the file .env.")
    return Settings(
        storage=storage,
        general=general,
        destinations=destinations,
        retention=retention,
        alerts=alerts,
        channels=channels,
        api=api,
    )


class _Reader:
    """Reads group by group, and notes what is wrong in each."""

    def __init__(self, env_file: Path) -> None:
        self._env_file = env_file
        self.problems: list[str] = []

    def group(self, group: type[Group]) -> Group | None:
        prefix = group.model_config.get("env_prefix", "")
        return self._noted(partial(group, _env_file=self._env_file), prefix)

    def destinations(self, general: GeneralSettings | None) -> dict[str, CrmSettings]:
        """Those that CRM_DESTINATIONS names; without it the first one, and every kind that has its credentials."""
        named = None if general is None else general.crm_destinations
        kinds = {kind: kind for kind in KINDS} if named is None else kinds_of(named)
        found: dict[str, CrmSettings] = {}
        for name, kind in kinds.items():
            settings = self._noted(partial(KINDS[kind].of, name, env_file=self._env_file), prefix_of(name))
            if settings is not None and (named is not None or name == FIRST or settings.missing is None):
                found[name] = settings
        return found

    def _noted(self, read: Callable[[], Group], prefix: str) -> Group | None:
        try:
            return read()
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_input=False):
                name = f"{prefix}{detail['loc'][0]}".upper()
                self.problems.append(f"{name}: {detail['msg'].removeprefix('Value error, ')}")
        except UnicodeDecodeError:
            raise SettingsError("The file .env is not text in UTF-8. Save it in that encoding.") from None
        except OSError as error:
            raise SettingsError(f"The file .env cannot be read: {error.strerror}.") from None
        return None
