"""Contacts that wait for each other's addresses, and rings of them, in which none would ever get on. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

_UNDER_WAY = ("queued", "claimed")
# Of several who hold an address, the one who decides: whoever is still to leave it, then whoever will not.
_HOLDING = (*_UNDER_WAY, "failed", "skipped", "unselected")

Holders = Callable[[Mapping[UUID, str | None]], Sequence[Any]]
"""Of contacts and the addresses that they want: a row of the statement `holders` for each contact in their way."""


class Wait(NamedTuple):
    """The state of the contact that has the address, and whether who waits for it has to make room."""

    held_by: str
    gives_way: bool


def waits_of(wanted: Mapping[UUID, str | None], holders: Holders) -> dict[UUID, Wait]:
    """Those of the contacts whose address the CRM holds another contact under."""
    rows = holders(wanted)
    states: dict[UUID, set[str]] = {}
    for row in rows:
        states.setdefault(row.contact_id, set()).add(row.state)
    held_by = {one: next((state for state in _HOLDING if state in found), min(found)) for one, found in states.items()}
    waiting = {one for one, state in held_by.items() if state in _UNDER_WAY}
    first = first_of_rings(_ways(rows, wanted.keys(), holders)) & waiting if waiting else set()
    return {one: Wait(held_by=state, gives_way=one in first) for one, state in held_by.items()}


def _ways(rows: Sequence[Any], asked: Collection[UUID], holders: Holders) -> set[tuple[UUID, UUID]]:
    """Who waits for whom, from these rows on."""
    ways: set[tuple[UUID, UUID]] = set()
    known = set(asked)
    while rows:
        under_way = [row for row in rows if row.state in _UNDER_WAY]
        ways |= {(row.contact_id, row.holder) for row in under_way}
        ahead = {row.holder: row for row in under_way if row.holder not in known}
        known |= ahead.keys()
        rows = holders({one: row.address for one, row in ahead.items() if row.address != row.remote_key})
    return ways


def first_of_rings(waits: Iterable[tuple[UUID, UUID]]) -> set[UUID]:
    """Of contacts that wait for others (waiting, waited for), the lowest id of each ring."""
    ways = set(waits)
    before = -1
    # Whoever waits for nobody, or is waited for by nobody, is in no ring.
    while before != len(ways):
        before = len(ways)
        waiting, waited_for = {one for one, _ in ways}, {other for _, other in ways}
        ways = {(one, other) for one, other in ways if one in waited_for and other in waiting}
    following: dict[UUID, set[UUID]] = {}
    for one, other in ways:
        following.setdefault(one, set()).add(other)
    met = {one: _met_from(one, following) for one in following}
    rings = {one: [other for other in others if one in met[other]] for one, others in met.items()}
    return {one for one, ring in rings.items() if ring and one == min(ring)}


def _met_from(start: UUID, following: Mapping[UUID, set[UUID]]) -> set[UUID]:
    found: set[UUID] = set()
    ahead = set(following[start])
    while ahead:
        found |= ahead
        ahead = {other for one in ahead for other in following[one]} - found
    return found
