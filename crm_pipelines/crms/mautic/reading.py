"""What Mautic holds of contacts at this moment, and how it differs from ours."""

from collections.abc import Callable, Sequence
from typing import Any

from crm_pipelines.crms.batching import is_settled, likely_addresses, remote_id_of
from crm_pipelines.crms.mautic.api import MauticApi, Row, short_enough, where
from crm_pipelines.crms.mautic.batches import same
from crm_pipelines.crms.mautic.fields import AccountFields
from crm_pipelines.crms.mautic.finding import FoundContact, by_address, by_id, opted_out
from crm_pipelines.crms.mautic.forms import values_of
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Compared, Held, Payload, Sendable
from crm_pipelines.crms.turns import Turn

OPTED_OUT = "do not contact"
"""The name under which it is compared that somebody is not to be sent e-mail."""


class MauticReading:
    """See `crm_pipelines.crms.base.Reading`."""

    most_per_request = 50  # as many as one query holds, if addresses are of usual length

    def __init__(self, api: MauticApi, *, account: Callable[[], AccountFields | None]) -> None:
        self._api = api
        self._account = account

    def look_up(self, contacts: Sequence[Sendable], *, turn: Turn) -> list[tuple[Outcome, Held | None]]:
        """By Mautic's id; those whose id is not known, or not there, by the addresses that they may have."""
        numbered = [one for one in contacts if remote_id_of(one)]
        outcome, rows = self._read(numbered, "id", [remote_id_of(one) or "" for one in numbered], turn)
        told = {one.external_id: (outcome, by_id(one, rows)) for one in numbered}
        others = [one for one in contacts if not is_settled(told.get(one.external_id))]
        for some in short_enough(others, likely_addresses):
            outcome, rows = self._read(
                some, "email", [address for one in some for address in likely_addresses(one)], turn
            )
            told |= {one.external_id: (outcome, by_address(one, likely_addresses(one), rows)) for one in some}
        return [_held(*told[one.external_id]) for one in contacts]

    def compare(self, payload: Payload, held: Held) -> list[Compared]:
        """Field by field in Mautic's normal form: address, fields, then whether the person is not to be contacted.

        A field of ours that is blank counts as the same as one that Mautic does not have. Pure.
        """
        account = self._account()
        values = {**payload.attributes, **dict.fromkeys(sorted(payload.clear))}
        compared = [self._compared("email", payload.key, held.key, account)]
        compared += [self._compared(name, ours, held.fields.get(name), account) for name, ours in values.items()]
        if held.fields.get(OPTED_OUT):
            compared.append(Compared(attribute=OPTED_OUT, ours=None, theirs=True, same=None))
        return compared

    def _read(
        self, contacts: Sequence[Sendable], column: str, values: Sequence[str], turn: Turn
    ) -> tuple[Outcome, list[Row]]:
        if not contacts:
            return Outcome(result=Result.SYNCED), []
        hide = tuple(address for one in contacts for address in (one.payload.key, one.remote_key or ""))
        asked = where(column, list(dict.fromkeys(values)))
        return self._api.contacts_in(*self._api.ask("GET", "/api/contacts", turn, hide=hide, params=asked))

    @staticmethod
    def _compared(name: str, ours: Any, theirs: Any, account: AccountFields | None) -> Compared:
        return Compared(attribute=name, ours=ours, theirs=theirs, same=same(name, ours, theirs, account))


def _held(outcome: Outcome, found: FoundContact | None) -> tuple[Outcome, Held | None]:
    if found is None or not found.ours:
        return outcome, None
    fields = {**values_of(found.row), **({OPTED_OUT: True} if opted_out(found.row) else {})}
    return outcome, Held(key=found.address, remote_id=found.remote_id, fields=fields)
