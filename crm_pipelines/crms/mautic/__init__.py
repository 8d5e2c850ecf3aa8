"""Mautic, contacts.

| module | what is in it |
| --- | --- |
| `mapping`, `mapping.toml`, `mapper` | which field goes to which field of Mautic |
| `fields` | the fields that the Mautic has, and what fits them |
| `forms` | rows as Mautic takes them, and contacts as it shows them |
| `tokens`, `api` | the access token; one request: its turn, and what came of it |
| `delivery` | the requests of one delivery |
| `finding` | which contact at Mautic is ours |
| `batches` | what the answer to a batch says of each contact |
| `zeros` | the zero that Mautic drops |
| `outcomes`, `limits` | what an answer means; how fast the Mautic may be asked |
| `reading` | what Mautic holds of contacts, beside ours |
| `identity` | which account the credentials open |
| `preflight`, `schema` | the Mautic: what is missing there; its fields: read, planned, created |

Of version 5, by its source (mautic/mautic 5.1). Nobody's consent is touched: `doNotContact` is read and never sent.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from crm_pipelines.crms.base import Identity, IsContact, Kind
from crm_pipelines.crms.fingerprints import credentials_fingerprint, require_key, settings_fingerprint
from crm_pipelines.crms.mautic.api import LONGEST_REQUEST, MauticApi
from crm_pipelines.crms.mautic.delivery import MauticDelivery
from crm_pipelines.crms.mautic.identity import identity_of
from crm_pipelines.crms.mautic.mapper import MauticMapper
from crm_pipelines.crms.mautic.mapping import MauticMapping, load_mapping
from crm_pipelines.crms.mautic.preflight import check, look_at_segment, may_read
from crm_pipelines.crms.mautic.reading import MauticReading
from crm_pipelines.crms.mautic.schema import MauticSchema
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Sendable
from crm_pipelines.crms.schema import Finding, ValuesInUse
from crm_pipelines.crms.turns import DeliveryTurn, Turn
from crm_pipelines.settings import MauticSettings, variable_of

_MOST_PER_REQUEST = MauticSettings.model_fields["contacts_per_request"].default


class Mautic(MauticMapper):
    """One Mautic; see `crm_pipelines.crms.base.Crm`."""

    aside = None
    repeatable = True  # found by address or updated by id: the same again changes nothing
    imports = None

    def __init__(
        self,
        *,
        client_id: str,
        client_secret: str,
        base_url: str,
        mapping: MauticMapping,
        segment_id: int | None = None,
        phone_region: str | None = None,
        most_per_request: int = _MOST_PER_REQUEST,
        longest_request: timedelta = LONGEST_REQUEST,
        name: str = MauticSettings.kind,
    ) -> None:
        require_key(client_id, variable_of(name, "client_id"))
        require_key(client_secret, variable_of(name, "client_secret"))
        super().__init__(mapping=mapping, segment_id=segment_id, phone_region=phone_region, name=name)
        key = f"{client_id} {client_secret}"
        self.credentials_fingerprint = credentials_fingerprint(MauticSettings.kind, key, base_url)
        self.settings_fingerprint = settings_fingerprint(
            MauticSettings.kind, self.credentials_fingerprint, f"segment {segment_id} most {most_per_request}"
        )
        self.most_per_request = most_per_request
        self.longest_request = longest_request
        self._base_url = base_url
        self._segment_id = segment_id
        self._api = MauticApi(
            base_url,
            client_id=client_id,
            client_secret=client_secret,
            destination=name,
            longest_request=longest_request,
        )
        self._mautic_mapping = mapping
        self.reading = MauticReading(self._api, account=lambda: self._account)
        self.schema = MauticSchema(self._api, mapping)

    @classmethod
    def from_settings(cls, settings: MauticSettings, phone_region: str | None) -> "Mautic":
        """Raises SettingsError when the credentials are unusable, the mapping file or the phone region wrong."""
        assert settings.base_url is not None
        assert settings.client_id is not None
        assert settings.client_secret is not None
        return cls(
            name=settings.name,
            client_id=settings.client_id,
            client_secret=settings.client_secret.get_secret_value(),
            base_url=settings.base_url,
            mapping=load_mapping(settings.mapping_file, settings.variable("mapping_file")),
            segment_id=settings.segment_id,
            phone_region=phone_region,
            most_per_request=settings.contacts_per_request,
        )

    def deliver(
        self,
        contacts: Sequence[Sendable],
        *,
        turn: DeliveryTurn,
        is_contact: IsContact = lambda _: False,  # noqa: ARG002 - no id of ours is kept at Mautic
    ) -> list[Outcome | None]:
        """Create or update contacts; see `delivery`."""
        return MauticDelivery(
            contacts, api=self._api, turn=turn, segment_id=self._segment_id, account=self._account
        ).run()

    def identify(self, *, turn: Turn) -> tuple[Outcome, Identity | None]:
        """Read one contact: an answer of Mautic's shows that it is there; see `identity`."""
        outcome, answer = may_read(self._api, turn)
        if outcome.result is not Result.SYNCED or answer is None:
            return outcome, None
        return outcome, identity_of(self._base_url, answer.headers)

    def probe(self, *, turn: Turn) -> Outcome:
        """Read one contact."""
        return may_read(self._api, turn)[0]

    def probe_settings(self, *, turn: Turn) -> Outcome:
        """Read the segment; without one, a contact."""
        if self._segment_id is None:
            return self.probe(turn=turn)
        return look_at_segment(self._api, self._segment_id, turn)[0]

    def check(
        self,
        *,
        turn: Turn,
        custom_fields: Mapping[str, Any] | None = None,
        judge: Callable[[Identity | None], Finding] | None = None,
        values_in_use: ValuesInUse | None = None,
        blank: Collection[str] = (),
    ) -> list[Finding]:
        """Credentials, account, permission, segment, fields and rate limit: four requests, and one for a token."""
        return check(
            self._api,
            self.schema,
            self._mautic_mapping,
            base_url=self._base_url,
            segment_id=self._segment_id,
            turn=turn,
            custom_fields=custom_fields or {},
            judge=judge,
            values_in_use=values_in_use,
            blank=blank,
        )

    def close(self) -> None:
        """Close the connections."""
        self._api.close()


KIND = Kind(mapper=MauticMapper.without_key, client=Mautic.from_settings)
