"""One delivery of several contacts: its requests, whose turn it was for each, and what every contact came to.

Shared by all CRMs that take more than one contact in a request.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from crm_pipelines.crms.addresses import normal_address
from crm_pipelines.crms.outcomes import Outcome, RateHeaders, Result
from crm_pipelines.crms.payloads import Sendable
from crm_pipelines.crms.turns import DeliveryTurn

T = TypeVar("T")
F = TypeVar("F")

Look = Callable[[Sequence[Sendable]], dict[str, F | None]]

# A refusal may quote what it refuses. Shorter ones would take more than themselves out of it.
_SHORTEST_HIDDEN = 3
# Of one contact; more than one former address is rare.
_MOST_FORMER = 20


class Carry(Protocol):
    """Makes the request `send`, and others that it needs first, each once `may_go`; None if nothing more may go."""

    def __call__(
        self, may_go: Callable[[], bool], send: Callable[[], tuple[Outcome, T]], /
    ) -> tuple[Outcome, T | None] | None: ...


def as_it_is(may_go: Callable[[], bool], send: Callable[[], tuple[Outcome, T]], /) -> tuple[Outcome, T | None] | None:
    """The request needs no other one."""
    return send() if may_go() else None


class Steps:
    """The requests of one delivery. `outcomes` by our id of the contact; `label` names the CRM."""

    def __init__(
        self,
        contacts: Sequence[Sendable],
        *,
        turn: DeliveryTurn,
        list_id: int | None,
        label: str,
        carry: Carry = as_it_is,
    ) -> None:
        self.contacts = contacts
        self.outcomes: dict[str, Outcome] = {}
        self._turn = turn
        self._list_id = list_id
        self._label = label
        self._carry = carry
        self._asked: set[str] = set()
        self._requests = 0
        self._rate = RateHeaders()

    def make(
        self, contacts: Sequence[Sendable], send: Callable[[Sequence[Sendable]], tuple[Outcome, T]]
    ) -> tuple[Sequence[Sendable], Outcome, T | None]:
        """One request about those of the contacts whose turn it is: who they are, what it came to."""
        ours = contacts

        def may_go() -> bool:
            nonlocal ours
            ours = self._turn(ours) if ours else []
            if ours:
                self._requests += 1
                self._asked |= {one.external_id for one in ours}
            return bool(ours)

        done = self._carry(may_go, lambda: send(ours))
        if done is None:
            return [], Outcome(result=Result.SYNCED), None
        self._rate = done[0].rate
        return ours, *done

    def read(
        self, contacts: Sequence[Sendable], read: Callable[[Sequence[Sendable]], tuple[Outcome, T]]
    ) -> tuple[Sequence[Sendable], T | None]:
        """As `make`: those of whom it was told, and what; whoever it was not told of has that outcome."""
        ours, outcome, found = self.make(contacts, read)
        if outcome.result is Result.SYNCED:
            return ours, found
        self.outcomes |= {one.external_id: outcome for one in ours}
        return [], None

    def put_on_list(self, put: Callable[[Sequence[str]], tuple[Outcome, Collection[str]]]) -> None:
        """Those who have arrived and were never put there by us. Who could not be is tried again as a whole.

        `put` gets the CRM's own ids, and tells those that it did not find.
        """
        if self._list_id is None:
            return
        arrived = [one for one in self.contacts if self._is_new_to(self._list_id, one)]
        ids = {one.external_id: self.outcomes[one.external_id].remote_id or "" for one in arrived}
        ours, outcome, missing = self.make(arrived, lambda some: put([ids[one.external_id] for one in some]))
        put_off = {one.external_id for one in arrived} - {one.external_id for one in ours}
        for external_id, remote_id in ids.items():
            if external_id in put_off:
                said = f"{self._label} has the contact; it was not put on the list before the run ended."
                self.outcomes[external_id] = _again(said)
            elif outcome.result is not Result.SYNCED:
                self.outcomes[external_id] = outcome
            elif remote_id in (missing or ()):
                said = f"{self._label} has the contact, and does not find it where it is put on the list."
                self.outcomes[external_id] = _again(said)

    def counted(self) -> list[Outcome | None]:
        """In order, the requests counted once and the latest rate told with them."""
        found = {one.external_id: self._told(one) for one in self.contacts if one.external_id in self.outcomes}
        answered = [external_id for external_id in found if external_id in self._asked]
        carrier = next((one for one in answered if found[one].result is not Result.RETRY), next(iter(answered), None))
        if carrier is not None:
            found[carrier] = replace(found[carrier], requests=self._requests, rate=self._rate)
        return [found.get(one.external_id) for one in self.contacts]

    def _is_new_to(self, list_id: int, contact: Sendable) -> bool:
        outcome = self.outcomes.get(contact.external_id)
        return outcome is not None and outcome.result is Result.SYNCED and str(list_id) not in _lists_of(contact)

    def _told(self, contact: Sendable) -> Outcome:
        outcome = replace(self.outcomes[contact.external_id], answered=contact.external_id in self._asked)
        if outcome.result is not Result.SYNCED:
            return replace(outcome, rate=RateHeaders())
        new = () if self._list_id is None else (str(self._list_id),)
        return replace(outcome, lists=_lists_of(contact) | frozenset(new), rate=RateHeaders())


def hidden(contacts: Iterable[Sendable]) -> tuple[str, ...]:
    """What of these contacts no message may repeat."""
    return tuple(
        text
        for one in contacts
        for text in (
            one.payload.key,
            one.remote_key or "",
            *one.remembered.maybe_keys,
            *_texts(one.payload.attributes.values()),
        )
    )


def remote_id_of(contact: Sendable) -> str | None:
    """The number that the CRM gave it; None for what can be none."""
    found = contact.remote_id
    return found if found is not None and found.isdecimal() else None


def former_addresses(contact: Sendable) -> list[str]:
    """Addresses beside the present one under which the CRM may hold it, the last confirmed first; 20 at most."""
    given = [contact.remote_key or "", *sorted(contact.remembered.maybe_keys)]
    found = [one for one in dict.fromkeys(map(normal_address, given)) if one not in {"", contact.payload.key}]
    return found[:_MOST_FORMER]


def likely_addresses(contact: Sendable) -> list[str]:
    """Two at most: the last confirmed one, and the present one."""
    return [*former_addresses(contact)[:1], contact.payload.key]


def is_settled(told: tuple[Outcome, object | None] | None) -> bool:
    """Whether asking by address is not worth it: after an answer that was none, or where the id leads to somebody.

    `told` is what came of asking by id; None: nobody asked.
    """
    return told is not None and (told[0].result is not Result.SYNCED or told[1] is not None)


def look(contacts: Sequence[Sendable], *, by_id: Look[F], by_address: Look[F], most: int) -> dict[str, F | None]:
    """What the CRM has of those who were asked about, by our id; None: nothing.

    By the CRM's own id, else by former addresses, of which a request takes `most`.
    """
    found = by_id([one for one in contacts if remote_id_of(one)])
    found |= {one.external_id: None for one in contacts if not remote_id_of(one)}
    elsewhere = [one for one in contacts if former_addresses(one) and found.get(one.external_id, one) is None]
    for some in _in_chunks(elsewhere, most):
        for one in some:
            del found[one.external_id]
        found |= by_address(some)
    return found


def at_once() -> None:
    """The turn was waited for before the request was made up."""


def _in_chunks(contacts: Sequence[Sendable], most: int) -> list[list[Sendable]]:
    """The contacts in groups of `most` former addresses at most."""
    chunks: list[list[Sendable]] = []
    for one in contacts:
        if not chunks or sum(len(former_addresses(other)) for other in (*chunks[-1], one)) > most:
            chunks.append([])
        chunks[-1].append(one)
    return chunks


def _texts(values: Iterable[object]) -> list[str]:
    flat = [text for value in values for text in (value if isinstance(value, list) else [value])]
    return [text for text in flat if isinstance(text, str) and len(text) >= _SHORTEST_HIDDEN]


def _lists_of(contact: Sendable) -> frozenset[str]:
    return contact.remembered.lists or frozenset()


def _again(said: str) -> Outcome:
    return Outcome(result=Result.RETRY, kind="outage", message=said)
