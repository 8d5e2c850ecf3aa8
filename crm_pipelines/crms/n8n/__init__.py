"""n8n: a workflow that is told of each contact through its webhook.

| module | what is in it |
| --- | --- |
| `mapping`, `mapping.toml`, `mapper` | which field goes into the body under which name |
| `message` | the request: body, idempotency key, signature |
| `api` | one request: its turn, and what came of it |
| `outcomes` | what an answer means |
| `identity` | which account is meant |
| `preflight` | whether a workflow would be run |

n8n holds nothing that could be read back, and has no fields that could be missing. It runs the workflow for every
request, so whoever must not be told of twice sets N8N_AT_MOST_ONCE, or lets the workflow look at the idempotency key.

**The address** is a secret: whoever knows it may run the workflow. Of it only scheme, host and port are shown anywhere.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from crm_pipelines.crms.base import Identity, IsContact, Kind
from crm_pipelines.crms.fingerprints import credentials_fingerprint, require_key, settings_fingerprint
from crm_pipelines.crms.n8n.api import N8nWebhook
from crm_pipelines.crms.n8n.identity import identity_of
from crm_pipelines.crms.n8n.mapper import N8nMapper
from crm_pipelines.crms.n8n.mapping import N8nMapping, load_mapping
from crm_pipelines.crms.n8n.message import SignedSecret
from crm_pipelines.crms.n8n.preflight import check
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Sendable
from crm_pipelines.crms.schema import Finding, ValuesInUse
from crm_pipelines.crms.transport import LONGEST_REQUEST, Transport
from crm_pipelines.crms.turns import DeliveryTurn, Turn
from crm_pipelines.settings import N8nSettings, variable_of


class N8n(N8nMapper):
    """One webhook; see `crm_pipelines.crms.base.Crm`."""

    most_per_request = 1
    aside = None
    reading = None
    schema = None
    imports = None

    def __init__(
        self,
        *,
        webhook_url: str,
        webhook_secret: str,
        mapping: N8nMapping,
        at_most_once: bool = False,
        phone_region: str | None = None,
        longest_request: timedelta = LONGEST_REQUEST,
        name: str = N8nSettings.kind,
    ) -> None:
        require_key(webhook_secret, variable_of(name, "webhook_secret"))
        super().__init__(mapping=mapping, phone_region=phone_region, name=name)
        self.credentials_fingerprint = credentials_fingerprint(N8nSettings.kind, webhook_secret, webhook_url)
        self.settings_fingerprint = settings_fingerprint(N8nSettings.kind, self.credentials_fingerprint, "")
        self.repeatable = not at_most_once
        self.longest_request = longest_request
        self._url = webhook_url
        self._transport = Transport(webhook_url, SignedSecret(webhook_secret), longest_request=longest_request)
        self._webhook = N8nWebhook(
            self._transport, url=webhook_url, secret=webhook_secret, destination=name, repeatable=self.repeatable
        )

    @classmethod
    def from_settings(cls, settings: N8nSettings, phone_region: str | None) -> "N8n":
        """Raises SettingsError when the secret is unusable, the mapping file or the phone region wrong."""
        assert settings.webhook_url is not None
        assert settings.webhook_secret is not None
        return cls(
            name=settings.name,
            webhook_url=settings.webhook_url.get_secret_value(),
            webhook_secret=settings.webhook_secret.get_secret_value(),
            at_most_once=settings.at_most_once,
            mapping=load_mapping(settings.mapping_file, settings.variable("mapping_file")),
            phone_region=phone_region,
        )

    def deliver(
        self,
        contacts: Sequence[Sendable],
        *,
        turn: DeliveryTurn,
        is_contact: IsContact = lambda _: False,  # noqa: ARG002 - the workflow is told our id, and keeps its own
    ) -> list[Outcome | None]:
        """One request for each."""
        return [self._deliver(one) if turn([one]) else None for one in contacts]

    def _deliver(self, contact: Sendable) -> Outcome:
        outcome = replace(self._webhook.tell(contact), answered=True, requests=1)
        if outcome.result is not Result.SYNCED:
            return outcome
        return replace(
            outcome,
            remote_key=contact.payload.key,
            remote_id=outcome.remote_id or contact.external_id,
            sent_attributes=frozenset(contact.payload.attributes),
        )

    def identify(self, *, turn: Turn) -> tuple[Outcome, Identity | None]:  # noqa: ARG002 - n8n is not asked
        """The address, whose workflow it is; makes no request."""
        return Outcome(result=Result.SYNCED), identity_of(self._url)

    def probe(self, *, turn: Turn) -> Outcome:
        """Whether a workflow is registered. The secret is not tried: n8n tells only whoever runs the workflow."""
        return replace(self._webhook.look(turn), untried=True)

    def probe_settings(self, *, turn: Turn) -> Outcome:
        """Whether a workflow is registered."""
        return self._webhook.look(turn)

    def check(
        self,
        *,
        turn: Turn,
        custom_fields: Mapping[str, Any] | None = None,  # noqa: ARG002 - a workflow takes whatever it is sent
        judge: Callable[[Identity | None], Finding] | None = None,
        values_in_use: ValuesInUse | None = None,  # noqa: ARG002 - as above
        blank: Collection[str] = (),  # noqa: ARG002 - as above
    ) -> list[Finding]:
        """Address and webhook: one request."""
        return check(self._webhook, self._url, variable=variable_of(self.name, "webhook_url"), turn=turn, judge=judge)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


KIND = Kind(mapper=N8nMapper.without_secret, client=N8n.from_settings)
