"""Brevo's API as one key opens it: a request's turn, the request itself, and what came of it."""

from typing import Any

import requests

from crm_pipelines.crms.brevo.outcomes import advice_for, classify, classify_exception, not_brevos
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.transport import Answer, Transport
from crm_pipelines.crms.turns import Turn


class Api:
    """Requests to the account of one destination, whose variables `advice` names. Safe to use from several threads."""

    def __init__(self, transport: Transport, *, destination: str, secrets: tuple[str, ...]) -> None:
        self.destination = destination
        self.advice = advice_for(destination)
        self._transport = transport
        self._secrets = secrets

    def ask(
        self, method: str, path: str, turn: Turn, *, hide: tuple[str, ...] = (), **sent: Any
    ) -> tuple[Outcome, Answer | None]:
        """Make one request; no answer came if there is None. `sent` is for `Transport.request`.

        `hide` is personal data to be kept out of the message, beside the secrets. What `turn` raises passes
        through.
        """
        turn()
        try:
            answer = self._transport.request(method, path, **sent)
        except requests.RequestException as error:
            return classify_exception(error, self.advice), None
        return classify(answer, hide=(*self._secrets, *hide), advice=self.advice), answer

    def write(self, method: str, path: str, turn: Turn, **sent: Any) -> tuple[Outcome, Answer | None]:
        """As `ask`; only 201, 204, or the number of the contact confirm a write."""
        outcome, answer = self.ask(method, path, turn, **sent)
        if outcome.result is Result.SYNCED and outcome.http_status not in {201, 204} and outcome.remote_id is None:
            return self.not_brevos(outcome), answer
        return outcome, answer

    def not_brevos(self, outcome: Outcome) -> Outcome:
        """See `outcomes.not_brevos`."""
        return not_brevos(outcome, self.advice)
