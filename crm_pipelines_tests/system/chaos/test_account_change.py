"""The account changes while a worker of the former one stands still, at every step of the protocol."""

import signal
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from crm_pipelines.delivery.planning import DELIVERY_LEASE
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines_tests.fixtures.accounts import (
    holds_what_is_complete,
    known_of_an_account,
    select_all,
    wait_until_open,
)
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.system.chaos.conftest import StartWorker, until_quiet

CREW = 12


@pytest.mark.parametrize("asleep", [timedelta(), DELIVERY_LEASE], ids=["a moment", "past its lease"])
@pytest.mark.parametrize(
    "point",
    ["before_claim", "after_claim", "before_renew", "after_renew", "before_fence", "after_send", "after_record"],
)
def test_nothing_that_a_woken_worker_of_the_former_account_did_counts(
    point: str,
    asleep: timedelta,
    ours: BrevoSandbox,
    other: BrevoSandbox,
    use_other: Callable[[], None],
    start_worker: StartWorker,
    people: People,
    pipeline: Pipeline,
    engine: sa.Engine,
) -> None:
    people.add(CREW)
    worker = start_worker(fault=f"{point}:stop")
    worker.wait_until_stopped()
    # Connections that stand still inside a transaction are ended by the server long before this.
    people.run(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
    )
    use_other()
    pipeline.run()
    assert people.states() == {"unselected": CREW}
    wait_until_open(GateKeeper(engine, "brevo"))
    select_all(people)
    worker.clock.advance(asleep)
    worker.send(signal.SIGCONT)
    worker.wait()
    assert known_of_an_account(people) == []
    assert len(other.contacts()) == 1, "the stranger"
    until_quiet(people, pipeline, other)
    assert people.states() == {"synced": CREW}
    assert len(other.contacts()) == CREW + 1
    assert holds_what_is_complete(engine, other)
    stranger = other.contact("boss@other.example")
    assert stranger is not None
    assert "EXT_ID" not in stranger["attributes"]
