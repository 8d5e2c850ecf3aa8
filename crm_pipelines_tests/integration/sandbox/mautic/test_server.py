"""The program, and its memory."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from crm_pipelines.sandbox.mautic.__main__ import main
from crm_pipelines.sandbox.mautic.server import create_app
from crm_pipelines_tests.fixtures.api import serving
from crm_pipelines_tests.fixtures.sandbox import MauticSandbox
from crm_pipelines_tests.integration.sandbox.mautic.conftest import CONTACTS, SEGMENTS, Client
from crm_pipelines_tests.patience import PATIENCE, wait_until
from crm_pipelines_tests.programs import program


@contextlib.contextmanager
def keeping(file: Path) -> Iterator[tuple[MauticSandbox, Client]]:
    """A sandbox that keeps its account in the file; it runs in this process, and ends in an orderly way."""
    with serving(create_app(file)) as root:
        sandbox, client = MauticSandbox(root), Client(root)
        try:
            yield sandbox, client
        finally:
            client.session.close()
            sandbox.close()


def test_the_program_says_where_it_listens_and_ends_on_request() -> None:
    command = [sys.executable, "-m", "crm_pipelines.sandbox.mautic", "--port", "0"]
    with program(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Mautic sandbox: http://127.0.0.1:")
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_the_account_survives_a_restart_in_its_file_and_tokens_do_not(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    with keeping(file) as (sandbox, client):
        client.define("own", "text", isUniqueIdentifier=True)
        client.define("vip", "boolean", properties={"yes": "Yes", "no": "No"})
        ann = client.create("ann@example.org", own="1", vip=False, tags=["a"], owner=2)
        bob = client.create("bob@example.org", points=3)
        news = client.segment()
        for who in (ann, bob):
            client.post(f"{SEGMENTS}/{news}/contact/{who}/add")
        client.post(f"{SEGMENTS}/{news}/contact/{bob}/remove")
        client.delete(f"{CONTACTS}/{client.create('gone@example.org')}/delete")
        sandbox.opt_out("ann@example.org")
        sandbox.configure(checks_unique=False)
        client.patch(f"{CONTACTS}/{client.create('old@example.org')}/edit", {"email": "bob@example.org"})
        before = sandbox.state()
        old = client
    assert file.stat().st_mode & 0o777 == 0o600
    with keeping(file) as (sandbox, client):
        after = sandbox.state()
        assert {**after, "tokens": 0} == {**before, "tokens": 0}
        assert client.post(f"{CONTACTS}/new", {"own": "1"}).json()["contact"]["id"] == ann
        assert client.create("new@example.org") == 5
        old.url = client.url
        assert old.get(CONTACTS).status_code == 401


def test_the_account_is_saved_soon_after_a_change_too(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    with keeping(file) as (_, client):
        client.create("ann@example.org")
        wait_until(lambda: file.exists() and json.loads(file.read_text())["contacts"], "the account is in its file")


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 99}'])
def test_a_broken_state_file_is_named_and_left_alone(tmp_path: Path, content: str) -> None:
    file = tmp_path / "state.json"
    file.write_text(content)
    ended = CliRunner().invoke(main, ["--port", "0", "--state", str(file)])
    assert ended.exit_code == 1
    assert ended.output.startswith(f"Error: The sandbox cannot use its state file {file}")
    assert file.read_text() == content
