"""Fixtures for all tests live in `fixtures`; this names the modules, those first that others import.

And what holds for the whole session: how signals stand, when a test counts as hung, and that no process outlives it.
"""

import os
import signal

import click
import pytest
from hypothesis import HealthCheck, settings

from crm_pipelines_tests import leftovers
from crm_pipelines_tests.patience import LONGEST_TEST

pytest_plugins = [
    "crm_pipelines_tests.fixtures.postgres",
    "crm_pipelines_tests.fixtures.people",
    "crm_pipelines_tests.fixtures.sandbox",
    "crm_pipelines_tests.fixtures.browser",
    "crm_pipelines_tests.fixtures.pipeline",
    "crm_pipelines_tests.fixtures.accounts",
    "crm_pipelines_tests.fixtures.api",
    "crm_pipelines_tests.fixtures.workflows",
    "crm_pipelines_tests.fixtures.receivers",
    "crm_pipelines_tests.fixtures.deadlines",
    "crm_pipelines_tests.fixtures.postbox.setup",
    "crm_pipelines_tests.fixtures.stack",
    "crm_pipelines_tests.fixtures.celery",
]


# No time in which an example must be done, and the same examples for the same code: one that fails is no accident of
# this run. `pytest --hypothesis-profile=searching` makes up others.
_ON_ANY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("searching", _ON_ANY_MACHINE)
settings.register_profile("repeatable", _ON_ANY_MACHINE, derandomize=True)
settings.load_profile("repeatable")


def pytest_configure() -> None:
    # A script's background job begins with SIGINT ignored; Dagster would then leave SIGTERM ignored too, here and in
    # every program that a test starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    leftovers.mark()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.timeout(LONGEST_TEST))


@pytest.hookimpl(trylast=True)  # after the workers were told to end
def pytest_sessionfinish(session: pytest.Session) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        return  # the one that started the workers looks, once, when all have ended
    if found := leftovers.end():
        lines = ["\nThese processes of the tests had not ended, and were killed:", *found]
        click.echo("\n  ".join(lines), err=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
