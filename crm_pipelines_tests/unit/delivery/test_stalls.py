"""When a look at the imports is worthwhile."""

from itertools import pairwise

from crm_pipelines.delivery.bulk.stalls import Stall


def looks(arrivals: dict[float, int], until: float) -> list[float]:
    """When somebody looks who asks every quarter of a second, of imports that do not end; arrivals by their time."""
    stall, found = Stall(0.0), []
    for quarter in range(int(until * 4)):
        now = quarter / 4
        stall.saw(sum(n for when, n in arrivals.items() if when <= now), now)
        if stall.is_long(now):
            found.append(now)
            stall.looked(now)
    return found


def test_as_soon_as_nothing_more_arrives_a_look_is_worthwhile() -> None:
    assert looks({1.0: 50, 1.25: 50}, 2) == [1.75]
    assert looks({20.0: 100}, 21) == [15.0, 20.5], "however long the first one took"


def test_while_contacts_arrive_nobody_looks() -> None:
    assert looks({n / 4: 1 for n in range(100)}, 25) == []


def test_an_import_that_pauses_now_and_then_costs_few_looks_and_its_end_is_seen_soon() -> None:
    found = looks({float(second): 1 for second in range(40)}, 60)
    assert len([one for one in found if one < 40]) <= 4
    assert 39 < min(one for one in found if one > 39) < 50


def test_while_none_has_arrived_the_first_look_comes_late() -> None:
    assert looks({}, 45) == [15.0]


def test_after_each_look_for_nothing_the_next_one_waits_twice_as_long() -> None:
    found = looks({0.0: 1}, 600)
    gaps = [later - sooner for sooner, later in pairwise(found)]
    assert gaps[0] == 1
    assert all(later == 2 * sooner for sooner, later in pairwise(gaps))
    assert len(found) < 12


def test_after_a_further_import_was_sent_its_contacts_are_waited_for() -> None:
    stall = Stall(0.0)
    stall.saw(50, 1.0)
    stall.sent(9.0)
    assert [stall.is_long(now) for now in (9.25, 9.5)] == [False, True]
