"""The table of docs/crms.md: what each kind that has a module can do, in the words of those who use it.

The number of contacts in a request and what the interface leaves out are read from a client, opened as the registry
opens one and without a request; the rest is what the kind claims in the suite.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import SecretStr

from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.registry import kind_of
from crm_pipelines.settings import KINDS, CrmSettings, variable_of
from crm_pipelines_tests.conformance import subjects
from crm_pipelines_tests.conformance.subject import Capability

_PLACE = "http://127.0.0.1:9"
_SECRET = SecretStr("a-key-that-opens-nothing")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a kind tells of itself."""

    settings: type[CrmSettings]
    client: Crm
    claims: frozenset[Capability]


Telling: TypeAlias = Callable[[Standing], str | bool]


def _claims(capability: Capability) -> Telling:
    return lambda kind: capability in kind.claims


def _must_be_set(kind: Standing) -> str:
    return ", ".join(f"`{variable_of(kind.settings.kind, field)}`" for field in kind.settings.credentials)


def _may_be_set(kind: Standing) -> str:
    own = kind.settings.model_fields.keys() - CrmSettings.model_fields.keys() - {*kind.settings.credentials}
    in_order = [field for field in kind.settings.model_fields if field in own]
    return ", ".join(f"`{variable_of(kind.settings.kind, field)}`" for field in in_order)


_FEATURES: dict[str, Telling] = {
    "must be set": _must_be_set,
    "may be set, besides what every CRM has": _may_be_set,
    "contacts in one request": lambda kind: str(kind.client.most_per_request),
    "bulk import of a long queue": lambda kind: kind.client.imports is not None,
    "whose answer was lost is sent again by itself, unless the settings say otherwise": lambda kind: (
        kind.client.repeatable
    ),
    "a changed address changes the contact instead of making a second": _claims(Capability.RENAMES),
    "fields with several choices": _claims(Capability.CHOICES),
    "read back: `why --live`, the hourly comparison, proof of imports": lambda kind: kind.client.reading is not None,
    "`provision` creates the fields that are missing": lambda kind: kind.client.schema is not None,
    "contacts are put on a list": _claims(Capability.LISTS),
    "it tells who has left the list": _claims(Capability.LEAVERS),
    "it knows who has opted out, and deliveries leave that as it is": _claims(Capability.OPT_OUTS),
    "it names the account that the key opens": _claims(Capability.ACCOUNTS),
    "it tells its rate limit": _claims(Capability.RATES),
    "opt-outs are read from it (consent)": lambda _: "not yet",
    "`erase` deletes a person there (erasure)": lambda _: "not yet",
}


def features() -> list[list[str]]:
    """The rows of the table, its header first: one column per kind in the settings."""
    columns = [_column(settings) for settings in KINDS.values()]
    rows = [[name, *(column[name] for column in columns)] for name in _FEATURES]
    return [["what", *(settings.label for settings in KINDS.values())], *rows]


def _column(settings: type[CrmSettings]) -> dict[str, str]:
    destination = settings.model_construct(**{field: _placeholder(settings, field) for field in settings.credentials})
    with closing(kind_of(destination).client(destination, None)) as client:
        kind = Standing(settings=settings, client=client, claims=subjects.KINDS[settings.kind].capabilities)
        return {name: _word(tell(kind)) for name, tell in _FEATURES.items()}


def _placeholder(settings: type[CrmSettings], field: str) -> Any:
    return _SECRET if "SecretStr" in str(settings.model_fields[field].annotation) else _PLACE


def _word(told: str | bool) -> str:
    return told if isinstance(told, str) else "yes" if told else "no"
