"""Folders for an embedded Postgres, as they are where `make` runs."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_pipelines.contacts.embedded import embedded_postgres
from crm_pipelines_tests.fixtures.postgres import FAST, temporary_folder
from crm_pipelines_tests.integration.embedded.helpers import processes_of, wait_until_gone


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
def made(folder: Path, _pattern: Path) -> Path:
    """A folder whose server has run and stopped before: a copy, for making one takes a second."""
    subprocess.run(["cp", "-a", _pattern, folder], check=True)
    (folder / "port").unlink()
    return folder
