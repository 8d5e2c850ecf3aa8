"""Brevo (formerly Sendinblue), REST API v3.

| module | what is in it |
| --- | --- |
| `mapping`, `mapping.toml`, `values` | which field goes to which attribute, and its type |
| `payload` | from a row to what is to be sent |
| `mapper` | both, for whoever has no key |
| `identity` | which account the key opens |
| `attributes` | the attributes that the account has, and what fits them |
| `upsert` | the requests of one delivery, with the repairs |
| `ours` | whether an entry at Brevo is our contact's |
| `outcomes` | what an answer means |
| `bulk` | imports of many contacts, and reading them back |
| `normal_form` | what is the same to Brevo, for reading back |
| `looking` | what Brevo holds of one contact, beside ours |
| `preflight` | the account: check and provision |
"""

from collections.abc import Callable, Mapping, Set
from datetime import timedelta
from typing import Any

import requests

from crm_pipelines.crms.base import (
    NOTHING_REMEMBERED,
    BeforeRequest,
    Compared,
    Finding,
    Held,
    Identity,
    Imports,
    IsContact,
    NewAttribute,
    Outcome,
    Payload,
    Remembered,
    Result,
    ValuesInUse,
)
from crm_pipelines.crms.brevo.attributes import described
from crm_pipelines.crms.brevo.bulk import BrevoImports
from crm_pipelines.crms.brevo.identity import fingerprint, identify, settings_fingerprint
from crm_pipelines.crms.brevo.looking import compare, look_up
from crm_pipelines.crms.brevo.mapper import BrevoMapper
from crm_pipelines.crms.brevo.mapping import BrevoMapping, load_mapping
from crm_pipelines.crms.brevo.outcomes import classify, classify_exception, json_object, not_brevos
from crm_pipelines.crms.brevo.preflight import Preflight
from crm_pipelines.crms.brevo.upsert import Upsert
from crm_pipelines.crms.transport import LONGEST_REQUEST, HeaderKey, Transport
from crm_pipelines.errors import SettingsError
from crm_pipelines.settings import Settings


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
        longest_request: timedelta = LONGEST_REQUEST,
    ) -> None:
        if not (api_key.isascii() and api_key.isprintable() and api_key.strip()):
            raise SettingsError("BREVO_API_KEY holds characters that no key has: copy the key again.")
        super().__init__(mapping=mapping, list_id=list_id, phone_region=phone_region)
        self.credentials_fingerprint = fingerprint(api_key, base_url)
        self.settings_fingerprint = settings_fingerprint(self.credentials_fingerprint, list_id, keep_marks=keep_marks)
        self.longest_request = longest_request
        self._list_id = list_id
        self._keep_marks = keep_marks
        self._secrets = (api_key,)
        self._transport = Transport(base_url, HeaderKey("api-key", api_key), longest_request=longest_request)
        self.imports: Imports = BrevoImports(
            self._transport.request,
            list_id=list_id,
            secrets=self._secrets,
            account=lambda: self._account,
            keep_marks=keep_marks,
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> "Brevo":
        """Raises SettingsError when the key is missing or unusable, the mapping file or the phone region wrong."""
        brevo = settings.brevo
        if brevo.api_key is None:
            raise SettingsError("BREVO_API_KEY is not set: set it in the environment or in the file .env.")
        return cls(
            api_key=brevo.api_key.get_secret_value(),
            base_url=brevo.api_base_url,
            mapping=load_mapping(brevo.mapping_file),
            list_id=brevo.list_id,
            phone_region=settings.general.crm_phone_region,
            keep_marks=brevo.ext_id == "keep",
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
            send=self._transport.request,
            before_request=before_request,
            list_ids=self._list_ids,
            secrets=self._secrets,
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
            send=self._transport.request,
            before_request=before_request,
            secrets=self._secrets,
            remembered=remembered,
        )

    def compare(self, payload: Payload, held: Held) -> list[Compared]:
        """Field by field; see `looking`. Pure."""
        return compare(payload, held, self._list_ids, self._account)

    def attributes(self, *, before_request: BeforeRequest) -> tuple[Outcome, list[dict[str, Any]] | None]:
        """What `know` takes. An answer that lists none at all counts as an outage."""
        before_request()
        try:
            answer = self._transport.request("GET", "/contacts/attributes")
        except requests.RequestException as error:
            return classify_exception(error), None
        outcome = classify(answer, hide=self._secrets)
        if outcome.result is not Result.SYNCED:
            return outcome, None
        rows = described(json_object(answer) or {})
        if rows is None:
            said = "Brevo's answer does not tell which attributes the account has."
            return Outcome(result=Result.RETRY, kind="outage", message=said, rate=outcome.rate), None
        return outcome, rows

    def identify(self, *, before_request: BeforeRequest) -> tuple[Outcome, Identity | None]:
        """One GET /account, of which Brevo allows 100 an hour; see `identity`."""
        return identify(self._transport.request, before_request=before_request, secrets=self._secrets)

    def probe(self, *, before_request: BeforeRequest) -> Outcome:
        """Read one contact: like deliveries, and unlike GET /account, this is not limited to 100 an hour."""
        return self._ask("/contacts", before_request, {"contacts", "count"}, limit="1")

    def probe_settings(self, *, before_request: BeforeRequest) -> Outcome:
        """Read the list; without one, a contact."""
        if self._list_id is None:
            return self.probe(before_request=before_request)
        return self._ask(f"/contacts/lists/{self._list_id}", before_request, {"id"})

    def _ask(self, path: str, before_request: BeforeRequest, told: Set[str], **params: str) -> Outcome:
        """`told`: of these fields Brevo's answer has one at least."""
        before_request()
        try:
            answer = self._transport.request("GET", path, params=params)
        except requests.RequestException as error:
            return classify_exception(error)
        outcome = classify(answer, hide=self._secrets)
        if outcome.result is Result.SYNCED and not told & (json_object(answer) or {}).keys():
            return not_brevos(outcome)
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
            self._transport.request,
            self._mapping,
            before_request=before_request,
            list_id=self._list_id,
            keep_marks=self._keep_marks,
            custom_fields=custom_fields or {},
            values_in_use=values_in_use,
            secrets=self._secrets,
        )
