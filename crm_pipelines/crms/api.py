"""A CRM's API as one key opens it: a request's turn, the request itself, and what came of it."""

from collections.abc import Mapping
from typing import Any, Protocol

import requests

from crm_pipelines.crms import answers
from crm_pipelines.crms.outcomes import Outcome
from crm_pipelines.crms.transport import Answer, Transport
from crm_pipelines.crms.turns import Turn


class Classify(Protocol):
    """The meaning of an answer of one CRM. `hide` are texts to be kept out of the message."""

    def __call__(self, answer: Answer, *, hide: tuple[str, ...], advice: Mapping[str, str]) -> Outcome: ...


class Api:
    """Requests to the account of one destination, whose variables `advice` names. Safe to use from several threads."""

    def __init__(
        self,
        transport: Transport,
        classify: Classify,
        *,
        destination: str,
        label: str,
        advice: Mapping[str, str],
        secrets: tuple[str, ...],
    ) -> None:
        self.destination = destination
        self.advice = advice
        self._label = label
        self._transport = transport
        self._classify = classify
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
            return answers.classify_exception(error, self.advice, self._label), None
        return self._classify(answer, hide=(*self._secrets, *hide), advice=self.advice), answer

    def foreign(self, outcome: Outcome) -> Outcome:
        """See `answers.foreign`."""
        return answers.foreign(outcome, self.advice, self._label)
