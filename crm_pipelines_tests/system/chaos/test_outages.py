"""The CRM fails for a while, or changes, while the pipeline runs: network, key, rate limit."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from crm_pipelines.crms.fingerprints import credentials_fingerprint
from crm_pipelines.destinations.gates import SANDBOX, GateKeeper
from crm_pipelines_tests.checker import assert_invariants
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import API_KEY, Pipeline
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.patience import PATIENCE
from crm_pipelines_tests.system.chaos.conftest import until_quiet
from crm_pipelines_tests.system.chaos.proxy import proxy_to, silent_port

# Of 60 requests/s: so many turns are taken at once.
_HALF_A_SECOND = 30


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    with silent_port() as holder:
        yield holder


def test_refused_connections_open_the_breaker_probes_prolong_the_pause_and_the_first_answer_ends_it(
    account: BrevoSandbox,
    people: People,
    pipeline: Pipeline,
    engine: sa.Engine,
    silent: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def pause_is_over() -> None:
        people.run("UPDATE crm_gates SET paused_until = now() - interval '1 s' WHERE paused_until < 'infinity'")
        people.make_due()

    people.add()
    pipeline.run()  # from now on it is known which attributes the account has
    before = len(account.requests())
    people.add(40)
    sandbox = sa.make_url(account.root)
    url = f"http://127.0.0.1:{silent.getsockname()[1]}/v3"
    monkeypatch.setenv("BREVO_API_BASE_URL", url)
    GateKeeper(engine, "brevo").bind_account(SANDBOX, credentials_fingerprint("brevo", API_KEY, url))
    run = pipeline.run()
    assert not run.success
    assert "does not answer" in (run.problem or "")
    lengths = []
    for probe in range(3):
        gate = GateKeeper(engine, "brevo").read()
        assert (gate.pause_kind, gate.probing) == ("outage", True)
        lengths += people.all("SELECT pause_seconds AS seconds FROM crm_gates WHERE crm = 'brevo'")
        if probe < 2:
            pause_is_over()
            assert pipeline.run().counts == {}, "the question for the attributes goes ahead, and charges nobody"
    assert [row["seconds"] for row in lengths] == [30, 60, 120]
    assert len(account.requests()) == before

    with proxy_to(sandbox.host or "", sandbox.port or 0, at=silent):
        pause_is_over()
        assert pipeline.run().counts == {"claimed": 40, "synced": 40}, "one goes ahead, then the others"
    first, second = account.sent()[:2]
    assert first["finished_monotonic"] <= second["arrived_monotonic"]
    assert_invariants(engine, account, most_sends=1)


def test_a_key_that_is_revoked_and_replaced_in_the_middle_of_a_run_charges_and_loses_nobody(
    account: BrevoSandbox, people: People, pipeline: Pipeline, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add(120)
    account.fault("latency", times=40)
    account.fault("hold")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(pipeline.run)
        account.wait_for_requests(50)
        account.configure(revoked_keys=[API_KEY])
        account.clear_faults()
        account.release()
        run = running.result(PATIENCE)
    assert not run.success
    assert run.counts == {"claimed": 120, "synced": 40, "released": 80}
    assert people.all("SELECT sum(attempts + crashes) AS n FROM crm_syncs") == [{"n": 0}]
    refused = [request for request in account.requests() if request["status"] == 401]
    assert len(refused) <= 33, "as many as there are threads, and the one that closed the gate"
    monkeypatch.setenv("BREVO_API_KEY", "xkeysib-the-new-one")
    assert pipeline.run().counts == {"claimed": 80, "synced": 80}
    assert_invariants(engine, account, most_sends=1)


def test_a_rate_limit_that_shrinks_while_contacts_are_sent_is_kept_from_then_on(
    account: BrevoSandbox, people: People, pipeline: Pipeline, engine: sa.Engine
) -> None:
    people.add(120)
    account.configure(contacts_per_second=60)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(pipeline.run)
        account.wait_for_requests(30, finished=True)
        account.configure(contacts_per_second=20)
        changed = time.monotonic()
        run = running.result(PATIENCE)
    assert run.success
    # On a busy machine one may be refused so often that it waits, uncharged, for the next run.
    assert run.counts["claimed"] == run.counts["synced"] + run.counts.get("released", 0) == 120
    assert GateKeeper(engine, "brevo").read().limit_observed == 20
    log = account.requests()
    refused = [entry["arrived_monotonic"] for entry in log if entry["status"] == 429]
    assert len(refused) <= 60, "those that had their turns already"
    later = [entry["arrived_monotonic"] for entry in log if entry["arrived_monotonic"] > max([changed, *refused])]
    if not refused:
        later = later[_HALF_A_SECOND:]  # they had their turns already
    assert not later or later[-1] - later[0] >= 0.9 * (len(later) - 1) / 20
    until_quiet(people, pipeline, account)
    assert people.states() == {"synced": 120}
    assert_invariants(engine, account, most_sends=1)
