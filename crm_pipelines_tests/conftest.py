"""Fixtures for all tests live in `fixtures`; this names the modules."""

pytest_plugins = ["crm_pipelines_tests.fixtures.people", "crm_pipelines_tests.fixtures.postgres"]
