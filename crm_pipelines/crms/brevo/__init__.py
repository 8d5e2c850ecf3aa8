"""Brevo (formerly Sendinblue), REST API v3.

| module | what is in it |
| --- | --- |
| `mapping`, `mapping.toml`, `values` | which field goes to which attribute, and its type |
| `payload` | from a row to what is to be sent |
| `mapper` | both, for whoever has no key |
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
| `preflight` | the account: check and provision |
"""

from collections.abc import Callable, Mapping, Set
from datetime import timedelta
from typing import Any

from crm_pipelines.crms.base import (
    NOTHING_REMEMBERED,
    BeforeRequest,
    Compared,
    Finding,
    Held,
    Identity,
    Imports,
    IsContact,
    Kind,
    NewAttribute,
    Outcome,
    Payload,
    Remembered,
    Result,
    ValuesInUse,
)
from crm_pipelines.crms.brevo.api import Api
from crm_pipelines.crms.brevo.attributes import described
from crm_pipelines.crms.brevo.bulk import BrevoImports
from crm_pipelines.crms.brevo.identity import fingerprint, identify, settings_fingerprint
from crm_pipelines.crms.brevo.looking import compare, look_up
from crm_pipelines.crms.brevo.mapper import BrevoMapper
from crm_pipelines.crms.brevo.mapping import BrevoMapping, load_mapping
from crm_pipelines.crms.brevo.outcomes import json_object
from crm_pipelines.crms.brevo.preflight import Preflight
from crm_pipelines.crms.brevo.upsert import Upsert
from crm_pipelines.crms.transport import LONGEST_REQUEST, HeaderKey, Transport
from crm_pipelines.errors import SettingsError
from crm_pipelines.settings import BrevoSettings, variable_of


class Brevo(BrevoMapper):
    """One Brevo account; see `crm_pipelines.crms.base.Crm`."""

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
        if not (api_key.isascii() and api_key.isprintable() and api_key.strip()):
            raise SettingsError(f"{variable_of(name, 'api_key')} holds characters that no key has: copy the key again.")
        super().__init__(mapping=mapping, list_id=list_id, phone_region=phone_region, name=name)
        self.credentials_fingerprint = fingerprint(api_key, base_url)
        self.settings_fingerprint = settings_fingerprint(self.credentials_fingerprint, list_id, keep_marks=keep_marks)
        self.longest_request = longest_request
        self._list_id = list_id
        self._keep_marks = keep_marks
        self._transport = Transport(base_url, HeaderKey("api-key", api_key), longest_request=longest_request)
        self._api = Api(self._transport, destination=name, secrets=(api_key,))
        self.imports: Imports = BrevoImports(
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
        self,
        payload: Payload,
        *,
        remote_key: str | None,
        remote_id: str | None,
        before_request: BeforeRequest,
        remembered: Remembered = NOTHING_REMEMBERED,
        is_contact: IsContact = lambda _: False,
    ) -> Outcome:
        """Create or update one contact; see `upsert`. Its warnings are those of the delivery, not the payload's."""
        return Upsert(
            payload,
            remote_key=remote_key,
            remote_id=remote_id,
            api=self._api,
            before_request=before_request,
            list_ids=self._list_ids,
            account=self._account,
            remembered=remembered,
            keep_marks=self._keep_marks,
            is_contact=is_contact,
        ).run()

    def look_up(
        self,
        payload: Payload,
        *,
        remote_key: str | None,
        remote_id: str | None,
        before_request: BeforeRequest,
        remembered: Remembered = NOTHING_REMEMBERED,
    ) -> tuple[Outcome, Held | None]:
        """The contact as Brevo holds it now; see `looking`."""
        return look_up(
            payload,
            remote_key=remote_key,
            remote_id=remote_id,
            api=self._api,
            before_request=before_request,
            remembered=remembered,
        )

    def compare(self, payload: Payload, held: Held) -> list[Compared]:
        """Field by field; see `looking`. Pure."""
        return compare(payload, held, self._list_ids, self._account)

    def attributes(self, *, before_request: BeforeRequest) -> tuple[Outcome, list[dict[str, Any]] | None]:
        """What `know` takes. An answer that lists none at all counts as an outage."""
        outcome, answer = self._api.ask("GET", "/contacts/attributes", before_request)
        if outcome.result is not Result.SYNCED:
            return outcome, None
        rows = described(json_object(answer) or {})
        if rows is None:
            said = "Brevo's answer does not tell which attributes the account has."
            return Outcome(result=Result.RETRY, kind="outage", message=said, rate=outcome.rate), None
        return outcome, rows

    def identify(self, *, before_request: BeforeRequest) -> tuple[Outcome, Identity | None]:
        """One GET /account, of which Brevo allows 100 an hour; see `identity`."""
        return identify(self._api, before_request)

    def probe(self, *, before_request: BeforeRequest) -> Outcome:
        """Read one contact: like deliveries, and unlike GET /account, this is not limited to 100 an hour."""
        return self._probe("/contacts", before_request, {"contacts", "count"}, limit="1")

    def probe_settings(self, *, before_request: BeforeRequest) -> Outcome:
        """Read the list; without one, a contact."""
        if self._list_id is None:
            return self.probe(before_request=before_request)
        return self._probe(f"/contacts/lists/{self._list_id}", before_request, {"id"})

    def _probe(self, path: str, before_request: BeforeRequest, told: Set[str], **params: str) -> Outcome:
        """`told`: of these fields Brevo's answer has one at least."""
        outcome, answer = self._api.ask("GET", path, before_request, params=params)
        if outcome.result is Result.SYNCED and not told & (json_object(answer) or {}).keys():
            return self._api.not_brevos(outcome)
        return outcome

    def check(
        self,
        *,
        before_request: BeforeRequest,
        custom_fields: Mapping[str, Any] | None = None,
        judge: Callable[[Identity | None], Finding] | None = None,
        values_in_use: ValuesInUse | None = None,
    ) -> list[Finding]:
        """Key, account, list, attributes, EXT_ID and rate limit: four requests at most, one of the 100 an hour."""
        return self._preflight(before_request, custom_fields, values_in_use).check(judge)

    def plan(
        self,
        *,
        before_request: BeforeRequest,
        custom_fields: Mapping[str, Any] | None = None,
        values_in_use: ValuesInUse | None = None,
    ) -> list[NewAttribute]:
        """The missing attributes and options. Raises ProvisionError."""
        return self._preflight(before_request, custom_fields, values_in_use).plan()

    def provision(
        self,
        *,
        dry_run: bool,
        before_request: BeforeRequest,
        custom_fields: Mapping[str, Any] | None = None,
        values_in_use: ValuesInUse | None = None,
    ) -> list[str]:
        """Create the missing attributes, category `normal`, and the missing options. Raises ProvisionError."""
        return self._preflight(before_request, custom_fields, values_in_use).provision(dry_run=dry_run)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _preflight(
        self,
        before_request: BeforeRequest,
        custom_fields: Mapping[str, Any] | None,
        values_in_use: ValuesInUse | None,
    ) -> Preflight:
        return Preflight(
            self._api,
            self._mapping,
            before_request=before_request,
            list_id=self._list_id,
            keep_marks=self._keep_marks,
            custom_fields=custom_fields or {},
            values_in_use=values_in_use,
        )


KIND = Kind(mapper=BrevoMapper.without_key, client=Brevo.from_settings)
