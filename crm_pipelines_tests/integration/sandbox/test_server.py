"""The program: its start, its end, and its memory."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from crm_pipelines.sandbox.brevo.__main__ import main
from crm_pipelines.sandbox.brevo.server import create_app, serve
from crm_pipelines.sandbox.core.server import PortTakenError
from crm_pipelines_tests.fixtures.api import serving
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.patience import PATIENCE, wait_until
from crm_pipelines_tests.programs import program

COMMAND = [sys.executable, "-m", "crm_pipelines.sandbox.brevo"]
KEY = {"api-key": "k"}


@contextlib.contextmanager
def keeping(file: Path) -> Iterator[BrevoSandbox]:
    """A sandbox that keeps its account in the file; it runs in this process, and ends in an orderly way."""
    with serving(create_app(file)) as root:
        sandbox = BrevoSandbox(root)
        try:
            yield sandbox
        finally:
            sandbox.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_although_requests_are_held(number: signal.Signals) -> None:
    waiting: list[Future[requests.Response]] = []
    with (
        ThreadPoolExecutor(3) as pool,
        program([*COMMAND, "--port", "0"], stdout=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None
        sandbox = BrevoSandbox(process.stdout.readline().split()[-1])
        for action, path in (("hold", "/contacts"), ("timeout_before", "/account"), ("latency", "/processes")):
            sandbox.fault(action, path=path, seconds=10 * PATIENCE if action == "latency" else 0)
            waiting.append(pool.submit(requests.get, f"{sandbox.url}{path}", headers=KEY, timeout=10 * PATIENCE))
        sandbox.wait_for_requests(3)
        sandbox.close()
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0
        # Cut off, as by a server that dies; not told of a failure that there was none.
        assert {type(request.exception(PATIENCE)) for request in waiting} == {requests.ConnectionError}


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
    with keeping(file) as sandbox:
        sandbox.configure(attributes={"DOMAIN_ID": "text"}, import_seconds=10 * PATIENCE)
        sandbox.seed(
            {"email": "a@example.org", "attributes": {"SMS": "+14196056306", "DOMAIN_ID": "d"}, "listIds": [2]}
        )
        body = {"newList": {"listName": "L", "folderId": 1}, "jsonBody": [{"email": "b@example.org"}]}
        assert (
            requests.post(f"{sandbox.url}/contacts/import", json=body, headers=KEY, timeout=PATIENCE).status_code == 202
        )
        before = sandbox.state()
    assert file.stat().st_mode & 0o777 == 0o600
    with keeping(file) as sandbox:
        after = sandbox.state()
        assert after["contacts"][0] == before["contacts"][0]
        assert after["attributes"] == before["attributes"]
        # An import that was under way at the stop has come to its end, as it would have at Brevo.
        assert [contact["listIds"] for contact in after["contacts"]] == [[2], [3]]
        assert after["processes"][0]["status"] == "completed"
        duplicate = {"email": "c@example.org", "attributes": {"SMS": "14196056306"}}
        assert (
            requests.post(f"{sandbox.url}/contacts", json=duplicate, headers=KEY, timeout=PATIENCE).status_code == 400
        )


def test_the_account_is_saved_soon_after_a_change_too(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    with keeping(file) as sandbox:
        sandbox.seed({"email": "a@example.org"})
        wait_until(lambda: file.exists() and json.loads(file.read_text())["contacts"], "the account is in its file")
        # As it would be found by the next one if this one were killed now.
        found = create_app(file).state.sandbox.account.contacts
        assert [contact.email for contact in found.values()] == ["a@example.org"]


def test_who_has_left_a_list_has_left_it_after_a_restart_and_a_file_of_old_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    with keeping(file) as sandbox:
        sandbox.seed({"email": "a@example.org", "listIds": [2]})
        url = f"{sandbox.url}/contacts/lists/2/contacts/remove"
        requests.post(url, json={"emails": ["a@example.org"]}, headers=KEY, timeout=PATIENCE).raise_for_status()
    with keeping(file) as sandbox:
        assert sandbox.contacts()[0]["listUnsubscribed"] == [2]
    state = json.loads(file.read_text())
    [contact] = state["contacts"]
    file.write_text(json.dumps({**state, "version": 1, "contacts": [contact[:5] + contact[6:]]}))
    with keeping(file) as sandbox:
        assert sandbox.contacts()[0]["listUnsubscribed"] is None


EMPTY_PARTS: dict[str, list[object]] = {
    part: [] for part in ("attributes", "folders", "lists", "processes", "contacts")
}
OTHER_VERSION = {**EMPTY_PARTS, "version": 99, "sequences": [0, 0, 0]}


@pytest.mark.parametrize("content", ["{", "[]", json.dumps(OTHER_VERSION)], ids=["broken", "foreign", "other version"])
def test_a_broken_state_file_is_named_and_left_alone(tmp_path: Path, content: str) -> None:
    file = tmp_path / "state.json"
    file.write_text(content)
    ended = CliRunner().invoke(main, ["--port", "0", "--state", str(file)])
    assert ended.exit_code == 1
    assert ended.output.startswith(f"Error: The sandbox cannot use its state file {file}")
    assert file.read_text() == content


def test_it_answers_under_the_names_it_was_given_and_no_others() -> None:
    command = [
        sys.executable,
        "-m",
        "crm_pipelines",
        "sandbox",
        "brevo",
        "--port",
        "0",
        "--allow-host",
        "brevo-sandbox",
    ]
    with program(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        root = process.stdout.readline().split()[-1]
        names = ("brevo-sandbox:8085", "127.0.0.1", "foreign.example")
        answers = [requests.get(f"{root}/_sandbox/state", headers={"Host": name}, timeout=PATIENCE) for name in names]
    assert [answer.status_code for answer in answers] == [200, 200, 403]
