"""Delivers some contacts: looks at those that were delivered before, then writes them in two batches.

| contacts | requests |
| --- | --- |
| new to us | 1: batch/new, by address |
| delivered before | 2: a look by Mautic's id; PATCH batch/edit by id |
| delivered before, under an address that has changed | 3: that look; a look who has the new address; PATCH |
| delivered before, and deleted or merged at Mautic | 2: that look; batch/new, by address |
| delivered before, Mautic's id not known, under an address that has changed | 3: a look by address; as above |
| with a zero where Mautic has another value | 1 more: PATCH batch/edit, which blanks it, see `zeros` |
| with a value that Mautic refuses | 1 more: the rest of the contact |
| to be put on the segment | 1 more, after the others |

By id rather than by address, since somebody may have changed the address at Mautic, which would make a second contact;
and without the address, unless it changes. An edit with an address that others have merges them (LeadApiController,
preSaveEntity), and a merge cannot be undone. So before an address changes it is looked up, and who finds it taken is
refused. Newer versions refuse it themselves (422). Everything may be begun again from the start: the same again changes
nothing, and rows that were saved before an answer was lost are found by their address.

Whoever is not to be contacted (`doNotContact`) stays so: it belongs to the contact, whatever its address, and no
request sends it.

Risks that stay, because Mautic has no conditional update: an address that somebody takes between look and update. And
Mautic does not tell who has left a segment (LeadListRepository, getLeadLists leaves them out): nobody is put on it
twice by us, but somebody who left it before us is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from crm_pipelines.crms.answers import json_object, with_advice
from crm_pipelines.crms.batching import Steps, former_addresses, hidden, look, remote_id_of
from crm_pipelines.crms.mautic.api import MauticApi, Row, listed, short_enough
from crm_pipelines.crms.mautic.batches import BatchRow, Judged, judge
from crm_pipelines.crms.mautic.fields import AccountFields
from crm_pipelines.crms.mautic.finding import FoundContact, address_in, by_address, by_id, id_in, survives
from crm_pipelines.crms.mautic.zeros import blanking, not_yet, without_zeros
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Sendable
from crm_pipelines.crms.turns import DeliveryTurn
from crm_pipelines.settings import MauticSettings

NEW, EDIT = "/api/contacts/batch/new", "/api/contacts/batch/edit"

SPOILT = "Mautic takes letters out of this address, which would make it somebody else's. Nothing was sent."
TAKEN = "Another contact at Mautic has this address, and with it the two would be merged. Nothing was changed."
MERGED = "Another contact here is Mautic's contact {}, too: Mautic has merged the two. Nothing was changed."
OTHER_ADDRESS = "Mautic holds this contact ({}) under an address that is not known here. Nothing was changed."


class MauticDelivery:
    """One delivery; `run` is called once."""

    def __init__(
        self,
        contacts: Sequence[Sendable],
        *,
        api: MauticApi,
        turn: DeliveryTurn,
        segment_id: int | None,
        account: AccountFields | None,
    ) -> None:
        self._contacts = contacts
        self._api = api
        self._segment_id = segment_id
        self._account = account
        self._hide = hidden(contacts)
        self._steps = Steps(contacts, turn=turn, list_id=segment_id, label=MauticSettings.label, carry=api.carry)
        self._outcomes = self._steps.outcomes
        self._lost: dict[str, Judged] = {}

    def run(self) -> list[Outcome | None]:
        """Deliver; one outcome each, in order. None: the contact's turn did not come before it was written."""
        contacts = [one for one in self._contacts if survives(one.payload.key)]
        spoilt = {one.external_id for one in self._contacts} - {one.external_id for one in contacts}
        self._outcomes |= dict.fromkeys(spoilt, self._rejected("invalid_address", SPOILT))
        delivered = [one for one in contacts if remote_id_of(one) or former_addresses(one)]
        most = max(len(self._contacts), 1)
        found = look(delivered, by_id=self._look_by_id, by_address=self._look_by_address, most=most)
        looked_for = {one.external_id for one in delivered}
        absent = {external_id for external_id, held in found.items() if held is None}
        unknown = [one for one in contacts if one.external_id in absent or one.external_id not in looked_for]
        self._write("POST", NEW, [BatchRow(contact=one) for one in unknown])
        self._write("PATCH", EDIT, self._edits(found))
        self._blank_what_is_zero()
        if self._segment_id is not None:
            self._put_on_segment(self._segment_id)
        return self._steps.counted()

    def _look_by_id(self, contacts: Sequence[Sendable]) -> dict[str, FoundContact | None]:
        ours, rows = self._read(contacts, "id", lambda one: [remote_id_of(one) or ""])
        return {one.external_id: by_id(one, rows) for one in ours}

    def _look_by_address(self, contacts: Sequence[Sendable]) -> dict[str, FoundContact | None]:
        ours, rows = self._read(contacts, "email", former_addresses)
        return {one.external_id: by_address(one, former_addresses(one), rows) for one in ours}

    def _read(
        self, contacts: Sequence[Sendable], column: str, values_of: Callable[[Sendable], Sequence[str]]
    ) -> tuple[Sequence[Sendable], list[Row]]:
        """Those who were asked about and whether they are there is known; and the contacts that are."""

        def read(ours: Sequence[Sendable]) -> tuple[Outcome, list[Row]]:
            values = list(dict.fromkeys(value for one in ours for value in values_of(one)))
            return self._api.contacts_where(column, values, hide=self._hide)

        told: list[Sendable] = []
        found: list[Row] = []
        for some in short_enough(contacts, values_of):
            ours, rows = self._steps.read(some, read)
            told += ours
            found += rows or []
        return told, found

    def _edits(self, found: Mapping[str, FoundContact | None]) -> list[BatchRow]:
        """By id, each once. Who may not be updated gets that outcome."""
        inputs: dict[str, BatchRow] = {}
        for one in self._contacts:
            held = found.get(one.external_id)
            if held is None:
                continue
            if held.remote_id in inputs:
                self._outcomes[one.external_id] = self._rejected("merged", MERGED.format(held.remote_id))
            elif not held.ours:
                self._outcomes[one.external_id] = self._rejected("other_address", OTHER_ADDRESS.format(held.remote_id))
            else:
                moves = held.address != one.payload.key
                inputs[held.remote_id] = BatchRow(contact=one, target=held.remote_id, moves=moves)
        return self._without_taken(list(inputs.values()))

    def _without_taken(self, inputs: Sequence[BatchRow]) -> list[BatchRow]:
        """Those whose new address nobody else has."""
        moving = [one.contact for one in inputs if one.moves]
        looked_at, rows = self._read(moving, "email", lambda one: [one.payload.key])
        holders = {(address_in(row), id_in(row)) for row in rows}
        known = {one.external_id for one in looked_at}
        free = []
        for one in inputs:
            external_id = one.contact.external_id
            if one.moves and any(
                address == one.contact.payload.key and number != one.target for address, number in holders
            ):
                self._outcomes[external_id] = self._rejected("duplicate_address", TAKEN)
            elif not one.moves or external_id in known:
                free.append(one)
        return free

    def _rejected(self, kind: str, said: str) -> Outcome:
        return Outcome(result=Result.REJECTED, kind=kind, message=with_advice(said, self._api.advice.get(kind)))

    def _write(self, method: str, path: str, inputs: Sequence[BatchRow]) -> None:
        """Write them; those with values that Mautic refuses once more, without these."""
        again = []
        for one, judged in self._written(method, path, inputs):
            self._outcomes[one.contact.external_id] = judged.outcome
            if judged.misfits and not one.without:
                again.append(replace(one, without=judged.misfits))
                del self._outcomes[one.contact.external_id]  # nothing of it had an effect
            elif judged.lost:
                self._lost[one.contact.external_id] = judged
        if again:
            self._write(method, path, again)

    def _written(self, method: str, path: str, inputs: Sequence[BatchRow]) -> list[tuple[BatchRow, Judged]]:
        by_contact = {one.contact.external_id: one for one in inputs}

        def write(ours: Sequence[Sendable]) -> tuple[Outcome, Row]:
            rows = [by_contact[one.external_id].as_json() for one in ours]
            outcome, answer = self._api.once(method, path, hide=self._hide, json=rows)
            body = json_object(answer) or {}
            if outcome.result is Result.SYNCED and "statusCodes" not in body:
                return self._api.foreign(outcome), {}
            return outcome, body

        ours, outcome, body = self._steps.make([one.contact for one in inputs], write)
        sent = [by_contact[one.external_id] for one in ours]
        judged = judge(
            sent, outcome, body or {}, secrets=self._api.secrets, advice=self._api.advice, account=self._account
        )
        return list(zip(sent, judged, strict=True))

    def _blank_what_is_zero(self) -> None:
        """See `zeros`."""
        rows = []
        for contact in self._contacts:
            if (judged := self._lost.get(contact.external_id)) is None:
                continue
            if judged.stale:
                target = judged.outcome.remote_id
                rows.append(BatchRow(contact=blanking(contact, judged.stale), target=target))
                self._outcomes[contact.external_id] = not_yet(judged.outcome)
            else:
                self._outcomes[contact.external_id] = without_zeros(judged.outcome, judged.lost)
        for one, blanked in self._written("PATCH", EDIT, rows):
            judged = self._lost[one.contact.external_id]
            if blanked.outcome.result is Result.SYNCED:
                told = without_zeros(judged.outcome, judged.lost, blanked.outcome.sent_attributes)
            elif blanked.outcome.result is Result.REJECTED and not blanked.outcome.whole:
                told = without_zeros(judged.outcome, judged.lost, judged.stale)
            else:
                told = blanked.outcome
            self._outcomes[one.contact.external_id] = told

    def _put_on_segment(self, segment_id: int) -> None:
        path = f"/api/segments/{segment_id}/contacts/add"

        def put(ids: Sequence[str]) -> tuple[Outcome, set[str]]:
            numbers = [int(one) for one in ids]
            outcome, answer = self._api.once("POST", path, hide=self._hide, json={"ids": numbers})
            body = json_object(answer) or {}
            if outcome.result is Result.SYNCED and "details" not in body:
                outcome = self._api.foreign(outcome)
            added = {
                number
                for number, one in listed(body.get("details")).items()
                if isinstance(one, dict) and one.get("success") is True
            }
            return self._api.of_the_segment(outcome), set(ids) - added

        self._steps.put_on_list(put)
