"""Brevo (formerly Sendinblue), REST API v3.

| module | what is in it |
| --- | --- |
| `mapping`, `mapping.toml`, `mapper` | which field goes to which attribute |
| `identity` | which account the key opens |
| `attributes` | the attributes that the account has, and what fits them |
| `api` | one request: its turn, and what came of it |
| `upsert` | the requests of one delivery, with the repairs |
| `ours` | whether an entry at Brevo is our contact's |
| `outcomes` | what an answer means |
| `limits` | what it says of how fast the account may be asked |
| `bulk` | imports of many contacts, and reading them back |
| `normal_form` | what is the same to Brevo, for reading back |
| `looking` | what Brevo holds of one contact, beside ours |
| `preflight` | the account: what is missing there |
| `schema` | its attributes: read, planned, created |
"""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from datetime import timedelta
from functools import partial
from typing import Any

from crm_pipelines.crms.answers import json_object
from crm_pipelines.crms.base import Identity, IsContact, Kind
from crm_pipelines.crms.brevo.api import BrevoApi
from crm_pipelines.crms.brevo.bulk import BrevoImports
from crm_pipelines.crms.brevo.identity import identify
from crm_pipelines.crms.brevo.limits import ASIDE
from crm_pipelines.crms.brevo.looking import BrevoReading
from crm_pipelines.crms.brevo.mapper import BrevoMapper
from crm_pipelines.crms.brevo.mapping import BrevoMapping, load_mapping
from crm_pipelines.crms.brevo.preflight import BrevoPreflight
from crm_pipelines.crms.brevo.schema import BrevoSchema
from crm_pipelines.crms.brevo.upsert import Upsert
from crm_pipelines.crms.fingerprints import credentials_fingerprint, require_key, settings_fingerprint
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Sendable
from crm_pipelines.crms.schema import Finding, ValuesInUse
from crm_pipelines.crms.transport import LONGEST_REQUEST, HeaderKey, Transport
from crm_pipelines.crms.turns import DeliveryTurn, Turn
from crm_pipelines.settings import BrevoSettings, variable_of


class Brevo(BrevoMapper):
    """One Brevo account; see `crm_pipelines.crms.base.Crm`."""

    most_per_request = 1  # Brevo tells the truth about single contacts only
    aside = ASIDE
    repeatable = True  # every write is an upsert, or an update of a contact that was looked at

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str,
        mapping: BrevoMapping,
        list_id: int | None = None,
        phone_region: str | None = None,
        keep_marks: bool = True,
        bulk_threshold: int = 1000,
        longest_request: timedelta = LONGEST_REQUEST,
        name: str = BrevoSettings.kind,
    ) -> None:
        require_key(api_key, variable_of(name, "api_key"))
        super().__init__(mapping=mapping, list_id=list_id, phone_region=phone_region, name=name)
        self.credentials_fingerprint = credentials_fingerprint(BrevoSettings.kind, api_key, base_url)
        self.settings_fingerprint = settings_fingerprint(
            BrevoSettings.kind, self.credentials_fingerprint, f"list {list_id} keep {keep_marks}"
        )
        self.longest_request = longest_request
        self._list_id = list_id
        self._keep_marks = keep_marks
        self._transport = Transport(base_url, HeaderKey("api-key", api_key), longest_request=longest_request)
        self._api = BrevoApi(self._transport, destination=name, secrets=(api_key,))
        self._preflight = partial(BrevoPreflight, self._api, mapping, list_id=list_id, keep_marks=keep_marks)
        self.reading = BrevoReading(self._api, self._list_ids, account=lambda: self._account)
        self.schema = BrevoSchema(self._api, self._preflight)
        self.imports = BrevoImports(
            self._api,
            list_id=list_id,
            account=lambda: self._account,
            keep_marks=keep_marks,
            threshold=bulk_threshold,
        )

    @classmethod
    def from_settings(cls, settings: BrevoSettings, phone_region: str | None) -> "Brevo":
        """Raises SettingsError when the key is unusable, the mapping file or the phone region wrong."""
        assert settings.api_key is not None
        return cls(
            name=settings.name,
            api_key=settings.api_key.get_secret_value(),
            base_url=settings.api_base_url,
            mapping=load_mapping(settings.mapping_file, settings.variable("mapping_file")),
            list_id=settings.list_id,
            phone_region=phone_region,
            keep_marks=settings.ext_id == "keep",
            bulk_threshold=settings.bulk_threshold,
        )

    def deliver(
        self, contacts: Sequence[Sendable], *, turn: DeliveryTurn, is_contact: IsContact = lambda _: False
    ) -> list[Outcome | None]:
        """Create or update each contact; see `upsert`. Its warnings are those of the delivery, not the payload's."""
        return [self._deliver(one, turn, is_contact) for one in contacts]

    def _deliver(self, contact: Sendable, turn: DeliveryTurn, is_contact: IsContact) -> Outcome | None:
        return Upsert(
            contact,
            api=self._api,
            turn=turn,
            list_ids=self._list_ids,
            account=self._account,
            keep_marks=self._keep_marks,
            is_contact=is_contact,
        ).run()

    def identify(self, *, turn: Turn) -> tuple[Outcome, Identity | None]:
        """One GET /account, of which Brevo allows 100 an hour; see `identity`."""
        return identify(self._api, turn)

    def probe(self, *, turn: Turn) -> Outcome:
        """Read one contact: like deliveries, and unlike GET /account, this is not limited to 100 an hour."""
        return self._probe("/contacts", turn, {"contacts", "count"}, limit="1")

    def probe_settings(self, *, turn: Turn) -> Outcome:
        """Read the list; without one, a contact."""
        if self._list_id is None:
            return self.probe(turn=turn)
        return self._probe(f"/contacts/lists/{self._list_id}", turn, {"id"})

    def _probe(self, path: str, turn: Turn, told: Set[str], **params: str) -> Outcome:
        """`told`: of these fields Brevo's answer has one at least."""
        outcome, answer = self._api.ask("GET", path, turn, params=params)
        if outcome.result is Result.SYNCED and not told & (json_object(answer) or {}).keys():
            return self._api.foreign(outcome)
        return outcome

    def check(
        self,
        *,
        turn: Turn,
        custom_fields: Mapping[str, Any] | None = None,
        judge: Callable[[Identity | None], Finding] | None = None,
        values_in_use: ValuesInUse | None = None,
        blank: Collection[str] = (),
    ) -> list[Finding]:
        """Key, account, list, attributes, EXT_ID and rate limit: four requests at most, one of the 100 an hour."""
        preflight = self._preflight(
            turn=turn, custom_fields=custom_fields or {}, values_in_use=values_in_use, blank=blank
        )
        return preflight.check(judge)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


KIND = Kind(mapper=BrevoMapper.without_key, client=Brevo.from_settings)
