"""Where contacts go while `crm-pipelines up` runs."""

import io
import os
from pathlib import Path

import pytest
from pydantic import SecretStr
from rich.console import Console

from crm_pipelines.local import environment, up
from crm_pipelines.local.processes import Processes
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.postbox import Postbox


@pytest.mark.usefixtures("postbox_kind")
def test_a_kind_without_columns_in_the_view_may_have_a_sandbox_from_the_first_start_on(
    monkeypatch: pytest.MonkeyPatch, database_url: str, postbox: Postbox, tmp_path: Path
) -> None:
    monkeypatch.setenv("CRM_DESTINATIONS", "postbox")
    for name in ("POSTBOX_API_KEY", "POSTBOX_API_BASE_URL"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(environment, "SANDBOXES", ("postbox",))
    where = {"api_key": SecretStr("sandbox"), "api_base_url": postbox.url}
    monkeypatch.setattr(up, "start_sandbox", lambda *_: where)
    said = io.StringIO()
    with Processes(tmp_path / "up.log") as processes:
        up.choose_accounts(load_settings(), database_url, processes, sandbox_port=0, console=Console(file=said))
    assert os.environ["POSTBOX_API_BASE_URL"] == postbox.url
    assert "Postbox: the local sandbox" in said.getvalue()
