"""A courier while Postgres' disk is full, while it is being stopped, and beside one that is stuck."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crm_pipelines.delivery.planning import CLAIM_LEASE, TRUST
from crm_pipelines.destinations.gates import GateKeeper
from crm_pipelines.local.embedded import EmbeddedPostgres
from crm_pipelines.queue.claims import Queue
from crm_pipelines.queue.model import Claim
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.postgres import temporary_folder
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.delivery.conftest import POLICY, Delivery, brevo
from crm_pipelines_tests.patience import PATIENCE, wait_until


@pytest.fixture
def small_disk(postgres_server: EmbeddedPostgres) -> Iterator[Path]:
    """A folder of Postgres' own on a disk of one megabyte."""
    if sys.platform != "linux":
        pytest.skip("tmpfs")
    with postgres_server.connect() as connection:
        [place] = connection.execute("SHOW data_directory").fetchone() or ()
    owner = Path(place).stat()
    with temporary_folder() as folder:
        options = f"size=1m,mode=700,uid={owner.st_uid},gid={owner.st_gid}"
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip("no right to mount a small disk")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def full_disk_below_the_ledger(people: People, disk: Path) -> Iterator[Callable[[], object]]:
    """New ledger entries go to the disk, and it is full until the function that is given is called."""
    with people.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"CREATE TABLESPACE small LOCATION '{disk}'")
        try:
            connection.exec_driver_sql("ALTER TABLE crm_attempts SET TABLESPACE small")
            connection.exec_driver_sql("CREATE TABLE filler (content text) TABLESPACE small")
            connection.exec_driver_sql("ALTER TABLE filler ALTER content SET STORAGE PLAIN")
            fill = "DO 'BEGIN LOOP INSERT INTO filler VALUES (repeat($$x$$, 8000)); END LOOP; END'"
            with pytest.raises(sa.exc.OperationalError, match="No space left on device"):
                connection.exec_driver_sql(fill)
            yield lambda: connection.exec_driver_sql("DROP TABLE filler")
        finally:
            connection.exec_driver_sql("DROP TABLE IF EXISTS filler")
            connection.exec_driver_sql("ALTER TABLE crm_attempts SET TABLESPACE pg_default")
            connection.exec_driver_sql("DROP TABLESPACE small")


def test_a_full_disk_below_postgres_costs_no_answer_and_no_second_request(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, small_disk: Path
) -> None:
    refused: list[str] = []

    class Watched(Queue):
        def record(self, run_id: str, attempts: Any) -> set[Claim]:
            try:
                return super().record(run_id, attempts)
            except sa.exc.DBAPIError as error:
                refused.append(str(error))
                raise

    people.add(12)
    claims = delivery.claim()
    with ThreadPoolExecutor(1) as pool, full_disk_below_the_ledger(people, small_disk) as make_room:
        sending = pool.submit(delivery.courier(queue=Watched(delivery.engine, "brevo")).deliver, claims)
        wait_until(lambda: len(refused) > 1, "the ledger finds no room")
        make_room()
        receipt = sending.result(PATIENCE)
        assert (receipt.halted, receipt.released) == (None, 0)
        assert delivery.apply() == {"synced": 12}
    assert "No space left on device" in refused[0]
    assert "@example.com" not in "".join(refused)
    assert len(brevo_sandbox.requests()) == 12
    assert people.all("SELECT sum(attempts + crashes) AS n FROM crm_syncs") == [{"n": 0}]


def test_a_stop_that_waits_for_a_slow_answer_keeps_its_leases_until_the_answer_is_recorded(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm_pipelines.delivery.fence.TRUST", TRUST / 50)  # it renews all the time
    people.add(3)
    brevo_sandbox.fault("hold_after")
    courier = delivery.courier()
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(courier.deliver, delivery.claim())
        brevo_sandbox.wait_for_requests(3)
        courier.session.halt("the run is being stopped")
        for _ in range(3):
            people.expire_leases()
            wait_until(lambda: _leases_left(people) > 60, "the leases are renewed although the run is being stopped")
        rescued = Queue(people.engine, "brevo").rescue()
        brevo_sandbox.release()
        receipt = sending.result(PATIENCE)
    assert rescued.returned == 0
    assert receipt.released == 0
    assert delivery.apply() == {"synced": 3}
    assert len(brevo_sandbox.requests()) == 3


def _leases_left(people: People) -> float:
    query = "SELECT extract(epoch FROM min(lease_until) - now())::float8 AS seconds FROM crm_syncs"
    return float(people.all(query)[0]["seconds"])


def test_one_crm_is_delivered_to_at_once_while_another_has_much_to_do_and_does_not_answer(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, engine: sa.Engine
) -> None:
    people.run("INSERT INTO crm_contacts (email) SELECT 'many' || n || '@example.com' FROM generate_series(1, 2000) n")
    people.run("INSERT INTO crm_syncs (contact_id, crm) SELECT id, 'brevo' FROM crm_contacts")
    [contact_id] = People(engine, "hubspot").add(email="other@example.com")
    other = brevo(brevo_sandbox.url)  # any client will do: what is looked at is the queue and the gate
    queue, gate = Queue(engine, "hubspot"), GateKeeper(engine, "hubspot")
    brevo_sandbox.fault("hold", times=32)
    try:
        with ThreadPoolExecutor(1) as pool:
            stuck = delivery.courier()
            sending = pool.submit(stuck.deliver, delivery.claim(200))
            brevo_sandbox.wait_for_requests(32)
            claims = queue.claim("run-2", limit=10, lease=CLAIM_LEASE)
            courier = delivery.courier(run_id="run-2", queue=queue, gate=gate, crm=other, rate=10)
            assert courier.deliver(claims).released == 0
            assert [row.state for row in queue.apply("run-2", POLICY)] == ["synced"]
            log = brevo_sandbox.requests()
            stuck.session.halt("enough")
            brevo_sandbox.release()
            sending.result(PATIENCE)
    finally:
        other.close()
    assert [entry["ext_id"] for entry in log if entry["finished"] is not None] == [str(contact_id)]
