"""`CrmSyncComponent`: one destination in the Dagster project of somebody else."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel, ValidationError

from crm_pipelines.component.attributes import Attributes, ComponentRefused, refusal, told_in_a_sentence
from crm_pipelines.component.scaffolding import CrmSyncScaffolder
from crm_pipelines.orchestration.assets import keys_of
from crm_pipelines.orchestration.build import DestinationPlan, Shared, definitions_of, shared_definitions
from crm_pipelines.settings import KINDS, CrmSettings, Settings, load_settings, project_folder

_MODELS: dict[type, type[BaseModel]] = {}


@dg.scaffold_with(CrmSyncScaffolder)
class CrmSyncComponent(dg.Component, dg.Resolvable, Attributes):
    """Delivers the contacts that are selected in Postgres to one account of a CRM, and writes every outcome back.

    It brings the destination's job, schedule, sensors, assets and checks. Its settings and its key are environment
    variables of the code location, such as BREVO_API_KEY and CRM_DATABASE_URL; none stands in `defs.yaml`. What the
    destinations of a project share stands there once. docs/component.md has more.
    """

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """For lists of components."""
        return dg.ComponentTypeSpec(
            description="Delivers contacts selected in Postgres to Brevo, HubSpot, Mautic or n8n, and writes every "
            "outcome back.",
            tags=["crm", "reverse-etl"],
        )

    @classmethod
    def model(cls) -> type[BaseModel]:
        """Of what may stand in the file."""
        if cls not in _MODELS:
            _MODELS[cls] = told_in_a_sentence(super().model())
        return _MODELS[cls]

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "CrmSyncComponent":
        """Raises ComponentRefused."""
        if attributes is None:
            raise ComponentRefused("destination", "it is missing; name the destination, such as brevo.")
        return super().load(attributes, context)

    @classmethod
    def resolve_from_model(cls, context: dg.ResolutionContext, model: BaseModel) -> "CrmSyncComponent":
        """Raises ComponentRefused."""
        try:
            resolved: CrmSyncComponent = super().resolve_from_model(context, model)
        except ValidationError as error:
            raise refusal(error, {}) from None
        return resolved

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Raises ComponentRefused, and SettingsError for a variable that is wrong."""
        settings = load_settings()
        ours = _all_of(self, context)
        shared = _agreed(ours)
        folder = context.path if context.path.is_dir() else context.path.parent
        mine = definitions_of(self.plan(settings, folder), settings, shared)
        if ours[0] is not self:
            return mine
        # Of the others no more than their names is needed, and what they follow.
        plans = [one.plan(settings, None) for one in ours]
        return dg.Definitions.merge(shared_definitions(plans, settings, shared), mine)

    def plan(self, settings: Settings, folder: Path | None) -> DestinationPlan:
        """What it asks for; with the folder of its file, the mapping is looked for there.

        Raises ComponentRefused.
        """
        destination = _destination(self.destination, settings)
        changes = {**self._mapping(destination, folder), **self._interval(destination), **self._prompt(destination)}
        return DestinationPlan(
            destination=destination.model_copy(update=changes),
            read=partial(_read, self.destination, changes) if changes else load_settings,
            group=self.group,
            owners=self.owners,
            upstream=self._upstream(),
            scheduled=self.schedule is not False,
            alerts=self.alerts,
        )

    def _mapping(self, destination: CrmSettings, folder: Path | None) -> dict[str, Any]:
        if self.mapping is None or folder is None:
            return {}
        file = (folder / self.mapping).resolve()
        variable = destination.variable("mapping_file")
        if not file.is_file():
            raise ComponentRefused("mapping", "there is no such file in the folder of defs.yaml.")
        if destination.mapping_file is not None and destination.mapping_file.resolve() != file:
            raise ComponentRefused("mapping", f"{variable} names another file: unset it, or remove this line.")
        return {"mapping_file": file}

    def _interval(self, destination: CrmSettings) -> dict[str, Any]:
        if isinstance(self.schedule, bool):
            return {}
        field = "sync_scheduler_interval_minutes"
        if field in destination.model_fields_set and getattr(destination, field) != self.schedule:
            variable = destination.variable(field)
            raise ComponentRefused("schedule", f"{variable} says another interval: unset it, or write true here.")
        return {field: self.schedule}

    def _prompt(self, destination: CrmSettings) -> dict[str, Any]:
        if self.prompt is None:
            return {}
        field = "sync_prompt_seconds"
        if destination.sync_prompt_seconds not in {None, self.prompt}:
            variable = destination.variable(field)
            raise ComponentRefused("prompt", f"{variable} says another number: unset it, or remove this line.")
        return {field: self.prompt}

    def _upstream(self) -> list[dg.AssetKey]:
        keys = [dg.AssetKey.from_user_string(one) for one in self.upstream]
        contacts = Shared(prefix=self.shared_prefix).contacts
        if own := {contacts, *keys_of(self.destination)}.intersection(keys):
            names = ", ".join(sorted(key.to_user_string() for key in own))
            raise ComponentRefused(
                "upstream",
                f"{names} is an asset of this component: name one that fills the table of contacts, and where the "
                "project has an asset of that name itself, set shared_prefix.",
            )
        return keys


def _destination(name: str, settings: Settings) -> CrmSettings:
    found = settings.destinations.get(name)
    if found is None and name in KINDS and settings.general.crm_destinations is None:
        return KINDS[name].of(name, env_file=project_folder() / ".env")  # its key may be where it runs only
    if found is None:
        raise ComponentRefused("destination", settings.why_not(name))
    return found


def _read(name: str, changes: Mapping[str, Any]) -> Settings:
    """The settings of the process, with what stands in the file."""
    settings = load_settings()
    found = settings.destinations.get(name)
    if found is None:
        return settings
    return replace(settings, destinations={**settings.destinations, name: found.model_copy(update=changes)})


def _all_of(component: CrmSyncComponent, context: dg.ComponentLoadContext) -> Sequence[CrmSyncComponent]:
    """The components of this kind in the project, this one among them, always in the same order.

    Raises ComponentRefused when two are for one destination.
    """
    ours = context.component_tree.get_all_components(CrmSyncComponent)
    if not any(one is component for one in ours):
        ours = [component, *ours]
    names = [one.destination for one in ours]
    if names.count(component.destination) > 1:
        raise ComponentRefused(
            "destination",
            f"two components of this project deliver to {component.destination}: remove one, or give it a destination "
            "of its own by CRM_DESTINATIONS.",
        )
    return ours


def _agreed(ours: Sequence[CrmSyncComponent]) -> Shared:
    """What the components say of what they share. Raises ComponentRefused."""
    for attribute in ("maintenance", "shared_prefix"):
        if len({getattr(one, attribute) for one in ours}) > 1:
            raise ComponentRefused(attribute, "the components of a project say the same here, and these differ.")
    return Shared(prefix=ours[0].shared_prefix, maintenance=ours[0].maintenance, only_ours=False)
