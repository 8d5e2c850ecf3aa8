"""The self-fence with a clock of its own."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from crm_pipelines.delivery.fence import Fence, elapsed_clock
from crm_pipelines.delivery.planning import TRUST
from crm_pipelines.queue.model import Claim

TRUSTED = TRUST.total_seconds()


class Leases:
    """The database's side: which claims it still grants, how often it was asked, and how long an answer takes."""

    def __init__(self, count: int = 3) -> None:
        self.claims = [Claim(contact_id=uuid4(), claim_no=1) for _ in range(count)]
        self.revisions = {claim.contact_id: 5 for claim in self.claims}
        self.asked = 0
        self.now = 1000.0
        self.answer_takes = [0.0]
        self.leap = 0
        self.fence = self.fence_of(self.renew)

    def fence_of(self, renew: Callable[[Sequence[Claim]], dict[UUID, int]]) -> Fence:
        return Fence(self.begin, renew, self.claims, clock=lambda: self.now)

    def begin(self, claims: Sequence[Claim], leap: int) -> dict[UUID, int]:
        self.leap = leap
        return self.renew(claims)

    def renew(self, claims: Sequence[Claim]) -> dict[UUID, int]:
        self.asked += 1
        self.now += self.answer_takes.pop(0) if self.answer_takes else 0
        return {one.contact_id: self.revisions[one.contact_id] for one in claims if one.contact_id in self.revisions}

    def take_over(self, number: int) -> UUID:
        """Somebody else gets this claim."""
        contact_id = self.claims[number].contact_id
        del self.revisions[contact_id]
        return contact_id


def test_within_the_trusted_time_no_renewal_is_asked_for() -> None:
    leases = Leases()
    leases.fence.hold()
    leases.now += TRUSTED - 0.1
    for claim in leases.claims:
        leases.fence.still_ours([claim.contact_id])
    assert leases.asked == 1


def test_a_worker_that_slept_renews_before_it_sends() -> None:
    leases = Leases()
    leases.fence.hold()
    leases.now += TRUSTED + 0.1
    leases.fence.still_ours([leases.claims[0].contact_id])
    assert leases.asked == 2


def test_what_was_taken_over_meanwhile_is_not_sent_and_the_rest_is() -> None:
    leases = Leases()
    leases.fence.hold()
    lost = leases.take_over(1)
    leases.now += 3600
    ours = {leases.claims[0].contact_id, leases.claims[2].contact_id}
    assert leases.fence.still_ours([*ours, lost]) == ours


def test_a_claim_once_lost_stays_lost() -> None:
    leases = Leases()
    leases.fence.hold()
    lost = leases.take_over(0)
    leases.now += 3600
    leases.fence.keep()
    leases.revisions[lost] = 6
    leases.now += 3600
    leases.fence.keep()
    assert leases.fence.still_ours([lost]) == set()


def test_trust_counts_from_before_the_renewal_was_asked_for() -> None:
    leases = Leases()
    leases.answer_takes = [TRUSTED - 1]
    leases.fence.hold()
    leases.now += 1.1
    leases.fence.still_ours([leases.claims[0].contact_id])
    assert leases.asked == 2, "the database may have granted the first one at once"


def test_a_worker_that_slept_during_the_renewal_itself_renews_again() -> None:
    leases = Leases()
    leases.fence.hold()
    leases.now += 3600
    leases.answer_takes = [3600.0, 0.0]
    leases.fence.still_ours([leases.claims[0].contact_id])
    assert leases.asked == 3


def test_nothing_is_sent_that_was_not_begun() -> None:
    leases = Leases()
    assert leases.fence.still_ours([leases.claims[0].contact_id]) == set()


def test_a_renewal_that_fails_lets_nothing_pass() -> None:
    def renew(_: Sequence[Claim]) -> dict[UUID, int]:
        raise ConnectionError

    leases = Leases()
    fence = leases.fence_of(renew)
    fence.hold()
    leases.now += TRUSTED + 0.1
    with pytest.raises(ConnectionError):
        fence.still_ours([leases.claims[0].contact_id])


def test_what_begins_has_numbers_that_stood_in_no_file() -> None:
    leases = Leases()
    lost = leases.take_over(2)
    begun = leases.fence.hold()
    assert begun == [replace(claim, claim_no=1 + leases.leap) for claim in leases.claims[:2]]
    assert leases.leap > 0
    assert leases.fence.numbers == (*begun, leases.claims[2]), "whoever is lost keeps the number that was lost"
    assert lost not in leases.fence.revisions
    assert len({Leases().fence._leap for _ in range(10)}) == 10, "no two fences have the same"


def test_while_no_answer_came_either_number_may_be_the_present_one() -> None:
    def begin(_: Sequence[Claim], leap: int) -> dict[UUID, int]:
        leaps.append(leap)
        raise ConnectionError

    leaps: list[int] = []
    claim = Claim(contact_id=uuid4(), claim_no=1)
    fence = Fence(begin, Leases().renew, [claim])
    assert list(fence.numbers) == [claim]
    with pytest.raises(ConnectionError):
        fence.hold()
    assert list(fence.numbers) == [claim, replace(claim, claim_no=1 + leaps[0])]


def test_the_revision_is_that_of_the_first_renewal_since_the_data_were_loaded_after_it() -> None:
    leases = Leases(1)
    contact_id = leases.claims[0].contact_id
    leases.fence.hold()
    leases.revisions[contact_id] = 9
    leases.now += 3600
    leases.fence.still_ours([contact_id])
    assert leases.fence.revisions == {contact_id: 5}


def test_a_worker_that_lives_renews_in_good_time_though_it_sends_nothing() -> None:
    leases = Leases()
    leases.fence.hold()
    for _ in range(60):
        leases.now += 1
        leases.fence.keep()
    assert 60 / TRUSTED <= leases.asked - 1 <= 60 / (TRUSTED / 2)


def test_many_threads_share_one_renewal() -> None:
    leases = Leases(30)
    another = threading.Event()

    def renew(claims: Sequence[Claim]) -> dict[UUID, int]:
        if leases.asked > 1:
            another.set()
        held = leases.renew(claims)
        another.wait(0.1)  # time for another thread to ask as well, were it let
        return held

    fence = leases.fence_of(renew)
    fence.hold()
    leases.now += 3600
    with ThreadPoolExecutor(30) as pool:
        list(pool.map(fence.still_ours, ([claim.contact_id] for claim in leases.claims)))
    assert leases.asked == 2


def test_the_clock_never_goes_back() -> None:
    moments = [elapsed_clock() for _ in range(100)]
    assert moments == sorted(moments)
