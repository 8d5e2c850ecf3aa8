"""Folders for an embedded Postgres, as they are where `make` runs."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_pipelines.local.embedded import embedded_postgres, server
from crm_pipelines.local.embedded.binaries import find_binaries
from crm_pipelines_tests.fixtures.postgres import FAST, temporary_folder
from crm_pipelines_tests.integration.local.embedded.helpers import processes_of, wait_until_gone
from crm_pipelines_tests.patience import PATIENCE


@pytest.fixture(autouse=True)
def _patience_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last user waits for the end of the server however slow the machine is."""
    monkeypatch.setattr(server, "_STOP_SECONDS", PATIENCE)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not there yet; at the end nothing may run on it."""
    with temporary_folder() as parent:
        folder = parent / "postgres"
        yield folder
        wait_until_gone(processes_of(folder))


@pytest.fixture(scope="session")
def _pattern() -> Iterator[Path]:
    with temporary_folder() as parent:
        with embedded_postgres(parent / "postgres", settings=FAST):
            pass
        yield parent / "postgres"


@pytest.fixture
def bare(folder: Path) -> Path:
    """What is looked at of a folder before Postgres is started on it, with data of the present programs."""
    (folder / "data").mkdir(parents=True)
    folder.chmod(0o711)
    (folder / "data" / "PG_VERSION").write_text(f"{find_binaries(None).major}\n")
    (folder / "password").write_text("secret")
    return folder


@pytest.fixture
def made(folder: Path, _pattern: Path) -> Path:
    """A folder whose server has run and stopped before: a copy, for making one takes a second."""
    subprocess.run(["cp", "-a", _pattern, folder], check=True)
    (folder / "port").unlink()
    return folder
