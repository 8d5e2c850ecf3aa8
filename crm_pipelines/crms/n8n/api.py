"""The webhook as one secret opens it: each request's turn, the request itself, and what came of it."""

from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

import requests

from crm_pipelines.crms.answers import classify_exception
from crm_pipelines.crms.n8n.message import IDEMPOTENCY_KEY, body_of, idempotency_key
from crm_pipelines.crms.n8n.outcomes import advice_for, classify, classify_preflight, may_have_run, was_never_sent
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Sendable
from crm_pipelines.crms.transport import Transport
from crm_pipelines.crms.turns import Turn
from crm_pipelines.settings import N8nSettings
from crm_pipelines.settings.values import origin_of

# A shorter text is no secret of anybody's, and stands in many words.
_SHORTEST_HIDDEN = 3


class N8nWebhook:
    """The webhook of one destination. Safe to use from several threads.

    `repeatable`: whether a request that may have run the workflow may be made again.
    """

    def __init__(self, transport: Transport, *, url: str, secret: str, destination: str, repeatable: bool) -> None:
        self.advice = advice_for(destination)
        self._transport = transport
        self._origin = origin_of(url)
        self._secrets = (secret, *secret_parts(url))
        self._repeatable = repeatable

    def tell(self, contact: Sendable) -> Outcome:
        """POST one contact, whose turn it is."""
        headers = {IDEMPOTENCY_KEY: idempotency_key(contact)}
        data = body_of(contact, datetime.now(UTC))
        try:
            answer = self._transport.request("POST", "", data=data, headers=headers)
        except requests.RequestException as error:
            outcome = classify_exception(error, self.advice, N8nSettings.label)
            return outcome if was_never_sent(error) else self._lost(outcome)
        outcome = classify(answer, hide=(*self._secrets, *_of_the_person(contact)), advice=self.advice)
        return self._lost(outcome) if may_have_run(answer) else outcome

    def look(self, turn: Turn) -> Outcome:
        """OPTIONS, as a browser asks before it sends: says whether a workflow is registered, and runs none.

        The secret is not tried with it. What `turn` raises passes through.
        """
        turn()
        try:
            answer = self._transport.request("OPTIONS", "", headers={"Origin": self._origin})
        except requests.RequestException as error:
            return classify_exception(error, self.advice, N8nSettings.label)
        return classify_preflight(answer, hide=self._secrets, advice=self.advice)

    def _lost(self, outcome: Outcome) -> Outcome:
        """The same, where the workflow may have been run."""
        if self._repeatable or outcome.result is not Result.RETRY:
            return outcome
        return replace(outcome, result=Result.UNKNOWN, kind="unknown", retry_after=None)


def secret_parts(url: str) -> tuple[str, ...]:
    """The address, and what of it n8n may repeat: its path with and without the first segment, and its query."""
    parts = urlsplit(url)
    segments = parts.path.strip("/").split("/")
    return tuple(filter(None, (url, parts.path.strip("/"), "/".join(segments[1:]), parts.query, parts.password)))


def _of_the_person(contact: Sendable) -> tuple[str, ...]:
    """What no message may repeat."""
    values = contact.payload.attributes.values()
    flat = [one for value in values for one in (value if isinstance(value, list) else [value])]
    texts = (one for one in flat if isinstance(one, str) and len(one) >= _SHORTEST_HIDDEN)
    return (contact.payload.key, contact.remote_key or "", *texts)
