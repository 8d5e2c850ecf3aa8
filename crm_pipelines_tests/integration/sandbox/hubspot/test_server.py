"""The program, and its memory."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from crm_pipelines.sandbox.hubspot.__main__ import main
from crm_pipelines.sandbox.hubspot.server import create_app
from crm_pipelines_tests.fixtures.api import serving
from crm_pipelines_tests.fixtures.sandbox import HubSpotSandbox
from crm_pipelines_tests.integration.sandbox.hubspot.conftest import CONTACTS, PROPERTIES, Hub
from crm_pipelines_tests.patience import PATIENCE
from crm_pipelines_tests.programs import program


@contextlib.contextmanager
def keeping(file: Path) -> Iterator[tuple[HubSpotSandbox, Hub]]:
    """A sandbox that keeps its account in the file; it runs in this process, and ends in an orderly way."""
    with serving(create_app(file)) as root:
        sandbox, hub = HubSpotSandbox(root), Hub(root)
        try:
            yield sandbox, hub
        finally:
            hub.session.close()
            sandbox.close()


def test_the_program_says_where_it_listens_and_ends_on_request() -> None:
    command = [sys.executable, "-m", "crm_pipelines.sandbox.hubspot", "--port", "0"]
    with program(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("HubSpot sandbox: http://127.0.0.1:")
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_the_account_survives_a_restart_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    with keeping(file) as (sandbox, hub):
        definition = {"label": "L", "groupName": "contactinformation", "type": "string", "fieldType": "text"}
        hub.post(PROPERTIES, {"name": "own", "hasUniqueValue": True, **definition})
        hub.post(PROPERTIES, {"name": "gone", **definition})
        hub.delete(f"{PROPERTIES}/gone")
        sandbox.seed({"email": "a@example.org", "hs_additional_emails": "old@example.org", "own": "1"})
        sandbox.opt_out("a@example.org")
        twin, bin_, erased = hub.create("twin@example.org"), hub.create("bin@example.org"), "erased@example.org"
        hub.post(f"{CONTACTS}/merge", {"primaryObjectId": "101", "objectIdToMerge": twin})
        hub.delete(f"{CONTACTS}/{bin_}")
        hub.post(f"{CONTACTS}/gdpr-delete", {"objectId": erased, "idProperty": "email"})
        hub.post("/crm/v3/lists", {"name": "L", "objectTypeId": "0-1", "processingType": "MANUAL"})
        hub.put("/crm/v3/lists/1/memberships/add", ["101"])
        before = sandbox.state()
    assert file.stat().st_mode & 0o777 == 0o600
    with keeping(file) as (sandbox, hub):
        assert sandbox.state() == before
        for taken in ("a@example.org", "old@example.org", "twin@example.org"):
            assert hub.post(CONTACTS, {"properties": {"email": taken}}).status_code == 409
        assert hub.post(CONTACTS, {"properties": {"email": erased}}).status_code == 400
        (found,) = hub.batch("upsert", {"id": "1", "idProperty": "own", "properties": {}}).json()["results"]
        assert found["id"] == "101"
        assert hub.get(f"{CONTACTS}/{twin}").json()["id"] == "101"
        assert hub.get(f"{PROPERTIES}/gone", archived="true").status_code == 200
        assert int(hub.create("new@example.org")) > int(bin_)


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 99}'])
def test_a_broken_state_file_is_named_and_left_alone(tmp_path: Path, content: str) -> None:
    file = tmp_path / "state.json"
    file.write_text(content)
    ended = CliRunner().invoke(main, ["--port", "0", "--state", str(file)])
    assert ended.exit_code == 1
    assert ended.output.startswith(f"Error: The sandbox cannot use its state file {file}")
    assert file.read_text() == content
