"""What Brevo holds of a contact at this moment, and how it differs from ours."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from crm_pipelines.crms.addresses import known_addresses
from crm_pipelines.crms.answers import json_object
from crm_pipelines.crms.brevo import ours
from crm_pipelines.crms.brevo.api import BrevoApi
from crm_pipelines.crms.brevo.attributes import BrevoAttributes
from crm_pipelines.crms.brevo.normal_form import normal
from crm_pipelines.crms.outcomes import Outcome, Result
from crm_pipelines.crms.payloads import Compared, Held, Payload, Sendable
from crm_pipelines.crms.turns import Turn

_OURS_ALONE = frozenset({"EXT_ID", "EMAIL"})


class BrevoReading:
    """See `crm_pipelines.crms.base.Reading`."""

    most_per_request = 1  # Brevo finds contacts one by one

    def __init__(
        self, api: BrevoApi, list_ids: tuple[int, ...], *, account: Callable[[], BrevoAttributes | None]
    ) -> None:
        self._api = api
        self._list_ids = list_ids
        self._account = account

    def look_up(self, contacts: Sequence[Sendable], *, turn: Turn) -> list[tuple[Outcome, Held | None]]:
        """Up to four requests each: by our id, Brevo's number, the address of the last delivery, the present one.

        SYNCED and None: Brevo has none that is this contact (see `ours`).

        An address stands in the path of its request: Brevo offers no other way.
        """
        return [_look_up(one, self._api, turn) for one in contacts]

    def compare(self, payload: Payload, held: Held) -> list[Compared]:
        """Field by field in the normal form of deliveries: address, attributes, then what Brevo has besides.

        An attribute of ours that is blank counts as the same as one that Brevo does not show. Being off the list is no
        difference: who is not on it any more has left it, and is not put back. Pure.
        """
        account = self._account()
        theirs = _attributes(held.fields)
        compared = [_compared("EMAIL", payload.key, held.key.lower(), account)]
        compared += [_compared(name, value, theirs.get(name), account) for name, value in payload.attributes.items()]
        compared += [_compared(name, None, theirs.get(name), account) for name in sorted(payload.clear)]
        if self._list_ids:
            lists = held.fields.get("listIds")
            on = sorted(set(self._list_ids) & set(lists if isinstance(lists, list) else []))
            same = True if on == sorted(self._list_ids) else None
            compared.append(Compared(attribute="lists", ours=list(self._list_ids), theirs=on, same=same))
        if held.fields.get("emailBlacklisted") is True:
            compared.append(Compared(attribute="unsubscribed", ours=None, theirs=True, same=None))
        known = {one.attribute for one in compared} | _OURS_ALONE
        return compared + [
            Compared(attribute=name, ours=None, theirs=value, same=None)
            for name, value in sorted(theirs.items())
            if name not in known
        ]


def _look_up(contact: Sendable, api: BrevoApi, turn: Turn) -> tuple[Outcome, Held | None]:
    payload, remembered = contact.payload, contact.remembered
    number = contact.remote_id if re.fullmatch(r"[0-9]+", contact.remote_id or "") else None
    ways = [
        ("ext_id", payload.external_id),
        ("contact_id", number),
        *[("email_id", address) for address in dict.fromkeys([contact.remote_key, payload.key])],
    ]
    known = known_addresses(payload, contact.remote_key, remembered)
    outcome = Outcome(result=Result.SYNCED)
    for identifier_type, identifier in ways:
        if not identifier:
            continue
        outcome, answer = api.ask(
            "GET",
            f"/contacts/{quote(identifier, safe='')}",
            turn,
            params={"identifierType": identifier_type},
            hide=(payload.key, contact.remote_key or "", *remembered.maybe_keys),
        )
        if outcome.result is Result.SYNCED:
            if outcome.remote_id is None:
                return api.foreign(outcome), None
            body = json_object(answer) or {}
            if ours.is_ours(
                body,
                found_by=identifier_type,
                external_id=payload.external_id,
                number=number,
                known=known,
                remembered=remembered,
            ):
                return outcome, Held(key=str(body.get("email") or ""), remote_id=str(body.get("id", "")), fields=body)
        elif outcome.http_status != 404 and outcome.kind != "invalid_address":
            return outcome, None
    return Outcome(result=Result.SYNCED, http_status=outcome.http_status), None


def _compared(name: str, ours: Any, theirs: Any, account: BrevoAttributes | None) -> Compared:
    blank = ours in (None, "") and theirs in (None, "")
    same = blank or (
        theirs is not None and ours is not None and normal(name, ours, account) == normal(name, theirs, account)
    )
    return Compared(attribute=name, ours=ours, theirs=theirs, same=same)


def _attributes(fields: Mapping[str, Any]) -> dict[str, Any]:
    found = fields.get("attributes")
    return found if isinstance(found, dict) else {}
