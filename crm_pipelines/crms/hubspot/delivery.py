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
from dataclasses import replace
from typing import TypeVar

from crm_pipelines.crms.answers import json_object, with_advice
from crm_pipelines.crms.hubspot.api import HubspotApi, Row
from crm_pipelines.crms.hubspot.batches import Input, address_in, hidden, judge
from crm_pipelines.crms.hubspot.finding import (
    SHOWN,
    Found,
    by_address,
    by_id,
    former_addresses,
    further_addresses,
    remote_id_of,
)
from crm_pipelines.crms.hubspot.forms import properties_of
from crm_pipelines.crms.hubspot.mapping import ONLY_ON_CREATION
from crm_pipelines.crms.hubspot.properties import AccountProperties
from crm_pipelines.crms.outcomes import Outcome, RateHeaders, Result
from crm_pipelines.crms.payloads import Sendable
from crm_pipelines.crms.turns import DeliveryTurn

T = TypeVar("T")

MOST_PER_REQUEST = 100
"""Inputs of a batch (contacts guide, limits)."""

NO_CONSENT = (
    "HubSpot holds this contact under its former address, which has unsubscribed, and would not know of that with the "
    "new address, so nothing was changed. If the person agrees, change the address at HubSpot by hand; if not, take "
    "the contact out of the selection."
)
MERGED = "HubSpot has merged this contact into another one ({}), whose address is not this one's. Nothing was changed."
OTHER_ADDRESS = "HubSpot holds this contact ({}) under an address that is not known here. Nothing was changed."
NOT_ON_THE_LIST = "HubSpot has the contact; it was not put on the list before the run ended."
UNKNOWN_TO_THE_LIST = "HubSpot has the contact, and does not find it where it is put on the list."

_MEMBERS = frozenset({"recordsIdsAdded", "recordIdsRemoved", "recordIdsMissing"})
# Of one contact; more than one former address is rare.
_MOST_FORMER = 20


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
        self._turn = turn
        self._list_id = list_id
        self._account = account
        self._hide = hidden(contacts)
        self._outcomes: dict[str, Outcome] = {}
        self._asked: set[str] = set()
        self._requests = 0
        self._rate = RateHeaders()

    def run(self) -> list[Outcome | None]:
        """Deliver; one outcome each, in order. None: the contact's turn did not come before it was written."""
        delivered = [one for one in self._contacts if remote_id_of(one) or former_addresses(one)]
        found = self._look(delivered)
        looked_for = {one.external_id for one in delivered}
        absent = {external_id for external_id, held in found.items() if held is None}
        unknown = [one for one in self._contacts if one.external_id in absent or one.external_id not in looked_for]
        self._write("batch/upsert", self._upserts(unknown))
        self._write("batch/update", self._updates(found))
        if self._list_id is not None:
            self._put_on_list(self._list_id)
        return self._counted()

    def _look(self, contacts: Sequence[Sendable]) -> dict[str, Found | None]:
        """What HubSpot has of those who were asked about, None: nothing."""
        found = self._look_by_id([one for one in contacts if remote_id_of(one)])
        for one in contacts:
            if not remote_id_of(one):
                found[one.external_id] = None
        elsewhere = [one for one in contacts if former_addresses(one) and found.get(one.external_id, one) is None]
        for some in _chunks(elsewhere):
            for one in some:
                del found[one.external_id]
            found |= self._look_by_address(some)
        return found

    def _look_by_id(self, contacts: Sequence[Sendable]) -> dict[str, Found | None]:
        ours, rows = self._read(contacts, lambda one: [remote_id_of(one) or ""], by=None)
        return {one.external_id: by_id(one, rows) for one in ours}

    def _look_by_address(self, contacts: Sequence[Sendable]) -> dict[str, Found | None]:
        ours, rows = self._read(contacts, _former, by="email")
        return {one.external_id: by_address(one, _former(one), rows) for one in ours}

    def _read(
        self, contacts: Sequence[Sendable], names_of: Callable[[Sendable], Sequence[str]], *, by: str | None
    ) -> tuple[Sequence[Sendable], list[Row]]:
        """Those who were asked about and whether they are there is known; and the contacts that are."""

        def read(ours: Sequence[Sendable]) -> tuple[Outcome, list[Row]]:
            names = list(dict.fromkeys(name for one in ours for name in names_of(one)))
            return self._api.read(names, SHOWN, _at_once, by=by, hide=self._hide)

        ours, outcome, rows = self._step(contacts, read)
        if outcome.result is Result.SYNCED:
            return ours, rows or []
        self._outcomes |= {one.external_id: outcome for one in ours}
        return [], []

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
            return self._api.rows("POST", self._api.paths.contacts(what), _at_once, hide=self._hide, json=body)

        ours, outcome, body = self._step([one.contact for one in inputs], write)
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
        """Those who have arrived and were never put there by us. Who could not be is tried again as a whole."""
        path = self._api.paths.members(list_id)
        arrived = [one for one in self._contacts if self._is_new_to(list_id, one)]
        ids = {one.external_id: self._outcomes[one.external_id].remote_id for one in arrived}

        def put(ours: Sequence[Sendable]) -> tuple[Outcome, Row]:
            members = [ids[one.external_id] for one in ours]
            outcome, answer = self._api.ask("PUT", path, _at_once, hide=self._hide, json=members)
            body = json_object(answer) or {}
            if outcome.result is Result.SYNCED and not _MEMBERS & body.keys():
                outcome = self._api.foreign(outcome)
            return self._api.of_the_list(outcome), body

        ours, outcome, body = self._step(arrived, put)
        missing = set(map(str, (body or {}).get("recordIdsMissing") or ()))
        put_off = {one.external_id for one in arrived} - {one.external_id for one in ours}
        for external_id, remote_id in ids.items():
            if external_id in put_off:
                self._outcomes[external_id] = _again(NOT_ON_THE_LIST)
            elif outcome.result is not Result.SYNCED:
                self._outcomes[external_id] = outcome
            elif remote_id in missing:
                self._outcomes[external_id] = _again(UNKNOWN_TO_THE_LIST)

    def _is_new_to(self, list_id: int, contact: Sendable) -> bool:
        outcome = self._outcomes.get(contact.external_id)
        return outcome is not None and outcome.result is Result.SYNCED and str(list_id) not in _lists_of(contact)

    def _step(
        self, contacts: Sequence[Sendable], send: Callable[[Sequence[Sendable]], tuple[Outcome, T]]
    ) -> tuple[Sequence[Sendable], Outcome, T | None]:
        """One request about those of the contacts whose turn it is: who they are, what it came to."""
        ours = self._turn(contacts) if contacts else []
        if not ours:
            return [], Outcome(result=Result.SYNCED), None
        self._requests += 1
        self._asked |= {one.external_id for one in ours}
        outcome, body = send(ours)
        self._rate = outcome.rate
        return ours, outcome, body

    def _counted(self) -> list[Outcome | None]:
        """In order, the requests counted once and the latest rate told with them."""
        found = {one.external_id: self._told(one) for one in self._contacts if one.external_id in self._outcomes}
        answered = [external_id for external_id in found if external_id in self._asked]
        carrier = next((one for one in answered if found[one].result is not Result.RETRY), next(iter(answered), None))
        if carrier is not None:
            found[carrier] = replace(found[carrier], requests=self._requests, rate=self._rate)
        return [found.get(one.external_id) for one in self._contacts]

    def _told(self, contact: Sendable) -> Outcome:
        outcome = replace(self._outcomes[contact.external_id], answered=contact.external_id in self._asked)
        if outcome.result is not Result.SYNCED:
            return replace(outcome, rate=RateHeaders())
        new = () if self._list_id is None else (str(self._list_id),)
        return replace(outcome, lists=_lists_of(contact) | frozenset(new), rate=RateHeaders())


def _former(contact: Sendable) -> list[str]:
    return former_addresses(contact)[:_MOST_FORMER]


def _chunks(contacts: Sequence[Sendable]) -> list[list[Sendable]]:
    """Of at most 100 former addresses each."""
    chunks: list[list[Sendable]] = []
    for one in contacts:
        if not chunks or sum(len(_former(other)) for other in (*chunks[-1], one)) > MOST_PER_REQUEST:
            chunks.append([])
        chunks[-1].append(one)
    return chunks


def _lists_of(contact: Sendable) -> frozenset[str]:
    return contact.remembered.lists or frozenset()


def _again(said: str) -> Outcome:
    return Outcome(result=Result.RETRY, kind="outage", message=said)


def _at_once() -> None:
    """The turn was waited for before the request was made up."""
