"""Delivers one contact: creates or updates it at Brevo, with the known repairs of a refusal.

Every request before the last has no effect at Brevo (a look-up, or a write that was refused whole), so a delivery can
be broken off between two requests and begun again from the start.

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
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import quote
from uuid import UUID

import requests

from crm_pipelines.crms import normalize
from crm_pipelines.crms.base import NOTHING_REMEMBERED, BeforeRequest, Outcome, Payload, Remembered, Result
from crm_pipelines.crms.brevo.mapping import PHONES
from crm_pipelines.crms.brevo.outcomes import classify, classify_exception, duplicate_identifiers, json_object
from crm_pipelines.crms.brevo.values import Value
from crm_pipelines.crms.transport import Answer

CLEARED: Value = ""
"""Erases an attribute. An assumption: Brevo documents no way to do so for a single contact."""

MOST_REQUESTS = 12
"""Of one delivery, after which no repair is begun. All look-ups and repairs together need twelve; more means that
Brevo's answers contradict each other."""

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
    """A contact that Brevo has and that is ours. Unless `moved`, it has another address, and is not unsubscribed.

    `mark` is its EXT_ID, empty if it has none; `lists` are those that it is on, `left` those that the person has left.
    """

    remote_id: str
    moved: bool
    by_external_id: bool
    mark: str
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


class Upsert:
    """One delivery of one contact; `run` is called once."""

    def __init__(
        self,
        payload: Payload,
        *,
        remote_key: str | None,
        remote_id: str | None,
        send: Send,
        before_request: BeforeRequest,
        list_ids: Sequence[int] = (),
        secrets: tuple[str, ...] = (),
        remembered: Remembered = NOTHING_REMEMBERED,
        keep_marks: bool = True,
    ) -> None:
        self._payload = payload
        self._former = _former_address(remote_key, payload.key)
        self._delivered = remote_key is not None
        self._remembered = remembered
        self._keep_marks = keep_marks
        self._remote_id = remote_id if re.fullmatch(r"[0-9]+", remote_id or "") else None
        self._send = send
        self._before_request = before_request
        asked = remembered.lists
        if asked is None:  # by a version that asked for the list each time
            asked = frozenset(map(str, list_ids)) if self._delivered else frozenset()
        self._asked = asked
        self._new_lists = [one for one in list_ids if str(one) not in asked]
        self._attributes: dict[str, Value] = {**payload.attributes, **dict.fromkeys(payload.clear, CLEARED)}
        self._not_cleared: set[str] = set()
        self._warnings: list[str] = []
        self._requests = 0
        phones = (str(payload.attributes.get(name, "")) for name in PHONES)
        self._hide = (*secrets, payload.key, remote_key or "", *phones)

    def run(self) -> Outcome:
        """Deliver. What `before_request` raises passes through."""
        return replace(self._deliver(), requests=self._requests, warnings=tuple(self._warnings))

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
        if not self._delivered:
            return None
        if self._former or self._new_lists or not self._remembered.certain:
            return self._find_known({"ext_id": self._payload.external_id, "contact_id": self._remote_id})
        if self._remembered.remote_mark is not None:
            return self._find_known({"contact_id": self._remote_id})
        return _Marked(f"/contacts/{quote(self._payload.external_id, safe='')}")

    def _write(self, target: _Known | _Marked | None) -> tuple[Outcome, Answer | None]:
        """Never with emailBlacklisted or smsBlacklisted: sent as false, they subscribe people again."""
        body: dict[str, Any] = {"attributes": self._attributes}
        if not (isinstance(target, _Known) and self._keeps_mark_of(target)):
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

    def _keeps_mark_of(self, target: _Known) -> bool:
        return self._keep_marks and target.mark not in {"", self._payload.external_id}

    def _lists_for(self, target: _Known | _Marked | None) -> list[int]:
        """The lists to put the contact on: never one that it has left, nor one that it was put on before."""
        if isinstance(target, _Known):
            return [one for one in self._new_lists if one not in target.lists and not self._has_left(target, one)]
        return self._new_lists if target is None else []

    def _has_left(self, target: _Known, list_id: int) -> bool:
        """As Brevo says; or it bears our mark, although no delivery is known, and is not on the list.

        A delivery whose answer was lost created it then, on the list, and somebody has taken it off since.
        """
        ours = not self._delivered and target.mark == self._payload.external_id
        return list_id in target.left or (ours and list_id not in target.lists)

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
        at_present_address = _address(contact) == self._payload.key
        # Whoever has the present address is updated there, whatever its mark.
        ours = (identifier_type == "email_id" and at_present_address) or self._is_ours(
            contact, remote_id, identifier_type
        )
        moved = ours and at_present_address
        if unsubscribed and not moved:
            return replace(outcome, result=Result.REJECTED, kind="consent", message=NO_CONSENT, remote_id=None)
        if not ours:
            return None
        return _Known(
            remote_id,
            moved,
            by_external_id=identifier_type == "ext_id",
            mark=_external_id(contact),
            lists=_numbers(contact.get("listIds")),
            left=_numbers(contact.get("listUnsubscribed")),
        )

    def _is_ours(self, contact: dict[str, Any], remote_id: str, found_by: str) -> bool:
        """Whether what was found agrees with what is known of the contact."""
        marked = _external_id(contact)
        known = {"", self._payload.external_id, self._remembered.remote_mark}
        if marked not in known and (found_by == "ext_id" or _is_uuid(marked)):
            # The mark of another contact of ours: the address has passed on to that one, and with it the entry, which
            # must not be renamed. Other marks, a shop's say, tell nothing; but they are no answer to our own id.
            return False
        if found_by == "email_id" or self._remote_id in {None, remote_id}:
            return True
        # Another number than the one we know. Our mark alone may have been put there by others; with an address that
        # we know too, it is our contact, made anew since.
        return found_by == "ext_id" and _address(contact) in {self._former, self._payload.key}

    def _repair(
        self, refused: Outcome, answer: Answer, target: _Known | _Marked | None
    ) -> _Known | _Marked | Outcome | None:
        """Where to write next (None: create), or the end of this delivery."""
        if self._requests >= MOST_REQUESTS or refused.result is not Result.REJECTED:
            return refused
        if refused.kind in {"duplicate_phone", "invalid_phone"}:
            return target if self._leave_out_phones(refused, answer) else refused
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

    def _leave_out_phones(self, refused: Outcome, answer: Answer) -> bool:
        """Whether there was something to leave out. A number that Brevo has from us is cleared: it is wrong now."""
        names = (duplicate_identifiers(answer) & PHONES or PHONES) & self._attributes.keys()
        for name in names:
            if self._attributes.pop(name) == CLEARED:
                self._not_cleared.add(name)
            elif name in self._payload.sent_before:
                self._attributes[name] = CLEARED
        if names:
            self._warnings.append(f"{', '.join(sorted(names))} left out, the rest was sent. Brevo: {refused.message}")
        return bool(names)

    def _synced(self, outcome: Outcome, target: _Known | _Marked | None) -> Outcome:
        sent = {name for name, value in self._attributes.items() if value != CLEARED}
        seen = target if isinstance(target, _Known) else None
        for one in self._new_lists if seen else ():
            if seen and self._has_left(seen, one):
                self._warnings.append(f"not put on list {one}, since it was taken off that list at Brevo")
        return replace(
            outcome,
            remote_key=self._payload.key,
            remote_id=outcome.remote_id or (seen.remote_id if seen else None),
            remote_mark=seen.mark if seen and self._keeps_mark_of(seen) else None,
            lists=self._asked | frozenset(map(str, self._new_lists)),
            sent_attributes=frozenset(sent | self._not_cleared),
        )

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


def _address(contact: dict[str, Any]) -> str:
    found = contact.get("email")
    return found.lower() if isinstance(found, str) else ""


def _external_id(contact: dict[str, Any]) -> str:
    """Empty when Brevo shows none; it does so among the attributes, if at all."""
    attributes = contact.get("attributes")
    found = attributes.get("EXT_ID") if isinstance(attributes, dict) else None
    return found.lower() if isinstance(found, str) else ""


def _numbers(listed: Any) -> frozenset[int]:
    return frozenset(one for one in listed if isinstance(one, int)) if isinstance(listed, list) else frozenset()


def is_foreign_mark(contact: dict[str, Any]) -> bool:
    """Whether its EXT_ID is certainly another system's: ours are UUIDs, as those of some others are."""
    mark = _external_id(contact)
    return bool(mark) and not _is_uuid(mark)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _former_address(remote_key: str | None, key: str) -> str | None:
    """The address under which Brevo holds the contact, in its normal form; None if it is still `key`."""
    former = remote_key or ""
    with suppress(ValueError):  # an address of old that would not pass today may still stand in Brevo
        former = normalize.address(former) or ""
    return former if former not in {"", key} else None
