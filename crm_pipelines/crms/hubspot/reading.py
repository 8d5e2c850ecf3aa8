"""What HubSpot holds of contacts at this moment, and how it differs from ours."""

from collections.abc import Callable, Sequence
from typing import Any

from crm_pipelines.crms.batching import is_settled, likely_addresses, remote_id_of
from crm_pipelines.crms.hubspot.api import HubspotApi, Row
from crm_pipelines.crms.hubspot.delivery import MOST_PER_REQUEST
from crm_pipelines.crms.hubspot.finding import SHOWN, Found, by_address, by_id
from crm_pipelines.crms.hubspot.forms import wire
from crm_pipelines.crms.hubspot.mapping import ONLY_ON_CREATION
from crm_pipelines.crms.hubspot.properties import AccountProperties
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Compared, Held, Payload, Sendable
from crm_pipelines.crms.turns import Turn


class HubspotReading:
    """See `crm_pipelines.crms.base.Reading`."""

    most_per_request = MOST_PER_REQUEST

    def __init__(self, api: HubspotApi, *, account: Callable[[], AccountProperties | None]) -> None:
        self._api = api
        self._account = account

    def look_up(self, contacts: Sequence[Sendable], *, turn: Turn) -> list[tuple[Outcome, Held | None]]:
        """By HubSpot's id; those whose id is not known, or not there, by the addresses that they may have."""
        numbered = [one for one in contacts if remote_id_of(one)]
        outcome, rows = self._read(numbered, [remote_id_of(one) or "" for one in numbered], turn, by=None)
        told = {one.external_id: (outcome, by_id(one, rows)) for one in numbered}
        others = [one for one in contacts if not is_settled(told.get(one.external_id))]
        for start in range(0, len(others), MOST_PER_REQUEST // 2):
            some = others[start : start + MOST_PER_REQUEST // 2]
            outcome, rows = self._read(
                some, [address for one in some for address in likely_addresses(one)], turn, by="email"
            )
            told |= {one.external_id: (outcome, by_address(one, likely_addresses(one), rows)) for one in some}
        return [self._held(*told[one.external_id]) for one in contacts]

    def compare(self, payload: Payload, held: Held) -> list[Compared]:
        """Field by field in HubSpot's normal form: address, properties, then whether the person has unsubscribed.

        A property of ours that is blank counts as the same as one that HubSpot does not have. Pure.
        """
        values = {**payload.attributes, **dict.fromkeys(sorted(payload.clear))}
        compared = [self._compared("email", payload.key, held.key)]
        compared += [self._compared(name, ours, held.fields.get(name)) for name, ours in values.items()]
        if held.fields.get("hs_email_optout") == "true":
            compared.append(Compared(attribute="unsubscribed", ours=None, theirs=True, same=None))
        return compared

    def _read(
        self, contacts: Sequence[Sendable], names: Sequence[str], turn: Turn, *, by: str | None
    ) -> tuple[Outcome, list[Row]]:
        if not contacts:
            return Outcome(result=Result.SYNCED), []
        wanted = {name for one in contacts for name in (*one.payload.attributes, *one.payload.clear)}
        hide = tuple(address for one in contacts for address in (one.payload.key, one.remote_key or ""))
        properties = [*SHOWN, *sorted(wanted)]
        return self._api.read(list(dict.fromkeys(names)), properties, turn, by=by, hide=hide)

    def _held(self, outcome: Outcome, found: Found | None) -> tuple[Outcome, Held | None]:
        if found is None or not found.ours:
            return outcome, None
        return outcome, Held(key=found.address, remote_id=found.remote_id, fields=found.row["properties"])

    def _compared(self, name: str, ours: Any, theirs: Any) -> Compared:
        account = self._account()
        known = None if account is None else account.get(name)
        if ours in (None, "") or theirs in (None, ""):
            same = ours in (None, "") and theirs in (None, "")
        elif known is not None and name != "email":
            same = known.same_form(ours) == known.same_form(theirs)
        else:
            same = wire(ours) == wire(theirs)
        return Compared(attribute=name, ours=ours, theirs=theirs, same=None if name in ONLY_ON_CREATION else same)
