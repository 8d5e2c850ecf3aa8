"""Fixtures for all tests live in `fixtures`; this names the modules, those first that others import."""

import pytest

pytest_plugins = [
    "crm_pipelines_tests.fixtures.postgres",
    "crm_pipelines_tests.fixtures.people",
    "crm_pipelines_tests.fixtures.sandbox",
    "crm_pipelines_tests.fixtures.browser",
    "crm_pipelines_tests.fixtures.pipeline",
    "crm_pipelines_tests.fixtures.api",
    "crm_pipelines_tests.fixtures.receivers",
    "crm_pipelines_tests.fixtures.stack",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that wait for Dagster's daemon come first, so that the others fill their waiting time."""
    items.sort(key=lambda item: item.get_closest_marker("system") is None)
