"""The pace of requests as the sandbox sees it, with Brevo's limit of 10 per second switched on.

A busy machine wakes threads too late for their slots, or lets several requests arrive at once: a try in which that
happened says nothing. A pacer that is too slow, or one that is too fast, fails every try. That no second holds too many
slots, however late the threads are, is tested in virtual time (unit/delivery/test_pacing.py).
"""

from collections import Counter

from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.integration.delivery.conftest import Delivery
from crm_pipelines_tests.integration.delivery.test_zombies import Worker

LIMIT = 10
TRIES = 6


def statuses(sandbox: BrevoSandbox, delivered: int) -> Counter[int]:
    """Of a try in which each contact was delivered once, however often it was refused for rate before."""
    counts = Counter(request["status"] for request in sandbox.requests())
    assert counts[201] == delivered
    assert counts.keys() <= {201, 429}
    return counts


def begin_try(people: People, sandbox: BrevoSandbox, latency_seconds: float) -> None:
    """Of what was refused before, the sandbox and the gate know nothing more."""
    sandbox.reset()
    sandbox.configure(contacts_per_second=LIMIT, latency_seconds=latency_seconds)
    people.run("UPDATE crm_gates SET slow_until = NULL, paused_until = NULL")


def rate(sandbox: BrevoSandbox) -> float:
    """Requests per second, once the slow start is over."""
    moments: list[float] = [request["arrived_monotonic"] for request in sandbox.requests()][LIMIT // 2 :]
    return (len(moments) - 1) / (max(moments) - min(moments))


def test_nine_tenths_of_the_limit_are_used_and_it_is_never_exceeded(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox
) -> None:
    tries: list[tuple[float, int]] = []
    while len(tries) < TRIES and not any(per_second >= 0.9 * LIMIT and not refused for per_second, refused in tries):
        begin_try(people, brevo_sandbox, 0.2)
        people.add(48, name=f"Try {len(tries)}")
        receipt = delivery.courier(rate=LIMIT).deliver(delivery.claim())
        assert (receipt.released, receipt.halted) == (0, None)
        refused = statuses(brevo_sandbox, 48)[429]
        tries.append((rate(brevo_sandbox), refused))
    assert any(per_second >= 0.9 * LIMIT and not refused for per_second, refused in tries), tries


def test_two_processes_share_one_limit(
    people: People, delivery: Delivery, brevo_sandbox: BrevoSandbox, database_url: str
) -> None:
    refused: list[int] = []
    while len(refused) < TRIES and 0 not in refused:
        begin_try(people, brevo_sandbox, 0.1)
        people.add(44, name=f"Try {len(refused)}")
        with (
            Worker(database_url, brevo_sandbox, "run-a", count=22, rate=LIMIT) as one,
            Worker(database_url, brevo_sandbox, "run-b", count=22, rate=LIMIT) as two,
        ):
            assert [worker.told()["states"] for worker in (one, two)] == [{"synced": 22}, {"synced": 22}]
        refused.append(statuses(brevo_sandbox, 44)[429])
        ports = {request["client_port"] for request in brevo_sandbox.requests()}
        assert len(ports) > 1
    assert 0 in refused, refused
