"""Fixtures for all tests live in `fixtures`; this names the modules, those first that others import."""

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
