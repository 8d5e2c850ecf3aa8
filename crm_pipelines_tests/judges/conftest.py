"""One n8n for all tests of a session."""

from collections.abc import Callable, Iterator

import dagster as dg
import pytest
import sqlalchemy as sa

from crm_pipelines.delivery.pace import pacing
from crm_pipelines.destinations.registered import register
from crm_pipelines.local.embedded import EmbeddedPostgres
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.fixtures.postgres import temporary_folder
from crm_pipelines_tests.judges.installed import require_n8n
from crm_pipelines_tests.judges.running import N8n
from crm_pipelines_tests.judges.workflows import Credentials

SECRET = "a-secret-that-nobody-may-see"
"""What deliveries show, and sign with."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "crm_pipelines_tests/judges/" in item.path.as_posix():
            item.add_marker(pytest.mark.judge)


@pytest.fixture(scope="session")
def _n8n(request: pytest.FixtureRequest) -> Iterator[N8n]:
    require_n8n()
    server: EmbeddedPostgres = request.getfixturevalue("postgres_server")
    server.create_database("n8n")
    with temporary_folder() as folder:
        n8n = N8n(folder, server.url("n8n"))
        try:
            yield n8n
        finally:
            n8n.close()


@pytest.fixture
def n8n(_n8n: N8n) -> N8n:
    """It is up; a test may leave it down."""
    if not _n8n.is_up:
        _n8n.start()
    return _n8n


@pytest.fixture
def bearer(n8n: N8n) -> Credentials:
    """For a Webhook node that lets only those in who show SECRET."""
    return n8n.credential("httpHeaderAuth", name="Authorization", value=f"Bearer {SECRET}")


@pytest.fixture
def told(engine: sa.Engine) -> People:
    """The contacts database of this test, whose contacts are for n8n."""
    register(engine, "n8n", "n8n")
    return People(engine, "n8n")


@pytest.fixture
def pipeline_to(
    n8n: N8n, monkeypatch: pytest.MonkeyPatch, database_url: str, in_memory: dg.DagsterInstance
) -> Callable[..., Pipeline]:
    """The job that delivers to the webhook with this path; settings without their N8N_."""

    def open_pipeline(path: str, **settings: str) -> Pipeline:
        monkeypatch.setenv("CRM_DATABASE_URL", database_url)
        monkeypatch.setenv("CRM_DESTINATIONS", "n8n")
        monkeypatch.setenv("N8N_WEBHOOK_URL", n8n.webhook(path))
        monkeypatch.setenv("N8N_WEBHOOK_SECRET", SECRET)
        for name, value in settings.items():
            monkeypatch.setenv(f"N8N_{name}", value)
        monkeypatch.setattr(pacing, "_BLOCK_SECONDS", 0.05)
        return Pipeline(in_memory, "n8n")

    return open_pipeline
