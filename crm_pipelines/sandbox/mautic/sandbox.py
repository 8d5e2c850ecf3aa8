"""The sandbox of Mautic: one instance."""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from crm_pipelines.sandbox.core.answers import Answer, Call, Header, RefusalError, reply
from crm_pipelines.sandbox.core.journal import Entry, Journal
from crm_pipelines.sandbox.core.sandbox import Sandbox
from crm_pipelines.sandbox.mautic import persistence
from crm_pipelines.sandbox.mautic.account import Account, segment_state
from crm_pipelines.sandbox.mautic.answers import ShortError
from crm_pipelines.sandbox.mautic.config import SandboxConfig
from crm_pipelines.sandbox.mautic.limits import RateLimiter
from crm_pipelines.sandbox.mautic.quirks import QUIRKS
from crm_pipelines.sandbox.mautic.routes import route
from crm_pipelines.sandbox.mautic.schema import run_cron
from crm_pipelines.sandbox.mautic.seeds import seed
from crm_pipelines.sandbox.mautic.tokens import OAUTH_PATH, Tokens, read_authorization
from crm_pipelines.sandbox.mautic.values import shown

_SHOWN_CONTACTS = 100
# A request has up to 200 contacts, and tests look at each of them.
_KEPT_REQUESTS, _LONGEST_BODY = 2_000, 200_000
_DISABLED = "API disabled. You need to enable the API in the API settings of Mautic's Configuration."


class Mautic(Sandbox):
    """The account, its tokens, and its rate limit."""

    name = "Mautic"
    prefix = ""
    package = __package__

    def __init__(self, config: SandboxConfig) -> None:
        super().__init__(Journal(kept=_KEPT_REQUESTS, longest_body=_LONGEST_BODY))
        self._initial = config
        self.reset()

    def reset(self) -> None:
        """Back to a new account with the initial configuration; tokens end, what is held is dropped."""
        super().reset()
        self.account = Account()
        self.tokens = Tokens()
        self._use(self._initial)

    def configure(self, given: Mapping[str, Any]) -> None:
        """Change some settings. Raises pydantic.ValidationError for a wrong one."""
        self._use(SandboxConfig.model_validate({**self.config.model_dump(), **given}))
        if "dies_after_rows" in given:
            self.account.dies_after_rows = self.config.dies_after_rows

    @property
    def revision(self) -> int:
        """Grows with every change of the account."""
        return self.account.revision

    def orders(self) -> Mapping[str, Callable[[], dict[str, Any]]]:
        """What only Mautic's control does: all tokens end, and the cron command makes columns."""
        return {
            "/revoke": lambda: {"revoked": self.tokens.revoke()},
            "/cron": lambda: {"columns": run_cron(self.account)},
        }

    def key(self, headers: Mapping[bytes, bytes]) -> str:
        """The bearer token, or the whole of basic authorization."""
        return read_authorization(headers.get(b"authorization", b"").decode("latin-1"))

    def sender(self, key: str) -> str:
        """The client to which a token was issued, since it has many."""
        return self.tokens.client_of(key)

    def describe(self, call: Call) -> dict[str, Any]:
        """`inputs`: how many contacts a batch has, None for other requests."""
        body = call.json() if "/batch/" in call.path else None
        return {"inputs": len(body) if isinstance(body, list | dict) else None}

    def has_key_in_body(self, call: Call) -> bool:
        """The client's secret, where a token is asked for."""
        return call.path == OAUTH_PATH

    def answer(self, call: Call, entry: Entry) -> Answer:
        """What Mautic does and answers."""
        headers: tuple[Header, ...] = ()
        now = time.monotonic()
        try:
            if not self.config.api_enabled:
                raise ShortError(403, _DISABLED, "api_disabled")
            if call.path == OAUTH_PATH:
                answer = self.tokens.issue(self.config, call, now)
            else:
                self.tokens.check(self.config, call.key, now)
                admitted, headers = self.limiter.take(call.key, now)
                if not admitted:
                    refused = self.limiter.refusal()
                    return refused._replace(headers=(*refused.headers, *headers))
                endpoint, arguments = route(call)
                answer = endpoint(self.account, call, *arguments)
            entry.applied = True
        except RefusalError as error:
            answer = reply(error.status, error.content)
        return Answer(answer.status, answer.body, (*answer.headers, *headers))

    def signature(self) -> Header:
        """The API tells its version; that of no real Mautic ends so."""
        return (b"mautic-version", self.config.version.encode())

    def trouble(self) -> Any:
        """An error in Mautic's form."""
        return {"errors": [{"message": "internal error", "code": 500, "type": None}]}

    def state(self, _: str) -> dict[str, Any]:
        """Contacts with all that they have, segments, fields, merged contacts, and how many tokens were issued."""
        account = self.account
        return {
            "contacts": [account.as_json(contact) for contact in account.contacts.values()],
            "segments": [segment_state(segment) for segment in account.segments.values()],
            "fields": [field.as_json() for field in account.fields.values()],
            "merged": {str(loser): winner for loser, winner in account.merged.items()},
            "tokens": self.tokens.issued,
        }

    def seed(self, rows: Sequence[Any]) -> list[int]:
        """Store values of contacts by alias, also what the API does not write: see `seeds`."""
        return [seed(self.account, row) for row in rows]

    def shown(self) -> dict[str, Any]:
        """The newest contacts, segments, fields and quirks."""
        account = self.account
        contacts = islice(reversed(account.contacts.values()), _SHOWN_CONTACTS)
        return {
            "contacts": [
                {
                    **account.as_json(contact),
                    "own": {alias: shown(account.fields[alias], value) for alias, value in contact.values.items()},
                    "segments": [one.id for one in account.segments.values() if contact.id in one.present()],
                }
                for contact in contacts
            ],
            "contact_count": len(account.contacts),
            "segments": account.segments.values(),
            "fields": account.fields.values(),
            "tokens": self.tokens.issued,
            "version": self.config.version,
            "quirks": QUIRKS,
        }

    def snapshot(self) -> dict[str, Any]:
        """The account for its file. Tokens, keys and settings are not kept."""
        return persistence.snapshot(self.account)

    def restore(self, state: dict[str, Any]) -> None:
        """Take the account over from its file."""
        persistence.restore(self.account, state)

    def _use(self, config: SandboxConfig) -> None:
        self.config: SandboxConfig = config
        self.limiter = RateLimiter(config.per_hour)
        self.account.config = config
