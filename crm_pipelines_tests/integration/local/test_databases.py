"""Dagster's database, beside the contacts."""

import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
import sqlalchemy as sa

from crm_pipelines.local import databases
from crm_pipelines.local.embedded import EmbeddedPostgres
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.patience import PATIENCE


@pytest.fixture
def absent(postgres_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of Dagster's database, which does not exist yet."""
    monkeypatch.delenv("DAGSTER_POSTGRES_URL", raising=False)
    name = f"dagster_{secrets.token_hex(6)}"
    monkeypatch.setattr(databases, "_DAGSTER", name)
    yield name
    with postgres_server.connect() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


@contextmanager
def _right_before_creation(run: Callable[[], object]) -> Iterator[None]:
    """`run` comes between the look whether the database exists and its creation, in each thread."""

    def listen(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        if statement.startswith("CREATE DATABASE"):
            run()

    sa.event.listen(sa.Engine, "before_cursor_execute", listen)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", listen)


def test_whoever_creates_dagsters_database_at_the_same_time_as_others_uses_it_with_them(
    absent: str, postgres_server: EmbeddedPostgres
) -> None:
    processes = 8
    contacts = postgres_server.url("postgres")
    together = threading.Barrier(processes, timeout=PATIENCE)
    with _right_before_creation(together.wait), ThreadPoolExecutor(processes) as pool:
        urls = list(pool.map(lambda _: databases.dagster_storage_url(load_settings(), contacts), range(processes)))
    assert {sa.make_url(url).database for url in urls} == {absent}
    psycopg.connect(postgres_server.url(absent).replace("+psycopg", "")).close()


def test_dagsters_database_that_another_has_created_a_moment_before_is_used(
    absent: str, postgres_server: EmbeddedPostgres
) -> None:
    with _right_before_creation(lambda: postgres_server.create_database(absent)):
        url = databases.dagster_storage_url(load_settings(), postgres_server.url("postgres"))
    assert sa.make_url(url).database == absent
