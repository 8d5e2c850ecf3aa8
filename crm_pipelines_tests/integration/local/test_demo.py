"""`crm-pipelines demo` for a CRM that the tables know nothing of."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from crm_pipelines.local import demo
from crm_pipelines.settings import load_settings, project_folder
from crm_pipelines_tests.fixtures.postbox import Postbox, PostboxSettings
from crm_pipelines_tests.fixtures.postgres import temporary_folder


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty data folder; what the demo tells its children is forgotten after the test."""
    for name in ("CRM_DATABASE_URL", "DAGSTER_POSTGRES_URL"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("DAGSTER_HOME", str(project_folder()))
    with temporary_folder() as folder:
        yield folder


@pytest.mark.usefixtures("postbox_kind")
def test_the_demo_delivers_to_a_kind_without_columns_in_the_view(
    monkeypatch: pytest.MonkeyPatch, data: Path, postbox: Postbox, capsys: pytest.CaptureFixture[str]
) -> None:
    where = {"api_key": SecretStr("sandbox"), "api_base_url": postbox.url}
    monkeypatch.setattr(demo, "start_sandbox", lambda *_: where)
    settings = load_settings()
    storage = settings.storage.model_copy(update={"crm_pipelines_data_dir": data})
    demo.demo(replace(settings, storage=storage), PostboxSettings)
    assert "17 contacts queued." in capsys.readouterr().out
    assert len(postbox.held()) == 17
