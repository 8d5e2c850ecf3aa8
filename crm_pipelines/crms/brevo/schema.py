"""The attributes of a Brevo account: which it has, and those that deliveries need besides."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from crm_pipelines.crms.answers import json_object
from crm_pipelines.crms.brevo.api import BrevoApi
from crm_pipelines.crms.brevo.attributes import described
from crm_pipelines.crms.brevo.preflight import BrevoPreflight
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.schema import NewAttribute, ValuesInUse
from crm_pipelines.crms.turns import Turn


class BrevoSchema:
    """See `crm_pipelines.crms.schema.Schema`. `preflight` makes one of a turn and of the contacts' custom fields."""

    def __init__(self, api: BrevoApi, preflight: Callable[..., BrevoPreflight]) -> None:
        self._api = api
        self._preflight = preflight

    def attributes(self, *, turn: Turn) -> tuple[Outcome, list[dict[str, Any]] | None]:
        """What `know` takes. An answer that lists none at all counts as an outage."""
        outcome, answer = self._api.ask("GET", "/contacts/attributes", turn)
        if outcome.result is not Result.SYNCED:
            return outcome, None
        rows = described(json_object(answer) or {})
        if rows is None:
            said = "Brevo's answer does not tell which attributes the account has."
            return Outcome(result=Result.RETRY, kind="outage", message=said, rate=outcome.rate), None
        return outcome, rows

    def plan(
        self,
        *,
        turn: Turn,
        custom_fields: Mapping[str, Any] | None = None,
        values_in_use: ValuesInUse | None = None,
    ) -> list[NewAttribute]:
        """The missing attributes and options. Raises ProvisionError."""
        return self._preflight(turn=turn, custom_fields=custom_fields or {}, values_in_use=values_in_use).plan()

    def provision(
        self,
        *,
        dry_run: bool,
        turn: Turn,
        custom_fields: Mapping[str, Any] | None = None,
        values_in_use: ValuesInUse | None = None,
        blank: Collection[str] = (),
    ) -> list[str]:
        """Create the missing attributes, category `normal`, and the missing options. Raises ProvisionError."""
        preflight = self._preflight(
            turn=turn, custom_fields=custom_fields or {}, values_in_use=values_in_use, blank=blank
        )
        return preflight.provision(dry_run=dry_run)
