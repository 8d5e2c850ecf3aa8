"""crm-pipelines api, as a process of its own."""

import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from crm_pipelines.local.processes import free_port
from crm_pipelines_tests.patience import PATIENCE, wait_until
from crm_pipelines_tests.programs import program


@pytest.fixture
def own_environment(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    storage = environment["CRM_DATABASE_URL"].replace("+psycopg", "+psycopg2")
    return {**environment, "DAGSTER_POSTGRES_URL": storage, "DAGSTER_HOME": str(tmp_path)}


def answers(url: str) -> bool:
    with suppress(requests.ConnectionError), requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=PATIENCE).ok
    return False


@pytest.fixture
def port() -> int:
    """Free in both families; skips where this machine has only one."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("This machine has no IPv6.")
    return free_port()


def test_it_answers_at_both_addresses_that_a_name_in_localhost_may_mean(
    own_environment: dict[str, str], port: int, tmp_path: Path
) -> None:
    argv = [sys.executable, "-m", "crm_pipelines", "api", "--port", str(port)]
    with program(argv, env=own_environment, cwd=tmp_path) as api:
        for host in ("127.0.0.1", "[::1]"):
            wait_until(lambda host=host: answers(f"http://{host}:{port}/sign-in"), f"it answers at {host}")  # type: ignore[misc]
        api.send_signal(signal.SIGTERM)
        assert api.wait(PATIENCE) == 0


def test_it_does_not_start_beside_another_program_at_the_other_address(
    own_environment: dict[str, str], port: int, tmp_path: Path
) -> None:
    argv = [sys.executable, "-m", "crm_pipelines", "api", "--port", str(port)]
    with (
        socket.create_server(("::1", port), family=socket.AF_INET6),
        program(argv, env=own_environment, cwd=tmp_path, stderr=-1) as api,
    ):
        _, said = api.communicate(timeout=PATIENCE)
    assert api.returncode == 1
    assert f"Port {port}, meant for the HTTP API, is taken by" in said
