"""What may stand under `attributes` in a `defs.yaml`, and the sentence for what may not.

No value is quoted: it may be a secret that somebody has put into the file.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from crm_pipelines.errors import SettingsError
from crm_pipelines.settings import GROUPS, KINDS, is_name, variable_name, variable_of
from crm_pipelines.settings.values import evenly_spaced

_WORD = re.compile(r"[A-Za-z0-9_]+")
_OWNER = re.compile(r"team:\S+|[^@\s:]+@[^@\s:]+")
_WHERE = "defs.yaml of a CrmSyncComponent"
# `dg check` prints the line that its schema refuses. So the schema lets these through, and loading refuses them.
_SECRETIVE = "|".join(f"{word}|{word.upper()}" for word in ("key", "secret", "token", "passw", "url", "dsn"))


class ComponentRefused(SettingsError):
    """What stands in a `defs.yaml` cannot be: one sentence says what, and what to do."""

    def __init__(self, attribute: str | None, what: str) -> None:
        super().__init__(f"{_WHERE}{f', attribute {attribute}' if attribute else ''}: {what}")


class Attributes(dg.Model):
    """The attributes of a component; what each description says is also in docs/component.md."""

    destination: str = Field(
        description="Name of the destination, such as `brevo`, `hubspot`, or `brevo_eu` where the variable "
        "`CRM_DESTINATIONS` says `brevo_eu:brevo`. Names of jobs, sensors and assets begin with it; so do, in capital "
        "letters, the variables with its settings and its key.",
        examples=["brevo"],
    )
    upstream: list[str] = Field(
        [],
        description="Keys of assets that fill the table of contacts, such as `analytics/customers`. The asset "
        "`contacts` depends on them, and the sensor `<destination>_upstream_sensor` delivers once they have been "
        "materialized.",
        examples=[["analytics/customers"]],
    )
    schedule: bool | int = Field(
        True,
        description="`true`: deliver every few minutes, as `<DESTINATION>_SYNC_SCHEDULER_INTERVAL_MINUTES` says. A "
        "number: every so many minutes. `false`: the schedule is off until somebody switches it on; then contacts "
        "that are to be tried again later wait for the next run, too.",
    )
    prompt: int | None = Field(
        None,
        ge=10,
        le=3600,
        description="Seconds. A sensor looks that often whether a contact is due, and starts a run if none is active, "
        "beside the schedule. Left out: as `<DESTINATION>_SYNC_PROMPT_SECONDS` says, which is off by default.",
    )
    mapping: str | None = Field(
        None,
        description="TOML file that maps contact fields to the CRM's attributes, beside the `defs.yaml`. Left out: "
        "`<DESTINATION>_MAPPING_FILE`, else the one that is shipped. Commands and the HTTP API read the variable only.",
    )
    group: str | None = Field(None, description="Asset group of its assets. Left out: the name of the destination.")
    owners: list[str] = Field(
        ["team:crm-pipelines"],
        description="Owners of its assets: `team:name`, or an e-mail address.",
    )
    alerts: bool = Field(
        True,
        description="Whether people are told when contacts do not get through. Thresholds and channels are variables "
        "(`ALERT_…`). `false`: no sensor does so.",
    )
    maintenance: bool = Field(
        True,
        description="Whether the jobs `prune_history` and `daily_report` run every night. They are there once for all "
        "components of a project, which say the same here.",
    )
    shared_prefix: str | None = Field(
        None,
        description="Stands before the names that no destination is in, where the project has such names itself: with "
        "`crm`, they are the asset `crm/contacts`, the jobs `crm_prune_history` and `crm_daily_report`, and the sensor "
        "`crm_run_failure_alert_sensor`. All components of a project say the same here.",
    )

    @field_validator("destination")
    @classmethod
    def _is_a_name(cls, given: str) -> str:
        if not is_name(given):
            raise ValueError("expected the name of a destination: small letters, digits and _, a letter first")
        return given

    @field_validator("upstream")
    @classmethod
    def _are_keys(cls, given: list[str]) -> list[str]:
        if not all(all(one.split("/")) for one in given):
            raise ValueError("expected keys of assets, such as analytics/customers")
        return given

    @field_validator("schedule", mode="before")
    @classmethod
    def _is_spaced(cls, given: object) -> bool | int:
        if isinstance(given, bool):
            return given
        try:
            return evenly_spaced(int(str(given)))
        except ValueError as error:
            raise ValueError(error if isinstance(given, int) else "expected true, false, or minutes") from None

    @field_validator("group", "shared_prefix")
    @classmethod
    def _is_a_word(cls, given: str | None) -> str | None:
        if given is not None and not _WORD.fullmatch(given):
            raise ValueError("expected letters, digits and _ only")
        return given

    @field_validator("owners")
    @classmethod
    def _are_owners(cls, given: list[str]) -> list[str]:
        if not all(map(_OWNER.fullmatch, given)):
            raise ValueError("expected team:name or e-mail addresses")
        return given


def told_in_a_sentence(model: type[BaseModel]) -> type[BaseModel]:
    """The same model, whose errors are one sentence: Dagster's own quote the file, and the value with it."""

    class Told(model):  # type: ignore[misc, valid-type]
        model_config = ConfigDict(json_schema_extra={**_schema_extra(model), "patternProperties": {_SECRETIVE: {}}})

        @model_validator(mode="wrap")
        @classmethod
        def _told(cls, given: Any, handler: Any) -> Any:
            try:
                return handler(given)
            except ValidationError as error:
                raise refusal(error, given) from None

    Told.__name__ = Told.__qualname__ = model.__name__
    Told.__doc__ = model.__doc__
    return Told


def _schema_extra(model: type[BaseModel]) -> Mapping[str, Any]:
    extra = model.model_config.get("json_schema_extra")
    return extra if isinstance(extra, Mapping) else {}


def refusal(error: ValidationError, given: object) -> ComponentRefused:
    """The first thing that is wrong."""
    [first, *_] = error.errors(include_url=False, include_input=False, include_context=False)
    attribute = str(first["loc"][0]) if first["loc"] else None
    return ComponentRefused(attribute, "".join(_told(first, attribute, given)))


def _told(error: ErrorDetails, attribute: str | None, given: object) -> Iterator[str]:
    if error["type"] == "missing":
        yield "it is missing; name the destination, such as brevo."
    elif error["type"] == "extra_forbidden" and attribute is not None:
        known = ", ".join(Attributes.model_fields)
        yield _variable_for(attribute, given) or f"there is none of this name; there are {known}."
    else:
        yield f"{error['msg'].removeprefix('Value error, ').rstrip('.')}."


def _variable_for(attribute: str, given: object) -> str | None:
    """Which variable holds what somebody wanted to write here."""
    destination = given.get("destination") if isinstance(given, Mapping) else None
    name = str(destination) if isinstance(destination, str) and is_name(destination) else None
    of_crms = {variable_of(name or kind, field) for kind in KINDS for field in KINDS[kind].model_fields}
    known = {variable_name(group, field) for group in GROUPS for field in group.model_fields} | of_crms
    wanted = attribute.upper()
    found = variable_of(name, attribute) if name and variable_of(name, attribute) in of_crms else wanted
    if found not in known:
        return None
    return (
        f"settings and secrets do not stand in this file, which Dagster keeps: set the variable {found} in the "
        "environment of the code location, and remove the line."
    )
