"""Contacts that wait for each other's addresses in a ring, so that none of them would ever get on. Pure."""

from collections.abc import Iterable, Mapping
from uuid import UUID


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
