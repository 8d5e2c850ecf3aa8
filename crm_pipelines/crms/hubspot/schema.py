"""The properties of a HubSpot account: which it has, and those that deliveries need besides."""

from collections.abc import Collection, Mapping
from typing import Any

from crm_pipelines.crms.answers import json_object
from crm_pipelines.crms.hubspot.api import HubspotApi
from crm_pipelines.crms.hubspot.mapping import HubspotMapping
from crm_pipelines.crms.hubspot.outcomes import is_there_already
from crm_pipelines.crms.hubspot.properties import CREATED_AS, AccountProperties, Property, described
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.schema import NewAttribute, ProvisionError, ValuesInUse
from crm_pipelines.crms.turns import Turn
from crm_pipelines.crms.wanted import (
    Wanted,
    create_all,
    label_of,
    planned,
    wanted_attributes,
)
from crm_pipelines.settings import HubspotSettings

GROUP = "contactinformation"
"""The group that every account has (properties guide)."""

_OF_OPTION = frozenset({"label", "value", "description", "displayOrder", "hidden"})


class HubspotSchema:
    """See `crm_pipelines.crms.schema.Schema`."""

    def __init__(self, api: HubspotApi, mapping: HubspotMapping) -> None:
        self._api = api
        self._mapping = mapping

    def attributes(self, *, turn: Turn) -> tuple[Outcome, list[dict[str, Any]] | None]:
        """What `know` takes. An answer that lists none at all counts as an outage: every account has some."""
        outcome, body = self._api.rows("GET", self._api.paths.properties(), turn, large=True)
        if outcome.result is not Result.SYNCED:
            return outcome, None
        rows = described(body)
        return (outcome, rows) if rows else (self._api.foreign(outcome), None)

    def plan(
        self,
        *,
        turn: Turn,
        custom_fields: Mapping[str, Any] | None = None,
        values_in_use: ValuesInUse | None = None,
    ) -> list[NewAttribute]:
        """The missing properties, by name, then properties of which options are missing. Raises ProvisionError."""
        return planned(
            wanted_attributes(self._mapping, custom_fields or {}),
            self._account(turn),
            values_in_use,
            created_as=lambda one: CREATED_AS[one.type][0],
            takes_options=takes_options,
            grows=lambda known: known.grows,
        )

    def provision(
        self,
        *,
        dry_run: bool,
        turn: Turn,
        custom_fields: Mapping[str, Any] | None = None,
        values_in_use: ValuesInUse | None = None,
        blank: Collection[str] = (),
    ) -> list[str]:
        """Create the missing properties, in the group of contact information, and the missing options.

        Raises ProvisionError as `create_all`.
        """
        plan = [
            one
            for one in self.plan(turn=turn, custom_fields=custom_fields, values_in_use=values_in_use)
            if one.exists or one.name not in blank
        ]
        if dry_run:
            return [one.name for one in plan]
        wanted = wanted_attributes(self._mapping, custom_fields or {})

        def create(new: NewAttribute) -> Outcome:
            return self._grow(new, turn) if new.exists else self._create(new, wanted[new.name], turn)

        return create_all(plan, create, is_there=is_there_already, label=HubspotSettings.label)

    def _account(self, turn: Turn) -> AccountProperties:
        outcome, rows = self.attributes(turn=turn)
        if rows is None:
            raise ProvisionError(f"HubSpot did not tell which properties exist. {outcome.message}")
        return AccountProperties(rows, self._api.destination)

    def _create(self, new: NewAttribute, wanted: Wanted, turn: Turn) -> Outcome:
        kind, field_type = CREATED_AS[wanted.type]
        definition: dict[str, Any] = {
            "name": new.name,
            "label": label_of(new.name, wanted),
            "groupName": GROUP,
            "type": kind,
            "fieldType": field_type,
        }
        if kind == "enumeration":
            definition["options"] = [_option(text, place) for place, text in enumerate(new.options)]
        elif kind == "bool":
            definition["options"] = [_option(text, place) for place, text in enumerate(("true", "false"))]
        return self._change("POST", self._api.paths.properties(), definition, turn)

    def _grow(self, new: NewAttribute, turn: Turn) -> Outcome:
        # What is sent replaces the whole list, so it holds those there are, too, hidden ones and their descriptions.
        path = self._api.paths.properties(new.name)
        outcome, answer = self._api.ask("GET", path, turn)
        if outcome.result is not Result.SYNCED:
            return outcome
        there = (json_object(answer) or {}).get("options")
        if not isinstance(there, list) or not all(isinstance(one, dict) for one in there):
            return self._api.foreign(outcome)
        options = [{name: one[name] for name in _OF_OPTION & one.keys()} for one in there]
        options += [_option(text, len(options) + place) for place, text in enumerate(new.options)]
        return self._change("PATCH", path, {"options": options}, turn)

    def _change(self, method: str, path: str, definition: Mapping[str, Any], turn: Turn) -> Outcome:
        outcome, answer = self._api.ask(method, path, turn, json=definition)
        if outcome.result is Result.SYNCED and "fieldType" not in (json_object(answer) or {}):
            return self._api.foreign(outcome)
        return outcome


def takes_options(wanted: Wanted, known: Property | None) -> bool:
    """Whether the property is, or will be, one of options that belong to it alone."""
    if known is None:
        return CREATED_AS[wanted.type][0] == "enumeration"
    return known.type == "enumeration" and not known.open


def _option(text: str, place: int) -> dict[str, Any]:
    return {"label": text, "value": text, "displayOrder": place, "hidden": False}
