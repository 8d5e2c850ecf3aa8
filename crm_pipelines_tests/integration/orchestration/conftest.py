"""Dagster's records on disk, as schedules and run_now need them."""

from collections.abc import Iterator

import dagster as dg
import pytest


@pytest.fixture(scope="module")
def _instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def instance(_instance: dg.DagsterInstance) -> Iterator[dg.DagsterInstance]:
    """An instance without any run, which DAGSTER_HOME names."""
    yield _instance
    for run in _instance.get_runs():
        _instance.delete_run(run.run_id)
