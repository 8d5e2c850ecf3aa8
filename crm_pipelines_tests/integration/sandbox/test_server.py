"""The process: its start, its end, and its memory."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from crm_pipelines.sandbox.brevo.server import PortTakenError, serve
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox

COMMAND = [sys.executable, "-m", "crm_pipelines.sandbox.brevo"]
KEY = {"api-key": "k"}


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], BrevoSandbox]]:
    with subprocess.Popen([*COMMAND, "--port", "0", *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        sandbox = BrevoSandbox(line.split()[-1])
        try:
            yield process, sandbox
        finally:
            sandbox.close()
            if process.poll() is None:
                process.kill()


def stop(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> float:
    """Signal, wait, and return the seconds it took."""
    started = time.monotonic()
    process.send_signal(number)
    assert process.wait(60) == 0
    return time.monotonic() - started


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_within_a_second_although_requests_are_held(number: signal.Signals) -> None:
    waiting: list[Future[requests.Response]] = []
    with running() as (process, sandbox), ThreadPoolExecutor(3) as pool:
        for action, path in (("hold", "/contacts"), ("timeout_before", "/account"), ("latency", "/processes")):
            sandbox.fault(action, path=path, seconds=60 if action == "latency" else 0)
            waiting.append(pool.submit(requests.get, f"{sandbox.url}{path}", headers=KEY, timeout=20))
        sandbox.wait_for_requests(3)
        assert stop(process, number) < 1
        # Cut off, as by a server that dies; not told of a failure that there was none.
        assert {type(request.exception(10)) for request in waiting} == {requests.ConnectionError}


def test_a_taken_port_is_named_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"Port {port} on 127.0.0.1 is in use"):
            serve(port=port)
        ended = subprocess.run([*COMMAND, "--port", str(port)], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"Error: Port {port}")


def test_the_account_survives_a_restart_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "state.json"
    with running("--state", str(file)) as (process, sandbox):
        sandbox.configure(attributes={"DOMAIN_ID": "text"}, import_seconds=60)
        sandbox.seed(
            {"email": "a@example.org", "attributes": {"SMS": "+14196056306", "DOMAIN_ID": "d"}, "listIds": [2]}
        )
        body = {"newList": {"listName": "L", "folderId": 1}, "jsonBody": [{"email": "b@example.org"}]}
        assert requests.post(f"{sandbox.url}/contacts/import", json=body, headers=KEY, timeout=10).status_code == 202
        before = sandbox.state()
        stop(process)
    assert file.stat().st_mode & 0o777 == 0o600
    with running("--state", str(file)) as (process, sandbox):
        after = sandbox.state()
        assert after["contacts"][0] == before["contacts"][0]
        assert after["attributes"] == before["attributes"]
        # An import that was under way at the stop has come to its end, as it would have at Brevo.
        assert [contact["listIds"] for contact in after["contacts"]] == [[2], [3]]
        assert after["processes"][0]["status"] == "completed"
        duplicate = {"email": "c@example.org", "attributes": {"SMS": "14196056306"}}
        assert requests.post(f"{sandbox.url}/contacts", json=duplicate, headers=KEY, timeout=10).status_code == 400
        stop(process)


def test_the_account_is_saved_soon_after_a_change_too(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    with running("--state", str(file)) as (process, sandbox):
        sandbox.seed({"email": "a@example.org"})
        deadline = time.monotonic() + 10
        while not file.exists() or not json.loads(file.read_text())["contacts"]:
            assert time.monotonic() < deadline
            os.sched_yield()
        process.kill()
    with running("--state", str(file)) as (process, sandbox):
        assert len(sandbox.contacts()) == 1
        stop(process)


EMPTY_PARTS: dict[str, list[object]] = {
    part: [] for part in ("attributes", "folders", "lists", "processes", "contacts")
}
OTHER_VERSION = {**EMPTY_PARTS, "version": 99, "sequences": [0, 0, 0]}


@pytest.mark.parametrize("content", ["{", "[]", json.dumps(OTHER_VERSION)], ids=["broken", "foreign", "other version"])
def test_a_broken_state_file_is_named_and_left_alone(tmp_path: Path, content: str) -> None:
    file = tmp_path / "state.json"
    file.write_text(content)
    ended = subprocess.run([*COMMAND, "--port", "0", "--state", str(file)], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Error: The sandbox cannot use its state file {file}")
    assert "Traceback" not in ended.stderr
    assert file.read_text() == content
