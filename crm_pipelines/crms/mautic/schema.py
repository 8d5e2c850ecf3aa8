"""The contact fields of a Mautic: which it has, and those that deliveries need besides."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from crm_pipelines.crms.answers import json_object
from crm_pipelines.crms.mautic.api import MauticApi, listed
from crm_pipelines.crms.mautic.fields import CREATED_AS, LONGEST_TEXT, AccountFields, Field, choices_in, described
from crm_pipelines.crms.mautic.mapping import MauticMapping
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
from crm_pipelines.settings import MauticSettings

FIELDS = "/api/fields/contact"

# Decimal places. Without any, answers show whole numbers only; numbers are rounded to them (fixNumbers, NumberType).
_SCALE = {"scale": 8, "roundmode": 4}
_ALL = {"limit": "2000", "start": "0"}

QUEUED = (
    "It makes the field in the background: its cron command mautic:custom-field:create-column has to run. Until then "
    "values are left out; then run the same again."
)
RENAMED = "It took the name {} and named the field {}: write that name into the mapping file, or rename the field."


class MauticSchema:
    """See `crm_pipelines.crms.schema.Schema`."""

    def __init__(self, api: MauticApi, mapping: MauticMapping) -> None:
        self._api = api
        self._mapping = mapping

    def attributes(self, *, turn: Turn) -> tuple[Outcome, list[dict[str, Any]] | None]:
        """What `know` takes. An answer that lists none at all counts as an outage: every Mautic has some."""
        outcome, body = self._fields(turn)
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
        """The missing fields, by name, then fields of which choices are missing. Raises ProvisionError."""
        return planned(
            wanted_attributes(self._mapping, custom_fields or {}),
            self._account(turn),
            values_in_use,
            created_as=lambda one: CREATED_AS[one.type],
            takes_options=takes_choices,
            grows=lambda known: known.writable,
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
        """Create the missing fields and the missing choices. Raises ProvisionError as `create_all`.

        A field that Mautic makes in the background, or under another name, is told as one that it did not create.
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

        return create_all(plan, create, is_there=lambda _: False, label=MauticSettings.label)

    def _account(self, turn: Turn) -> AccountFields:
        outcome, rows = self.attributes(turn=turn)
        if rows is None:
            raise ProvisionError(f"Mautic did not tell which fields exist. {outcome.message}")
        return AccountFields(rows, self._api.destination)

    def _fields(self, turn: Turn) -> tuple[Outcome, dict[str, Any]]:
        outcome, answer = self._api.ask("GET", FIELDS, turn, params=_ALL, large=True)
        body = json_object(answer) or {}
        if outcome.result is Result.SYNCED and not isinstance(body.get("fields"), dict | list):
            return self._api.foreign(outcome), {}
        return outcome, body

    def _create(self, new: NewAttribute, wanted: Wanted, turn: Turn) -> Outcome:
        kind = CREATED_AS[wanted.type]
        definition: dict[str, Any] = {
            "label": label_of(new.name, wanted),
            "alias": new.name,
            "type": kind,
            "isPubliclyUpdatable": False,
        }
        match kind:
            case "text":
                definition["charLengthLimit"] = LONGEST_TEXT  # 64 of itself
            case "number":
                definition["properties"] = _SCALE
            case "boolean":
                definition["properties"] = {"yes": "Yes", "no": "No"}
            case "multiselect":
                definition["properties"] = {"list": [_choice(text) for text in new.options]}
        outcome, answer = self._api.ask("POST", f"{FIELDS}/new", turn, json=definition)
        if outcome.result is not Result.SYNCED:
            return outcome
        made = (json_object(answer) or {}).get("field")
        alias = made.get("alias") if isinstance(made, dict) else None
        if not isinstance(alias, str):
            return self._api.foreign(outcome)
        if alias != new.name:
            return replace(outcome, result=Result.REJECTED, message=RENAMED.format(new.name, alias))
        if outcome.http_status == 202:
            return replace(outcome, result=Result.REJECTED, message=QUEUED)
        return outcome

    def _grow(self, new: NewAttribute, turn: Turn) -> Outcome:
        # What is sent replaces the whole list, so it holds those there are, too.
        outcome, body = self._fields(turn)
        if outcome.result is not Result.SYNCED:
            return outcome
        rows = [one for one in listed(body["fields"]).values() if isinstance(one, dict)]
        row = next((one for one in rows if one.get("alias") == new.name), {})
        choices = [*choices_in(row), *(_choice(text) for text in new.options)]
        properties = {**(row["properties"] if isinstance(row.get("properties"), dict) else {}), "list": choices}
        path = f"{FIELDS}/{row.get('id')}/edit"
        outcome, answer = self._api.ask("PATCH", path, turn, json={"properties": properties})
        if outcome.result is Result.SYNCED and "field" not in (json_object(answer) or {}):
            return self._api.foreign(outcome)
        return outcome


def takes_choices(wanted: Wanted, known: Field | None) -> bool:
    """Whether the field is, or will be, one of choices."""
    kind = CREATED_AS[wanted.type] if known is None else known.type
    return kind in {"select", "multiselect"}


def _choice(text: str) -> dict[str, str]:
    return {"label": text, "value": text}
