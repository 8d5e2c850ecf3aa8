"""Delivers one contact: creates or updates it at Brevo, with the known repairs of a refusal.

Every request before the write that succeeds has no effect at Brevo (a look-up, or a write that was refused whole), so a
delivery can be broken off between two requests and begun again from the start. Where something was cleared, a look
follows that write: Brevo may keep what was to be cleared. Two risks stay. Somebody who unsubscribes between the
look-up and the change of address is subscribed again, because Brevo has no conditional update. And a contact that Brevo
knows neither by our id nor by a number of its own that we know is looked up by its former address, which then stands in
the path of that one request: Brevo offers no other way.
"""

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import quote

import requests

from crm_pipelines.crms.base import BeforeRequest, Outcome, Payload, RateHeaders, Result
from crm_pipelines.crms.brevo import ours
from crm_pipelines.crms.brevo.attributes import AccountAttributes
from crm_pipelines.crms.brevo.mapping import PHONES
from crm_pipelines.crms.brevo.outcomes import (
    classify,
    classify_exception,
    duplicate_identifiers,
    json_object,
    refused_attributes,
)
from crm_pipelines.crms.brevo.values import Value
from crm_pipelines.crms.transport import Answer

CLEARED: Value = ""
"""Erases an attribute. An assumption: Brevo documents no way to do so for a single contact."""

MOST_REQUESTS = 9
"""Of one delivery, after which no repair is begun. All look-ups and repairs together need nine; more means that Brevo's
answers contradict each other."""

NO_CONSENT = (
    "Brevo holds this contact under its former address, where it is unsubscribed, and would subscribe it again with "
    "the new address, so nothing was changed. If the person agrees, change the address at Brevo by hand; if not, "
    "take the contact out of the selection."
)

NO_ANSWER = "Brevo's answer does not tell which contact this is or whether it is unsubscribed, so nothing was changed."


class Send(Protocol):
    """`Transport.request`."""

    def __call__(self, method: str, path: str, *, params: dict[str, str] | None = None, json: Any = None) -> Answer:
        """Raises requests.RequestException."""


@dataclass(frozen=True)
class _Known:
    """A contact that Brevo has and that is ours. Unless `moved`, it has another address, and is not unsubscribed."""

    remote_id: str
    moved: bool
    by_external_id: bool

    @property
    def path(self) -> str:
        """The number, however the contact was found: what is written is what was looked at."""
        return f"/contacts/{self.remote_id}"


class Upsert:
    """One delivery of one contact; `run` is called once."""

    def __init__(
        self,
        payload: Payload,
        *,
        remote_key: str | None,
        remote_id: str | None,
        maybe_keys: frozenset[str] = frozenset(),
        send: Send,
        before_request: BeforeRequest,
        list_ids: Sequence[int] = (),
        secrets: tuple[str, ...] = (),
        account: AccountAttributes | None = None,
    ) -> None:
        self._payload = payload
        self._account = account
        self._known = ours.known_addresses(payload, remote_key, maybe_keys)
        former = ours.normal_address(remote_key)
        self._former = former if former not in {"", payload.key} else None
        self._remote_id = remote_id if re.fullmatch(r"[0-9]+", remote_id or "") else None
        self._send = send
        self._before_request = before_request
        self._list_ids = list(list_ids)
        self._attributes: dict[str, Value] = {**payload.attributes, **dict.fromkeys(payload.clear, CLEARED)}
        self._not_cleared: set[str] = set()
        self._refused: set[str] = set()
        self._warnings: list[str] = []
        self._requests = 0
        phones = (str(payload.attributes.get(name, "")) for name in PHONES)
        self._hide = (*secrets, payload.key, remote_key or "", *maybe_keys, *phones)

    def run(self) -> Outcome:
        """Deliver. What `before_request` raises passes through."""
        outcome = self._deliver()
        return replace(
            outcome, requests=self._requests, warnings=tuple(self._warnings), left_out=frozenset(self._refused)
        )

    def _deliver(self) -> Outcome:
        target = self._find_former() if self._known - {self._payload.key} else None
        while not isinstance(target, Outcome):
            outcome, answer = self._write(target)
            if outcome.result is Result.SYNCED:
                return self._synced(outcome, target)
            target = outcome if answer is None else self._repair(outcome, answer, target)
        return target

    def _write(self, target: _Known | None) -> tuple[Outcome, Answer | None]:
        """Never with emailBlacklisted or smsBlacklisted: sent as false, they subscribe people again."""
        body: dict[str, Any] = {"ext_id": self._payload.external_id, "attributes": self._attributes}
        if self._list_ids:
            body["listIds"] = self._list_ids
        if target is None:
            return self._request("POST", "/contacts", json={**body, "email": self._payload.key, "updateEnabled": True})
        if not target.moved:
            body["attributes"] = {**self._attributes, "EMAIL": self._payload.key}
        return self._request("PUT", target.path, params={"identifierType": "contact_id"}, json=body)

    def _find_former(self) -> _Known | Outcome | None:
        """The contact that has another address now, by what tells least of the person first."""
        identities = {"ext_id": self._payload.external_id, "contact_id": self._remote_id, "email_id": self._former}
        for identifier_type, identifier in identities.items():
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
        is_ours = ours.is_ours(
            contact,
            found_by=identifier_type,
            external_id=self._payload.external_id,
            number=self._remote_id,
            known=self._known,
        )
        address = ours.address_of(contact)
        if identifier_type == "contact_id" and not is_ours and address not in self._known:
            return None  # a stranger with the number that our contact had elsewhere: his consent is not ours to ask for
        moved = is_ours and address == self._payload.key
        if unsubscribed and not moved:
            return replace(outcome, result=Result.REJECTED, kind="consent", message=NO_CONSENT, remote_id=None)
        return _Known(remote_id, moved, by_external_id=identifier_type == "ext_id") if is_ours else None

    def _repair(self, refused: Outcome, answer: Answer, target: _Known | None) -> _Known | Outcome | None:
        """Where to write next (None: create or update by address), or the end of this delivery."""
        if self._requests >= MOST_REQUESTS or refused.result is not Result.REJECTED:
            return refused
        if refused.kind in {"duplicate_phone", "invalid_phone"}:
            phones = duplicate_identifiers(answer) & PHONES or PHONES
            return target if self._leave_out(phones & self._attributes.keys(), refused) else refused
        if names := self._refused_by(refused, answer):
            self._refused |= names & self._payload.attributes.keys()
            return target if self._leave_out(names, refused) else refused
        if refused.kind == "duplicate_external_id" and not (target and target.by_external_id):
            # Brevo holds our contact under an address that we do not know of.
            found = self._find(self._payload.external_id, "ext_id")
            return refused if found is None else found
        if target is not None and refused.http_status == 404:
            return None  # deleted at Brevo since the look-up
        return refused

    def _refused_by(self, refused: Outcome, answer: Answer) -> frozenset[str]:
        """The attributes that are refused, if it is not the contact."""
        if refused.kind != "rejected" or refused.http_status == 404:
            return frozenset()
        return refused_attributes(answer, self._attributes.keys() - PHONES, self._account)

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

    def _synced(self, outcome: Outcome, target: _Known | None) -> Outcome:
        sent = {name for name, value in self._attributes.items() if value != CLEARED}
        remote_id = outcome.remote_id or (target.remote_id if target else None)
        kept, rate = self._kept(remote_id or self._remote_id)
        return replace(
            outcome,
            remote_key=self._payload.key,
            remote_id=remote_id,
            sent_attributes=frozenset(sent | self._not_cleared | kept),
            rate=rate or outcome.rate,
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
        except Exception:  # noqa: BLE001 - its turn did not come: the gate closed, say, or the claim was lost
            return None, None
        found = json_object(answer) if answer is not None and outcome.result is Result.SYNCED else None
        return found, outcome.rate

    def _request(
        self, method: str, path: str, *, params: dict[str, str] | None = None, json: Any = None
    ) -> tuple[Outcome, Answer | None]:
        self._before_request()
        self._requests += 1
        try:
            answer = self._send(method, path, params=params, json=json)
        except requests.RequestException as error:
            return classify_exception(error), None
        return classify(answer, hide=self._hide), answer
