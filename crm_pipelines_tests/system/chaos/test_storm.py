"""A short storm from a fixed seed, and what it leaves behind. `make chaos` is the long one."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import dagster as dg
import pytest
import requests
import sqlalchemy as sa
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_webserver.app import create_app_from_workspace_process_context

from crm_pipelines.access.sessions import begin_session
from crm_pipelines.access.tokens import authenticate
from crm_pipelines.api.pages.session import COOKIE
from crm_pipelines.local.embedded import EmbeddedPostgres
from crm_pipelines_tests.ends import BrevoEnd, HubspotEnd, MauticEnd
from crm_pipelines_tests.fixtures.api import Api, serving
from crm_pipelines_tests.fixtures.dagster_pages import DagsterPages
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox, HubSpotSandbox, MauticSandbox
from crm_pipelines_tests.fixtures.traces import own_command_lines, traces_in_files, traces_in_tables
from crm_pipelines_tests.patience import PATIENCE
from crm_pipelines_tests.storm import Storm

SEED = 20
SECRETS = ["@example.com", "Zebedee", "Quux", "1202555", "xkeysib"]


@pytest.fixture
def dagster_home(tmp_path: Path, empty_database_url: str) -> Path:
    """A Dagster instance whose records are in Postgres, as they are under `make up`."""
    home = tmp_path / "home"
    home.mkdir()
    url = empty_database_url.replace("+psycopg", "+psycopg2")
    # JSON is YAML.
    storage = {"postgres": {"postgres_url": url}}
    (home / "dagster.yaml").write_text(json.dumps({"storage": storage, "telemetry": {"enabled": False}}))
    return home


@contextmanager
def dagster_pages(home: Path) -> Iterator[DagsterPages]:
    """The web page over the records of this instance; it knows no code."""
    with (
        dg.DagsterInstance.from_config(str(home)) as instance,
        WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context,
        serving(create_app_from_workspace_process_context(context)) as root,
    ):
        pages = DagsterPages(root)
        try:
            yield pages
        finally:
            pages.close()


def shown_by_the_api(api: Api, contact: UUID, cookies: dict[str, str]) -> dict[str, str]:
    """What the HTTP API and the status page answer to whoever has these cookies, errors included; by request."""
    asked = [
        ("GET", "/", {}),
        ("GET", "/sign-in", {}),
        ("GET", "/contacts", {}),
        ("GET", f"/contacts/{contact}", {}),
        ("GET", f"/contacts/{UUID(int=0)}", {}),
        ("GET", "/contacts/nobody", {}),
        ("POST", "/contacts.csv", {}),
        ("POST", f"/contacts/{contact}/unselect", {"crm": "brevo"}),
        ("POST", "/sign-in", {"token": "crmp_00000000_" + "a" * 43}),
        ("GET", "/nothing", {}),
        ("GET", "/api/v3/contacts", {}),
        ("GET", f"/api/v3/contacts/{contact}", {}),
        ("GET", "/api/v3/crm/status/failed", {}),
        ("GET", "/api/v3/metrics", {}),
        ("POST", "/api/v3/contacts/crm/select", {"contact_ids": str(contact)}),
    ]
    with requests.Session() as session:
        session.cookies.update(cookies)
        return {
            f"{method} {path}": session.request(method, f"{api.root}{path}", data=form, timeout=PATIENCE).text
            for method, path, form in asked
        }


def test_a_storm_loses_nothing_and_tells_nothing_to_logs_tables_and_files(
    postgres_server: EmbeddedPostgres,
    database_url: str,
    empty_database_url: str,
    brevo_sandbox: BrevoSandbox,
    dagster_home: Path,
    tmp_path: Path,
    people: People,
    serve_api: Callable[..., Api],
) -> None:
    storm = Storm(
        database_url,
        BrevoEnd(brevo_sandbox),
        tmp_path,
        seed=SEED,
        contacts=120,
        dagster_home=dagster_home,
        look=own_command_lines,
    )
    findings = storm.run(seconds=8)
    assert findings.violations == [], f"seed {SEED}"
    password = sa.make_url(database_url).password
    words = [*SECRETS, *([password] if password else [])]
    assert not [word for word in words if word in storm.seen]
    with dagster_pages(dagster_home) as pages:
        shown = {run["runId"]: pages.shown(run["runId"]) for run in pages.runs()}
    assert "report_run" in str(shown)
    api, contact = serve_api(), people.all("SELECT id FROM crm_contacts LIMIT 1")[0]["id"]
    shown |= shown_by_the_api(api, contact, {})
    assert [(where, word) for where, text in shown.items() for word in words if word.lower() in text.lower()] == []
    session = begin_session(people.engine, authenticate(people.engine, str(api.token)))
    for where, text in shown_by_the_api(api, contact, {COOKIE: session}).items():
        assert not [word for word in ("xkeysib", password) if word and word in text], where
    (dagster_home / "dagster.yaml").unlink()  # the one file that must know the way to the database
    assert traces_in_files(tmp_path, words) == []
    engine = sa.create_engine(empty_database_url)
    try:
        assert traces_in_tables(engine, words) == []
    finally:
        engine.dispose()


def test_a_storm_at_hubspot_loses_and_doubles_nothing(
    database_url: str, hubspot_sandbox: HubSpotSandbox, tmp_path: Path
) -> None:
    findings = Storm(database_url, HubspotEnd(hubspot_sandbox), tmp_path, seed=SEED, contacts=40).run(seconds=6)
    assert findings.violations == [], f"seed {SEED}"
    assert findings.came_to["deliveries confirmed"] > 0


def test_a_storm_at_mautic_loses_doubles_and_merges_nothing(
    database_url: str, mautic_sandbox: MauticSandbox, tmp_path: Path
) -> None:
    findings = Storm(database_url, MauticEnd(mautic_sandbox), tmp_path, seed=SEED, contacts=40).run(seconds=6)
    assert findings.violations == [], f"seed {SEED}"
    assert findings.came_to["deliveries confirmed"] > 0
