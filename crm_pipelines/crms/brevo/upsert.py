"""Delivers one contact: creates or updates it at Brevo, with the known repairs of a refusal.

Every request before the write that succeeds has no effect at Brevo (a look-up, or a write that was refused whole), so a
delivery can be broken off between two requests and begun again from the start. Where something was cleared, a look
follows that write: Brevo may keep what was to be cleared.

| the contact | requests |
| --- | --- |
| is new to us and to Brevo | 1: `POST /contacts` that creates or is refused, with the list and our mark |
| is new to us, and Brevo has it | 3: that one, refused; a look; an update of what was seen |
| was delivered before and bears our mark (EXT_ID) | 1: an update of whoever bears it |
| was delivered before and bears another system's | 2: a look by Brevo's number; an update |
| was delivered before, and something is not certain | 2: a look by our mark; an update |

Only a creation, and an update of what was seen a moment ago, put somebody on a list or set EXT_ID: neither then undoes
what the person or another system has decided.

Risks that stay, because Brevo has no conditional update: somebody who unsubscribes, or leaves the list, between the
look and the update is subscribed, or on it, again. And a contact that Brevo knows neither by our id nor by a number of
its own that we know is looked up by its address, which then stands in the path of that one request: Brevo offers no
other way.
"""

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from crm_pipelines.crms.addresses import known_addresses, normal_address
from crm_pipelines.crms.answers import json_object, of_the_request
from crm_pipelines.crms.base import IsContact
from crm_pipelines.crms.brevo import ours
from crm_pipelines.crms.brevo.api import BrevoApi
from crm_pipelines.crms.brevo.attributes import BrevoAttributes
from crm_pipelines.crms.brevo.mapping import PHONES
from crm_pipelines.crms.brevo.outcomes import (
    duplicate_identifiers,
    refused_attributes,
    suspected_attributes,
)
from crm_pipelines.crms.outcomes import SETTINGS, Outcome, RateHeaders, Result
from crm_pipelines.crms.payloads import Sendable
from crm_pipelines.crms.transport import Answer
from crm_pipelines.crms.turns import DeliveryTurn
from crm_pipelines.crms.values import Value

CLEARED: Value = ""
"""Erases an attribute. An assumption: Brevo documents no way to do so for a single contact."""

MOST_REQUESTS = 12
"""Of one delivery, after which no repair is begun. All look-ups and repairs together need twelve; more means that
Brevo's answers contradict each other."""

_SHORTEST_HIDDEN = 3

NO_CONSENT = (
    "Brevo holds this contact under its former address, where it is unsubscribed, and would subscribe it again with "
    "the new address, so nothing was changed. If the person agrees, change the address at Brevo by hand; if not, "
    "take the contact out of the selection."
)

NO_ANSWER = "Brevo's answer does not tell which contact this is or whether it is unsubscribed, so nothing was changed."


@dataclass(frozen=True)
class _Known:
    """A contact that Brevo has and that is ours. Unless `moved`, it has another address, and is not unsubscribed.

    `mark` is its EXT_ID, empty if it has none, and `keeps_mark` whether it is another system's, to be left there.
    `lists` are those that it is on, `left` those that the person has left.
    """

    remote_id: str
    moved: bool
    by_external_id: bool
    mark: str
    keeps_mark: bool
    lists: frozenset[int]
    left: frozenset[int]

    @property
    def path(self) -> str:
        """The number, however the contact was found: what is written is what was looked at."""
        return f"/contacts/{self.remote_id}"


@dataclass(frozen=True)
class _Marked:
    """The contact that bears our mark, whichever that is: nobody has looked. An update creates nothing."""

    path: str
    by_external_id: bool = True


class _NotItsTurn(Exception):
    """The contact must not be sent any more: the gate closed, say, or the claim was lost."""


class Upsert:
    """One delivery of one contact; `run` is called once."""

    def __init__(
        self,
        contact: Sendable,
        *,
        api: BrevoApi,
        turn: DeliveryTurn,
        list_ids: Sequence[int] = (),
        account: BrevoAttributes | None = None,
        keep_marks: bool = True,
        is_contact: IsContact = lambda _: False,
    ) -> None:
        payload, remote_key, remembered = contact.payload, contact.remote_key, contact.remembered
        self._contact = contact
        self._payload = payload
        self._account = account
        self._known = known_addresses(payload, remote_key, remembered)
        former = normal_address(remote_key)
        self._former = former if former not in {"", payload.key} else None
        self._delivered = remote_key is not None
        self._remembered = remembered
        self._keep_marks = keep_marks
        self._is_contact = is_contact
        self._remote_id = contact.remote_id if re.fullmatch(r"[0-9]+", contact.remote_id or "") else None
        self._api = api
        self._turn = turn
        asked = remembered.lists
        if asked is None:  # by a version that asked for the list each time
            asked = frozenset(map(str, list_ids)) if self._delivered else frozenset()
        self._asked = asked
        self._new_lists = [one for one in list_ids if str(one) not in asked]
        self._attributes: dict[str, Value] = {**payload.attributes, **dict.fromkeys(payload.clear, CLEARED)}
        self._not_cleared: set[str] = set()
        self._refused: set[str] = set()
        self._suspects: Iterator[frozenset[str]] | None = None
        self._left_on_suspicion: dict[str, Value] = {}
        self._suspicion: str | None = None
        self._warnings: list[str] = []
        self._requests = 0
        # A refusal may quote what it refuses. Shorter ones would take more than themselves out of it.
        texts = (one for one in payload.attributes.values() if isinstance(one, str) and len(one) >= _SHORTEST_HIDDEN)
        self._hide = (payload.key, remote_key or "", *remembered.maybe_keys, *texts)

    def run(self) -> Outcome | None:
        """Deliver. None: the contact's turn did not come, and nothing that had an effect was sent."""
        try:
            outcome = self._deliver()
        except _NotItsTurn:
            return None
        return replace(
            outcome,
            requests=self._requests,
            answered=self._requests > 0,
            warnings=tuple(self._warnings),
            left_out=frozenset(self._refused),
        )

    def _deliver(self) -> Outcome:
        target = self._begin()
        while not isinstance(target, Outcome):
            outcome, answer = self._write(target)
            if outcome.result is Result.SYNCED:
                return self._synced(outcome, target)
            target = outcome if answer is None else self._repair(outcome, answer, target)
        return target

    def _begin(self) -> _Known | _Marked | Outcome | None:
        """Where to write first; None: create the contact."""
        elsewhere = self._known - {self._payload.key}
        if not self._delivered:
            return self._find_known({"ext_id": self._payload.external_id}) if elsewhere else None
        if elsewhere or self._new_lists or not self._remembered.certain:
            return self._find_known({"ext_id": self._payload.external_id, "contact_id": self._remote_id})
        if self._remembered.remote_mark is not None:
            return self._find_known({"contact_id": self._remote_id})
        return _Marked(f"/contacts/{quote(self._payload.external_id, safe='')}")

    def _write(self, target: _Known | _Marked | None) -> tuple[Outcome, Answer | None]:
        """Never with emailBlacklisted or smsBlacklisted: sent as false, they subscribe people again."""
        body: dict[str, Any] = {"attributes": self._attributes}
        if not (isinstance(target, _Known) and target.keeps_mark):
            body["ext_id"] = self._payload.external_id
        if lists := self._lists_for(target):
            body["listIds"] = lists
        if target is None:
            # Refused if Brevo has the address: then it has not been looked at yet what the person has decided there.
            update = not self._keep_marks and not lists
            return self._request(
                "POST", "/contacts", json={**body, "email": self._payload.key, "updateEnabled": update}
            )
        if isinstance(target, _Marked):
            return self._request("PUT", target.path, params={"identifierType": "ext_id"}, json=body)
        if not target.moved:
            body["attributes"] = {**self._attributes, "EMAIL": self._payload.key}
        return self._request("PUT", target.path, params={"identifierType": "contact_id"}, json=body)

    def _keeps(self, mark: str) -> bool:
        """Whether this EXT_ID is another system's, and to be left where it is.

        That of another contact here may stand there, too: the address was that one's, in this account, long ago. Left
        there, it would lead that one's next delivery to this entry.
        """
        if not self._keep_marks or mark in {"", self._payload.external_id}:
            return False
        found = ours.as_uuid(mark)
        return found is None or not self._is_contact(found)

    def _lists_for(self, target: _Known | _Marked | None) -> list[int]:
        """The lists to put the contact on: never one that it has left, nor one that it was put on before."""
        if isinstance(target, _Known):
            return [one for one in self._new_lists if one not in target.lists and not self._has_left(target, one)]
        return self._new_lists if target is None else []

    def _has_left(self, target: _Known, list_id: int) -> bool:
        """As Brevo says; or it bears our mark, although no delivery is known, and is not on the list.

        A delivery whose answer was lost created it then, on the list, and somebody has taken it off since.
        """
        created_by_us = not self._delivered and target.mark == self._payload.external_id
        return list_id in target.left or (created_by_us and list_id not in target.lists)

    def _find_known(self, identities: dict[str, str | None]) -> _Known | Outcome | None:
        """The contact that was delivered before, by what tells least of the person first."""
        for identifier_type, identifier in {**identities, "email_id": self._former}.items():
            found = self._find(identifier, identifier_type) if identifier else None
            if found is not None:
                return found
        return None

    def _find(self, identifier: str, identifier_type: str) -> _Known | Outcome | None:
        """The contact at Brevo, None if there is none or it is not ours, or the end of this delivery."""
        path = f"/contacts/{quote(identifier, safe='')}"
        outcome, answer = self._request("GET", path, params={"identifierType": identifier_type})
        if outcome.result is Result.REJECTED and (outcome.http_status == 404 or outcome.kind == "invalid_address"):
            return None
        if outcome.result is not Result.SYNCED or answer is None:
            return outcome
        contact = json_object(answer) or {}
        unsubscribed, remote_id = contact.get("emailBlacklisted"), outcome.remote_id
        if not isinstance(unsubscribed, bool) or remote_id is None:
            return replace(outcome, result=Result.RETRY, kind="outage", message=NO_ANSWER, remote_id=None)
        address = ours.address_of(contact)
        at_present_address = address == self._payload.key
        # Whoever has the present address is updated there, whatever its mark.
        is_ours = (identifier_type == "email_id" and at_present_address) or ours.is_ours(
            contact,
            found_by=identifier_type,
            external_id=self._payload.external_id,
            number=self._remote_id,
            known=self._known,
            remembered=self._remembered,
        )
        if identifier_type == "contact_id" and not is_ours and address not in self._known:
            return None  # a stranger with the number that our contact had elsewhere: his consent is not ours to ask for
        moved = is_ours and at_present_address
        if unsubscribed and not moved:
            return replace(outcome, result=Result.REJECTED, kind="consent", message=NO_CONSENT, remote_id=None)
        if not is_ours:
            return None
        mark = ours.mark_of(contact)
        return _Known(
            remote_id,
            moved,
            by_external_id=identifier_type == "ext_id",
            mark=mark,
            keeps_mark=self._keeps(mark),
            lists=_numbers(contact.get("listIds")),
            left=_numbers(contact.get("listUnsubscribed")),
        )

    def _repair(
        self, refused: Outcome, answer: Answer, target: _Known | _Marked | None
    ) -> _Known | _Marked | Outcome | None:
        """Where to write next (None: create), or the end of this delivery."""
        if target is None and refused.result is Result.REJECTED and refused.http_status == 404:
            # A contact that is being created cannot be missing.
            return of_the_request(refused, self._api.advice, SETTINGS)
        if self._requests >= MOST_REQUESTS or not (refused.result is Result.REJECTED or refused.kind == SETTINGS):
            return refused
        if refused.kind in {"duplicate_phone", "invalid_phone"}:
            phones = (duplicate_identifiers(answer) & PHONES or PHONES) & self._attributes.keys()
            self._refused |= phones & self._payload.attributes.keys()
            return target if self._leave_out(phones, refused) else refused
        if names := self._refused_by(refused, answer):
            self._refused |= names & self._payload.attributes.keys()
            return target if self._leave_out(names, refused) else refused
        if self._without_other_suspects(refused, answer):
            return target
        if refused.kind == SETTINGS:
            return refused
        if refused.kind == "duplicate_external_id" and not (target and target.by_external_id):
            # Brevo holds our contact under an address that we do not know of.
            found = self._find(self._payload.external_id, "ext_id")
            return refused if found is None else found
        if refused.kind == "duplicate_address" and target is None:
            return self._find(self._payload.key, "email_id")
        if isinstance(target, _Marked) and refused.http_status == 404:
            return self._find_known({"contact_id": self._remote_id})
        if target is not None and refused.http_status == 404:
            return None  # deleted at Brevo since the look-up
        return refused

    def _refused_by(self, refused: Outcome, answer: Answer) -> frozenset[str]:
        """The attributes that are refused, if it is not the contact."""
        if refused.kind not in {"rejected", SETTINGS} or refused.http_status == 404:
            return frozenset()
        return refused_attributes(answer, self._attributes.keys() - PHONES, self._account)

    def _without_other_suspects(self, refused: Outcome, answer: Answer) -> bool:
        """Where a value is refused and no attribute is named: try without those of one type, then of another.

        Of several Brevo keeps what it has: all but one of them are right. False when there is none left to try, or it
        is not about a value.
        """
        if refused.kind != "rejected" or refused.http_status == 404:
            return False
        if self._suspects is None:
            self._suspects = iter(suspected_attributes(answer, self._attributes.keys() - PHONES, self._account))
        self._attributes |= self._left_on_suspicion
        self._left_on_suspicion = {}
        group = next(self._suspects, None)
        if group is None:
            return False
        for name in group:
            self._left_on_suspicion[name] = self._attributes.pop(name)
            if len(group) == 1 and name in self._payload.sent_before and self._left_on_suspicion[name] != CLEARED:
                self._attributes[name] = CLEARED
        self._suspicion = refused.message
        return True

    def _leave_out(self, names: Set[str], refused: Outcome) -> bool:
        """Whether there was something to leave out. A value that Brevo has from us is cleared: it is wrong now."""
        for name in names:
            if self._attributes.pop(name) == CLEARED:
                self._not_cleared.add(name)
            elif name in self._payload.sent_before:
                self._attributes[name] = CLEARED
        if names:
            self._warnings.append(f"{', '.join(sorted(names))} left out, the rest was sent. Brevo: {refused.message}")
        return bool(names)

    def _synced(self, outcome: Outcome, target: _Known | _Marked | None) -> Outcome:
        self._tell_suspects()
        sent = {name for name, value in self._attributes.items() if value != CLEARED}
        seen = target if isinstance(target, _Known) else None
        for one in self._new_lists if seen else ():
            if seen and self._has_left(seen, one):
                self._warnings.append(f"not put on list {one}, since it was taken off that list at Brevo")
        remote_id = outcome.remote_id or (seen.remote_id if seen else None)
        kept, rate = self._kept(remote_id or self._remote_id)
        return replace(
            outcome,
            remote_key=self._payload.key,
            remote_id=remote_id,
            remote_mark=seen.mark if seen and seen.keeps_mark else None,
            lists=self._asked | frozenset(map(str, self._new_lists)),
            sent_attributes=frozenset(sent | self._not_cleared | kept),
            rate=rate or outcome.rate,
        )

    def _tell_suspects(self) -> None:
        if not self._left_on_suspicion:
            return
        cleared = {name for name, value in self._left_on_suspicion.items() if value == CLEARED}
        self._not_cleared |= (
            cleared | (self._left_on_suspicion.keys() & self._payload.sent_before) - self._attributes.keys()
        )
        self._refused |= self._left_on_suspicion.keys() - cleared
        names = ", ".join(sorted(self._left_on_suspicion))
        self._warnings.append(
            f"{names} left out, the rest was sent: Brevo refuses one of these and does not say which. Brevo: "
            f"{self._suspicion}"
        )

    def _kept(self, remote_id: str | None) -> tuple[set[str], RateHeaders | None]:
        """What was to be cleared and was not seen to be; and the rate headers of the look, if there was one."""
        cleared = {name for name, value in self._attributes.items() if value == CLEARED}
        if not cleared:
            return set(), None
        way = ("contact_id", remote_id) if remote_id else ("ext_id", self._payload.external_id)
        contact, rate = self._look(*way)
        if contact is None or ours.address_of(contact) != self._payload.key:
            self._warnings.append(
                f"{', '.join(sorted(cleared))} is blank here, but Brevo did not show whether it is cleared there: the "
                "next delivery clears it again"
            )
            return cleared, rate
        shown = contact.get("attributes")
        held = shown if isinstance(shown, dict) else {}
        kept = {name for name in cleared if held.get(name) not in (None, "", [])}
        if kept:
            self._warnings.append(
                f"{', '.join(sorted(kept))} is blank here, but Brevo keeps its value: clear it there by hand"
            )
        return kept, rate

    def _look(self, identifier_type: str, identifier: str) -> tuple[dict[str, Any] | None, RateHeaders | None]:
        """The contact as Brevo shows it now; None if it does not. The delivery is made and must not fail any more."""
        path = f"/contacts/{quote(identifier, safe='')}"
        try:
            outcome, answer = self._request("GET", path, params={"identifierType": identifier_type})
        except _NotItsTurn:
            return None, None
        found = json_object(answer) if answer is not None and outcome.result is Result.SYNCED else None
        return found, outcome.rate

    def _request(self, method: str, path: str, **sent: Any) -> tuple[Outcome, Answer | None]:
        ask = self._api.ask if method == "GET" else self._api.write
        return ask(method, path, self._count_in_turn, hide=self._hide, **sent)

    def _count_in_turn(self) -> None:
        if not self._turn([self._contact]):
            raise _NotItsTurn
        self._requests += 1


def _numbers(listed: Any) -> frozenset[int]:
    return frozenset(one for one in listed if isinstance(one, int)) if isinstance(listed, list) else frozenset()
