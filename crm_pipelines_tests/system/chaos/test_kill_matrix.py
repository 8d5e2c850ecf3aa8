"""A worker is killed, asked to stop, or stands still past its lease, at every step of the protocol."""

import signal
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from crm_pipelines.delivery.planning import DELIVERY_LEASE
from crm_pipelines.faults import POINTS
from crm_pipelines.queue.claims import Queue
from crm_pipelines_tests.checker import assert_invariants
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.system.chaos.conftest import StartWorker, until_quiet

# Where nothing happens at the first passage, the one at which something does.
PASSAGE = {"before_fence": 3, "before_send": 3, "after_send": 3}
# Behind the self-fence's last look: a worker that stands still exactly here sends one request when it goes on.
NOT_FENCED = {"before_send"}
LEASE = timedelta(minutes=25)
EARLIER = "an earlier run"


def at(point: str, action: str) -> str:
    return f"{point}:{action}:{PASSAGE.get(point, 1)}"


@pytest.fixture
def scene(people: People, queue: Queue, crew: list[Any], account: BrevoSandbox) -> BrevoSandbox:
    """Contacts that are due, and two that an earlier run left behind, of which one was being delivered."""
    claims = queue.claim(EARLIER, limit=2, lease=LEASE)
    queue.renew(claims[:1], lease=LEASE)
    people.expire_leases()
    return account


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_step_nothing_is_lost_and_each_contact_is_sent_twice_at_most(
    point: str,
    scene: BrevoSandbox,
    start_worker: StartWorker,
    people: People,
    pipeline: Pipeline,
    engine: sa.Engine,
) -> None:
    assert start_worker(fault=at(point, "kill")).wait() == -signal.SIGKILL
    known = people.all("SELECT contact_id FROM crm_attempts WHERE outcome = 'synced'")
    until_quiet(people, pipeline, scene)
    assert people.states() == {"synced": 12}
    assert_invariants(engine, scene, most_sends=2)
    sends = Counter(entry["ext_id"] for entry in scene.requests())
    assert all(sends[str(row["contact_id"])] == 1 for row in known), "what the ledger knows is not sent again"


@pytest.mark.parametrize("point", POINTS)
def test_asked_to_stop_at_any_step_charges_nobody_and_sends_nothing_twice(
    point: str,
    scene: BrevoSandbox,
    start_worker: StartWorker,
    people: People,
    pipeline: Pipeline,
    engine: sa.Engine,
) -> None:
    worker = start_worker(fault=at(point, "stop"))
    worker.wait_until_stopped()
    worker.send(signal.SIGTERM)
    worker.send(signal.SIGCONT)
    worker.wait()
    held = people.all("SELECT claimed_by FROM crm_syncs WHERE state = 'claimed' AND claimed_by <> :run", run=EARLIER)
    assert held == [], "what was claimed is given back or written back"
    until_quiet(people, pipeline, scene)
    assert people.states() == {"synced": 12}
    assert_invariants(engine, scene, most_sends=1)


@pytest.mark.parametrize("point", POINTS)
def test_woken_after_its_lease_a_worker_overwrites_nothing(
    point: str,
    scene: BrevoSandbox,
    start_worker: StartWorker,
    people: People,
    pipeline: Pipeline,
    engine: sa.Engine,
    crew: list[Any],
) -> None:
    if point in PASSAGE:
        # A single contact in the run: other threads would stand still just behind their own look at the clock.
        people.run(
            "UPDATE crm_syncs SET run_at = now() + interval '1 hour', "
            "lease_until = CASE WHEN state = 'claimed' THEN now() + interval '1 hour' END WHERE contact_id <> :id",
            id=crew[5],
        )
    worker = start_worker(fault=f"{point}:stop")
    worker.wait_until_stopped()
    # Connections that stand still inside a transaction are ended by the server before the lease is.
    people.run(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
    )
    people.run("UPDATE crm_contacts SET name = 'Edited Meanwhile' WHERE id = ANY (:ids)", ids=crew)
    until_quiet(people, pipeline, scene)
    assert people.states() == {"synced": 12}
    before = len(scene.requests())
    worker.clock.advance(DELIVERY_LEASE)
    worker.send(signal.SIGCONT)
    worker.wait()
    sent = len(scene.requests()) - before
    assert sent <= (1 if point in NOT_FENCED else 0)
    assert "a defect" not in worker.log.read_text(), "what others did with its contacts is no defect"
    if point not in NOT_FENCED:
        until_quiet(people, pipeline, scene)
        assert_invariants(engine, scene, most_sends=2)
