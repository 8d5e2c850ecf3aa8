"""The sandbox of HubSpot: one account."""

import time
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any
from uuid import uuid4

from crm_pipelines.sandbox.core.answers import Answer, Call, Header, RefusalError, reply
from crm_pipelines.sandbox.core.journal import Entry, Journal
from crm_pipelines.sandbox.core.sandbox import Sandbox
from crm_pipelines.sandbox.hubspot import persistence
from crm_pipelines.sandbox.hubspot.account import Account
from crm_pipelines.sandbox.hubspot.answers import ApiError
from crm_pipelines.sandbox.hubspot.config import SandboxConfig
from crm_pipelines.sandbox.hubspot.limits import RateLimiter, refusal
from crm_pipelines.sandbox.hubspot.lists import list_json
from crm_pipelines.sandbox.hubspot.quirks import QUIRKS
from crm_pipelines.sandbox.hubspot.routes import KEY_IN_BODY, SEARCH, plain, route
from crm_pipelines.sandbox.hubspot.seeds import seed

_SHOWN_CONTACTS = 100
# A request has up to 100 contacts, and tests look at each of them.
_KEPT_REQUESTS, _LONGEST_BODY = 2_000, 200_000
_NO_KEY = (
    "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more details at "
    "https://developers.hubspot.com/docs/methods/auth/oauth-overview"
)


class HubSpot(Sandbox):
    """The account and its rate limits."""

    name = "HubSpot"
    prefix = ""
    package = __package__

    def __init__(self, config: SandboxConfig) -> None:
        super().__init__(Journal(kept=_KEPT_REQUESTS, longest_body=_LONGEST_BODY))
        self._initial = config
        self.reset()

    def reset(self) -> None:
        """Back to a new account with the initial configuration; what is held is dropped."""
        super().reset()
        self.account = Account()
        self._use(self._initial)

    def configure(self, given: Mapping[str, Any]) -> None:
        """Change some settings. Raises pydantic.ValidationError for a wrong one."""
        self._use(SandboxConfig.model_validate({**self.config.model_dump(), **given}))

    @property
    def revision(self) -> int:
        """Grows with every change of the account."""
        return self.account.revision

    def key(self, headers: Mapping[bytes, bytes]) -> str:
        """The bearer token."""
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def describe(self, call: Call) -> dict[str, Any]:
        """`inputs`: how many contacts a batch has, None for other requests."""
        body = call.json()
        inputs = body.get("inputs") if isinstance(body, dict) else None
        return {"inputs": len(inputs) if isinstance(inputs, list) else None}

    def has_key_in_body(self, call: Call) -> bool:
        """Of one request."""
        return call.path == KEY_IN_BODY

    def answer(self, call: Call, entry: Entry) -> Answer:
        """What HubSpot does and answers."""
        headers: tuple[Header, ...] = ()
        try:
            if not call.key or not self.config.accepts(call.key):
                raise ApiError(401, _NO_KEY, "INVALID_AUTHENTICATION")
            policy, headers = self.limiter.take(call.key, time.monotonic(), search=plain(call.path) == SEARCH)
            if policy is not None:
                body = refusal(policy)
                raise RefusalError(429, body["message"], body)
            endpoint, arguments = route(call)
            answer = endpoint(self.account, call, *arguments)
            entry.applied = True
        except RefusalError as error:
            answer = reply(error.status, error.content)
        return Answer(answer.status, answer.body, (*answer.headers, *headers))

    def signature(self) -> Header:
        """Each answer of the API has a number of its own."""
        return (b"x-hubspot-correlation-id", str(uuid4()).encode())

    def trouble(self) -> Any:
        """A refusal in HubSpot's form."""
        return {"status": "error", "message": "internal error", "correlationId": str(uuid4())}

    def state(self, _host: str) -> dict[str, Any]:
        """Contacts with everything that they have, lists, properties, and who opted out."""
        account = self.account
        return {
            "contacts": [account.as_json(contact, account.properties) for contact in account.contacts.values()],
            "archived": [account.as_json(contact, account.properties) for contact in account.archived.values()],
            "lists": [
                {**list_json(group), "contacts": [str(number) for number in group.members]}
                for group in account.lists.values()
            ],
            "properties": [described.as_json() for described in account.properties.values()],
            "merged": {str(loser): str(winner) for loser, winner in account.merged.items()},
            "opted_out": account.opted_out,
        }

    def seed(self, rows: Sequence[Any]) -> list[int]:
        """Store properties of contacts by name, also those that the API does not write: see `seeds`."""
        return [seed(self.account, row) for row in rows]

    def shown(self) -> dict[str, Any]:
        """The newest contacts, lists, properties and quirks."""
        account = self.account
        own = [name for name, described in account.properties.items() if not described.read_only]
        contacts = islice(reversed(account.contacts.values()), _SHOWN_CONTACTS)
        return {
            "contacts": [
                {
                    **account.as_json(contact, account.properties),
                    "own": {name: account.value(contact, name) for name in own if account.value(contact, name)},
                    "lists": [group.id for group in account.lists.values() if contact.id in group.members],
                }
                for contact in contacts
            ],
            "contact_count": len(account.contacts),
            "portal_id": account.portal_id,
            "lists": account.lists.values(),
            "properties": account.properties.values(),
            "quirks": QUIRKS,
        }

    def snapshot(self) -> dict[str, Any]:
        """The account for its file. Keys and settings are not kept."""
        return persistence.snapshot(self.account)

    def restore(self, state: dict[str, Any]) -> None:
        """Take the account over from its file."""
        persistence.restore(self.account, state)

    def _use(self, config: SandboxConfig) -> None:
        self.config: SandboxConfig = config
        self.limiter = RateLimiter(config.limits())
        self.account.portal_id = config.portal_id
        self.account.scopes = None if config.scopes is None else frozenset(config.scopes)
        self.account.echoes_traces = config.echo_trace_ids
        self.account.hides_first = config.hide_first_result
        self.account.refused = {address.lower(): said for address, said in config.refused.items()}
