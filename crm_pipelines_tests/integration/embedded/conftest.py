"""A folder for an embedded Postgres, as it is where `make` runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_pipelines_tests.fixtures.postgres import temporary_folder
from crm_pipelines_tests.integration.embedded.helpers import processes_of, wait_until_gone


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not there yet; at the end nothing may run on it."""
    with temporary_folder() as parent:
        folder = parent / "postgres"
        yield folder
        wait_until_gone(processes_of(folder))
