"""HubSpot, contacts of its CRM.

| module | what is in it |
| --- | --- |
| `mapping`, `mapping.toml`, `mapper` | which field goes to which property |
| `properties` | the properties that the account has, and what fits them |
| `forms` | values as texts |
| `paths`, `api` | where the endpoints are; one request: its turn, and what came of it |
| `delivery` | the requests of one delivery |
| `finding` | which contact at HubSpot is ours |
| `batches` | what the answer to a batch says of each contact |
| `outcomes`, `limits` | what an answer means; how fast the account may be asked |
| `reading` | what HubSpot holds of contacts, beside ours |
| `identity` | which account the key opens |
| `preflight`, `schema` | the account: what is missing there; its properties: read, planned, created |

Nobody's consent is touched: `hs_email_optout` and its like are never sent.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from crm_pipelines.crms.base import Identity, IsContact, Kind
from crm_pipelines.crms.fingerprints import credentials_fingerprint, require_key, settings_fingerprint
from crm_pipelines.crms.hubspot.api import HubspotApi
from crm_pipelines.crms.hubspot.delivery import MOST_PER_REQUEST, BatchDelivery
from crm_pipelines.crms.hubspot.identity import identity_of
from crm_pipelines.crms.hubspot.mapper import HubspotMapper
from crm_pipelines.crms.hubspot.mapping import HubspotMapping, load_mapping
from crm_pipelines.crms.hubspot.preflight import check, look_at_list, may_read
from crm_pipelines.crms.hubspot.reading import HubspotReading
from crm_pipelines.crms.hubspot.schema import HubspotSchema
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Sendable
from crm_pipelines.crms.schema import Finding, ValuesInUse
from crm_pipelines.crms.transport import LONGEST_REQUEST, HeaderKey, Transport
from crm_pipelines.crms.turns import DeliveryTurn, Turn
from crm_pipelines.settings import HubspotSettings, variable_of

_DEFAULT_VERSION = HubspotSettings.model_fields["api_version"].default


class Hubspot(HubspotMapper):
    """One HubSpot account; see `crm_pipelines.crms.base.Crm`."""

    most_per_request = MOST_PER_REQUEST
    aside = None
    repeatable = True  # upserts, and updates by id: the same again changes nothing
    imports = None

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str,
        mapping: HubspotMapping,
        api_version: str = _DEFAULT_VERSION,
        list_id: int | None = None,
        phone_region: str | None = None,
        longest_request: timedelta = LONGEST_REQUEST,
        name: str = HubspotSettings.kind,
    ) -> None:
        require_key(api_key, variable_of(name, "api_key"))
        super().__init__(mapping=mapping, list_id=list_id, phone_region=phone_region, name=name)
        self.credentials_fingerprint = credentials_fingerprint(HubspotSettings.kind, api_key, base_url)
        self.settings_fingerprint = settings_fingerprint(
            HubspotSettings.kind, self.credentials_fingerprint, f"version {api_version} list {list_id}"
        )
        self.longest_request = longest_request
        self._list_id = list_id
        key = HeaderKey("Authorization", f"Bearer {api_key}")
        self._transport = Transport(base_url, key, longest_request=longest_request)
        self._api = HubspotApi(self._transport, destination=name, version=api_version, key=api_key)
        self._hubspot_mapping = mapping
        self.reading = HubspotReading(self._api, account=lambda: self._account)
        self.schema = HubspotSchema(self._api, mapping)

    @classmethod
    def from_settings(cls, settings: HubspotSettings, phone_region: str | None) -> "Hubspot":
        """Raises SettingsError when the key is unusable, the mapping file or the phone region wrong."""
        assert settings.api_key is not None
        return cls(
            name=settings.name,
            api_key=settings.api_key.get_secret_value(),
            base_url=settings.api_base_url,
            api_version=settings.api_version,
            mapping=load_mapping(settings.mapping_file, settings.variable("mapping_file")),
            list_id=settings.list_id,
            phone_region=phone_region,
        )

    def deliver(
        self,
        contacts: Sequence[Sendable],
        *,
        turn: DeliveryTurn,
        is_contact: IsContact = lambda _: False,  # noqa: ARG002 - no id of ours is kept at HubSpot
    ) -> list[Outcome | None]:
        """Create or update up to 100 contacts; see `delivery`."""
        return BatchDelivery(contacts, api=self._api, turn=turn, list_id=self._list_id, account=self._account).run()

    def identify(self, *, turn: Turn) -> tuple[Outcome, Identity | None]:
        """One GET of account-info. SYNCED and None: the answer does not tell."""
        outcome, details = self._api.details(turn)
        return outcome, identity_of(details) if outcome.result is Result.SYNCED else None

    def probe(self, *, turn: Turn) -> Outcome:
        """Read one contact."""
        return may_read(self._api, turn)[0]

    def probe_settings(self, *, turn: Turn) -> Outcome:
        """Read the list; without one, a contact."""
        return self.probe(turn=turn) if self._list_id is None else look_at_list(self._api, self._list_id, turn)[0]

    def check(
        self,
        *,
        turn: Turn,
        custom_fields: Mapping[str, Any] | None = None,
        judge: Callable[[Identity | None], Finding] | None = None,
        values_in_use: ValuesInUse | None = None,
        blank: Collection[str] = (),
    ) -> list[Finding]:
        """Key, account, scopes, list, properties and rate limit: five requests at most."""
        return check(
            self._api,
            self.schema,
            self._hubspot_mapping,
            list_id=self._list_id,
            turn=turn,
            custom_fields=custom_fields or {},
            judge=judge,
            values_in_use=values_in_use,
            blank=blank,
        )

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


KIND = Kind(mapper=HubspotMapper.without_key, client=Hubspot.from_settings)
