"""Delivers contacts queued in Postgres to a CRM, and writes every outcome back."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crm_pipelines.component.component import CrmSyncComponent

__all__ = ["CrmSyncComponent"]


def __dir__() -> list[str]:
    """Dagster looks for components here."""
    return [*globals(), *__all__]


def __getattr__(name: str) -> "type[CrmSyncComponent]":
    """Loaded by who asks for it: Dagster takes a second that no command should pay."""
    if name in __all__:
        component: type[CrmSyncComponent] = importlib.import_module(
            "crm_pipelines.component.component"
        ).CrmSyncComponent
        return component
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
