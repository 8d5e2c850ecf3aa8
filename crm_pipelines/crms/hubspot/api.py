"""HubSpot's API as one key opens it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from crm_pipelines.crms import api
from crm_pipelines.crms.answers import json_object, with_advice
from crm_pipelines.crms.hubspot.identity import offset_of
from crm_pipelines.crms.hubspot.limits import until_midnight
from crm_pipelines.crms.hubspot.outcomes import advice_for, classify
from crm_pipelines.crms.hubspot.paths import Paths
from crm_pipelines.crms.outcomes import SETTINGS, Outcome, RateHeaders, Result
from crm_pipelines.crms.transport import Answer, Transport
from crm_pipelines.crms.turns import Turn
from crm_pipelines.settings import HubspotSettings

Row = dict[str, Any]


class HubspotApi(api.Api):
    """See `crm_pipelines.crms.api.Api`. `paths` are the endpoints of the version that the settings name."""

    def __init__(self, transport: Transport, *, destination: str, version: str, key: str) -> None:
        super().__init__(
            transport,
            self._meaning,
            destination=destination,
            label=HubspotSettings.label,
            advice=advice_for(destination),
            secrets=(key,),
        )
        self.paths = Paths(version)
        self.secrets = (key,)
        self._key = key
        self._offset: timedelta | None = None

    def rows(
        self, method: str, path: str, turn: Turn, *, hide: tuple[str, ...] = (), **sent: Any
    ) -> tuple[Outcome, Row]:
        """As `ask`; the body of an answer that has `results`. Without them it is no answer of HubSpot's."""
        outcome, answer = self.ask(method, path, turn, hide=hide, **sent)
        body = json_object(answer) or {}
        if outcome.result is Result.SYNCED and not isinstance(body.get("results"), list):
            return self.foreign(outcome), {}
        return outcome, body

    def read(
        self, ids: Sequence[str], properties: Sequence[str], turn: Turn, *, by: str | None, hide: tuple[str, ...]
    ) -> tuple[Outcome, list[Row]]:
        """Up to 100 contacts by id, or `by` a property of unique values; those that there are."""
        body: Row = {
            "inputs": [{"id": one} for one in ids],
            "properties": list(properties),
            "propertiesWithHistory": [],
        }
        if by is not None:
            body["idProperty"] = by
        outcome, found = self.rows("POST", self.paths.contacts("batch/read"), turn, hide=hide, json=body)
        if outcome.result is not Result.SYNCED:
            return outcome, []
        if not all(_is_about_missing(one) for one in found.get("errors") or ()):
            return self.foreign(outcome), []
        return outcome, [one for one in found["results"] if isinstance(one, dict)]

    def details(self, turn: Turn) -> tuple[Outcome, Row]:
        """What HubSpot tells of the account. Without the rate headers: their limit is not only that of contacts."""
        outcome, answer = self.ask("GET", self.paths.account, turn)
        body = json_object(answer) or {}
        if outcome.result is Result.SYNCED:
            self._offset = offset_of(body)
        return replace(outcome, rate=RateHeaders()), body

    def scopes(self, turn: Turn) -> frozenset[str] | None:
        """What the key may do; None: HubSpot does not tell.

        Documented for private apps (HubSpot/hubspot-api-php#171); that it answers for service keys is an assumption.
        HubSpot wants the key in the body, too: this is the one request that has it there.
        """
        outcome, answer = self.ask("POST", self.paths.scopes, turn, json={"tokenKey": self._key})
        told = (json_object(answer) or {}).get("scopes")
        if outcome.result is not Result.SYNCED or not isinstance(told, list):
            return None
        return frozenset(map(str, told))

    def of_the_list(self, outcome: Outcome) -> Outcome:
        """The same refusal, where the request was about the list of the settings."""
        if outcome.kind != SETTINGS and outcome.result is not Result.REJECTED:
            return outcome
        said = (outcome.message or "").removesuffix(self.advice["request"]).rstrip()
        message = with_advice(said, self.advice["list"])
        return replace(outcome, result=Result.REFUSED, kind=SETTINGS, message=message)

    def _meaning(self, answer: Answer, *, hide: tuple[str, ...], advice: Mapping[str, str]) -> Outcome:
        now = datetime.now(UTC)
        return classify(answer, hide=hide, advice=advice, until_reset=until_midnight(now, self._offset), now=now)


def _is_about_missing(error: Any) -> bool:
    """Whether an entry of `errors` of a batch that was read says no more than that some are not there."""
    return isinstance(error, dict) and error.get("category") == "OBJECT_NOT_FOUND"
