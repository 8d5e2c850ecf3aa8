"""Brevo's API as one key opens it."""

from typing import Any

from crm_pipelines.crms import api
from crm_pipelines.crms.brevo.outcomes import advice_for, classify
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.transport import Answer, Transport
from crm_pipelines.crms.turns import Turn
from crm_pipelines.settings import BrevoSettings


class BrevoApi(api.Api):
    """See `crm_pipelines.crms.api.Api`."""

    def __init__(self, transport: Transport, *, destination: str, secrets: tuple[str, ...]) -> None:
        super().__init__(
            transport,
            classify,
            destination=destination,
            label=BrevoSettings.label,
            advice=advice_for(destination),
            secrets=secrets,
        )

    def write(self, method: str, path: str, turn: Turn, **sent: Any) -> tuple[Outcome, Answer | None]:
        """As `ask`; only 201, 204, or the number of the contact confirm a write."""
        outcome, answer = self.ask(method, path, turn, **sent)
        if outcome.result is Result.SYNCED and outcome.http_status not in {201, 204} and outcome.remote_id is None:
            return self.foreign(outcome), answer
        return outcome, answer
