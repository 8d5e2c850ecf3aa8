"""A courier at an account that counts over other windows than a second: HubSpot's ten, its day."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from crm_pipelines.crms.base import Crm
from crm_pipelines.crms.outcomes import Outcome, RateHeaders, Result
from crm_pipelines.crms.payloads import Sendable
from crm_pipelines.crms.turns import DeliveryTurn
from crm_pipelines.delivery.pace.rates import RateLimit
from crm_pipelines.destinations.gates import GateKeeper, Reservation
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.integration.delivery.conftest import Delivery

TEN_SECONDS, DAY = timedelta(seconds=10), timedelta(days=1)


class Answers:
    """The client of the sandbox, but for what it makes of every answer."""

    def __init__(self, crm: Crm, answer: Outcome) -> None:
        self._crm, self._answer = crm, answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._crm, name)

    def deliver(self, contacts: Sequence[Sendable], *, turn: DeliveryTurn, **_: Any) -> Sequence[Outcome | None]:
        return [self._answer if turn(contacts) else None]


class Noting(GateKeeper):
    """The gate, which notes the rates at which it is asked for slots."""

    def reserve(self, slots: int, rate_per_second: float) -> Reservation | None:
        self.rates = [*getattr(self, "rates", []), rate_per_second]
        return super().reserve(slots, rate_per_second)


def test_a_limit_of_ten_seconds_paces_the_account_by_its_tenth(people: People, delivery: Delivery) -> None:
    people.add(8)
    told = RateHeaders(limit=100, window=TEN_SECONDS, remaining=90)
    answers: Any = Answers(delivery.crm, Outcome(result=Result.SYNCED, requests=1, answered=True, rate=told))
    gate = Noting(delivery.engine, "brevo")
    courier = delivery.courier(crm=answers, gate=gate, limit=RateLimit(4, is_ceiling=False))
    assert courier.deliver_one_at_a_time(delivery.claim()).halted is None
    assert gate.read().limit_observed == 10
    first, *later = gate.rates
    assert first < 4, "as was assumed until the account told"
    assert later
    assert all(9 < rate < 10 for rate in later)


@pytest.mark.parametrize(
    "answer",
    [
        Outcome(
            result=Result.SYNCED,
            requests=1,
            answered=True,
            rate=RateHeaders(window=DAY, remaining=0, reset_seconds=36_000),
        ),
        Outcome(result=Result.SNOOZED, kind="rate_limit", requests=1, answered=True, retry_after=timedelta(hours=10)),
    ],
    ids=["told by the headers", "told by a refusal"],
)
def test_a_day_that_is_used_up_parks_the_account_until_it_resets(
    people: People, delivery: Delivery, answer: Outcome
) -> None:
    people.add(3)
    answers: Any = Answers(delivery.crm, answer)
    receipt = delivery.courier(crm=answers).deliver_one_at_a_time(delivery.claim())
    assert (receipt.released, receipt.halted) == (2, "sending is paused")
    gate = delivery.gate.read()
    assert gate.pause_kind == "rate_limit"
    assert 9 * 3600 < (gate.paused_seconds or 0) <= 36_000
