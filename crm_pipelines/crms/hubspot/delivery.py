"""Delivers up to 100 contacts: looks at those that were delivered before, then writes them in two batches.

| contacts | requests |
| --- | --- |
| new to us | 1: an upsert by address |
| new to us, with a property that is set on creation only | 2: a look by address; that upsert |
| delivered before | 2: a look by HubSpot's id; an update by id, the address among what it sets |
| delivered before, and deleted at HubSpot | 2: that look; an upsert by address |
| delivered before, HubSpot's id not known, under an address that has changed | 2: a look by address; an update by id |
| to be put on the list | 1 more, after the others |

The look is worth its request: it finds who has been merged, who is a stranger, and who has unsubscribed, before
anything is written. An opt-out belongs to the address at HubSpot; so whoever has unsubscribed is given no other one.
Everything may be begun again from the start: an upsert, an update by id and an addition to a list change nothing when
they come twice.

Risks that stay, because HubSpot has no conditional update: whoever unsubscribes, or is merged, between look and update.
And HubSpot does not tell who has left a list: nobody is put on it twice by us, but somebody who left it before us is.
"""

from collections.abc import Callable, Mapping, Sequence

from crm_pipelines.crms.answers import json_object, with_advice
from crm_pipelines.crms.batching import Steps, at_once, former_addresses, hidden, look, remote_id_of
from crm_pipelines.crms.hubspot.api import HubspotApi, Row
from crm_pipelines.crms.hubspot.batches import Input, address_in, judge
from crm_pipelines.crms.hubspot.finding import SHOWN, Found, by_address, by_id, further_addresses
from crm_pipelines.crms.hubspot.forms import properties_of
from crm_pipelines.crms.hubspot.mapping import ONLY_ON_CREATION
from crm_pipelines.crms.hubspot.properties import AccountProperties
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Sendable
from crm_pipelines.crms.turns import DeliveryTurn
from crm_pipelines.settings import HubspotSettings

MOST_PER_REQUEST = 100
"""Inputs of a batch (contacts guide, limits)."""

NO_CONSENT = (
    "HubSpot holds this contact under its former address, which has unsubscribed, and would not know of that with the "
    "new address, so nothing was changed. If the person agrees, change the address at HubSpot by hand; if not, take "
    "the contact out of the selection."
)
MERGED = "HubSpot has merged this contact into another one ({}), whose address is not this one's. Nothing was changed."
OTHER_ADDRESS = "HubSpot holds this contact ({}) under an address that is not known here. Nothing was changed."

_MEMBERS = frozenset({"recordsIdsAdded", "recordIdsRemoved", "recordIdsMissing"})


class BatchDelivery:
    """One delivery; `run` is called once."""

    def __init__(
        self,
        contacts: Sequence[Sendable],
        *,
        api: HubspotApi,
        turn: DeliveryTurn,
        list_id: int | None,
        account: AccountProperties | None,
    ) -> None:
        self._contacts = contacts
        self._api = api
        self._list_id = list_id
        self._account = account
        self._hide = hidden(contacts)
        self._steps = Steps(contacts, turn=turn, list_id=list_id, label=HubspotSettings.label)
        self._outcomes = self._steps.outcomes

    def run(self) -> list[Outcome | None]:
        """Deliver; one outcome each, in order. None: the contact's turn did not come before it was written."""
        delivered = [one for one in self._contacts if remote_id_of(one) or former_addresses(one)]
        found = look(delivered, by_id=self._look_by_id, by_address=self._look_by_address, most=MOST_PER_REQUEST)
        looked_for = {one.external_id for one in delivered}
        absent = {external_id for external_id, held in found.items() if held is None}
        unknown = [one for one in self._contacts if one.external_id in absent or one.external_id not in looked_for]
        self._write("batch/upsert", self._upserts(unknown))
        self._write("batch/update", self._updates(found))
        if self._list_id is not None:
            self._put_on_list(self._list_id)
        return self._steps.counted()

    def _look_by_id(self, contacts: Sequence[Sendable]) -> dict[str, Found | None]:
        ours, rows = self._read(contacts, lambda one: [remote_id_of(one) or ""], by=None)
        return {one.external_id: by_id(one, rows) for one in ours}

    def _look_by_address(self, contacts: Sequence[Sendable]) -> dict[str, Found | None]:
        ours, rows = self._read(contacts, former_addresses, by="email")
        return {one.external_id: by_address(one, former_addresses(one), rows) for one in ours}

    def _read(
        self, contacts: Sequence[Sendable], names_of: Callable[[Sendable], Sequence[str]], *, by: str | None
    ) -> tuple[Sequence[Sendable], list[Row]]:
        """Those who were asked about and whether they are there is known; and the contacts that are."""

        def read(ours: Sequence[Sendable]) -> tuple[Outcome, list[Row]]:
            names = list(dict.fromkeys(name for one in ours for name in names_of(one)))
            return self._api.read(names, SHOWN, at_once, by=by, hide=self._hide)

        ours, rows = self._steps.read(contacts, read)
        return ours, rows or []

    def _upserts(self, contacts: Sequence[Sendable]) -> list[Input]:
        """By address. What is set on creation only goes to those who are not there."""
        setting = [one for one in contacts if ONLY_ON_CREATION & one.payload.attributes.keys()]
        ours, rows = self._read(setting, lambda one: [one.payload.key], by="email")
        there = {address for row in rows for address in (address_in(row), *further_addresses(row))}
        known = {one.external_id for one in ours} | {one.external_id for one in contacts if one not in setting}
        return [
            Input(contact=one, properties=properties_of(one.payload, is_new=one.payload.key not in there))
            for one in contacts
            if one.external_id in known
        ]

    def _updates(self, found: Mapping[str, Found | None]) -> list[Input]:
        """By id, each once. Who may not be updated gets that outcome."""
        inputs: dict[str, Input] = {}
        for one in self._contacts:
            held = found.get(one.external_id)
            if held is None:
                continue
            if (refused := self._refused(one, held, taken=held.remote_id in inputs)) is not None:
                self._outcomes[one.external_id] = refused
            else:
                properties = properties_of(one.payload, is_new=False)
                inputs[held.remote_id] = Input(contact=one, properties=properties, target=held.remote_id)
        return list(inputs.values())

    def _refused(self, contact: Sendable, held: Found, *, taken: bool) -> Outcome | None:
        if taken or (held.merged and not held.ours):
            return self._rejected("merged", MERGED.format(held.remote_id))
        if not held.ours:
            return self._rejected("other_address", OTHER_ADDRESS.format(held.remote_id))
        if held.opted_out and held.address != contact.payload.key:
            return self._rejected("consent", NO_CONSENT)
        return None

    def _rejected(self, kind: str, said: str) -> Outcome:
        return Outcome(result=Result.REJECTED, kind=kind, message=with_advice(said, self._api.advice.get(kind)))

    def _write(self, what: str, inputs: Sequence[Input]) -> None:
        by_contact = {one.contact.external_id: one for one in inputs}

        def write(ours: Sequence[Sendable]) -> tuple[Outcome, Row]:
            body = {"inputs": [by_contact[one.external_id].as_json() for one in ours]}
            return self._api.rows("POST", self._api.paths.contacts(what), at_once, hide=self._hide, json=body)

        ours, outcome, body = self._steps.make([one.contact for one in inputs], write)
        sent = [by_contact[one.external_id] for one in ours]
        judged = judge(
            sent,
            outcome,
            body or {},
            secrets=self._api.secrets,
            advice=self._api.advice,
            account=self._account,
        )
        self._outcomes |= {one.external_id: each for one, each in zip(ours, judged, strict=True)}

    def _put_on_list(self, list_id: int) -> None:
        def put(ids: Sequence[str]) -> tuple[Outcome, set[str]]:
            outcome, answer = self._api.ask("PUT", self._api.paths.members(list_id), at_once, hide=self._hide, json=ids)
            body = json_object(answer) or {}
            if outcome.result is Result.SYNCED and not _MEMBERS & body.keys():
                outcome = self._api.foreign(outcome)
            return self._api.of_the_list(outcome), set(map(str, body.get("recordIdsMissing") or ()))

        self._steps.put_on_list(put)
