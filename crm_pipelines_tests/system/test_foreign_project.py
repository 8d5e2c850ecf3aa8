"""Our component in a project that Dagster's own tool made, beside other assets, on an instance without our settings."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from crm_pipelines.destinations.registered import register
from crm_pipelines_tests.fixtures.accounts import OTHER_KEY
from crm_pipelines_tests.fixtures.dagster_pages import DagsterPages
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import API_KEY
from crm_pipelines_tests.fixtures.projects import ForeignProject, lineage
from crm_pipelines_tests.fixtures.sandbox import BrevoSandbox
from crm_pipelines_tests.patience import wait_until

ATTRIBUTES = "{{destination: {}, upstream: [customers], schedule: false, group: crm, owners: ['team:growth']}}"


@pytest.fixture
def both(engine: sa.Engine, ours: BrevoSandbox, other: BrevoSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two accounts, in the environment."""
    monkeypatch.setenv("CRM_DESTINATIONS", "brevo,brevo_eu:brevo")
    monkeypatch.setenv("BREVO_EU_API_KEY", OTHER_KEY)
    monkeypatch.setenv("BREVO_EU_API_BASE_URL", other.url)
    register(engine, "brevo_eu", "brevo")


def test_what_another_asset_brings_in_is_delivered_to_both_destinations_and_the_lineage_shows_it(
    both: None, ours: BrevoSandbox, other: BrevoSandbox, people: People, engine: sa.Engine, tmp_path: Path
) -> None:
    project = ForeignProject(tmp_path)
    project.dg("scaffold", "defs", "crm_pipelines.CrmSyncComponent", "brevo", "--upstream", "customers")
    assert "destination: brevo" in (project.defs / "brevo" / "defs.yaml").read_text(encoding="utf-8")
    (project.defs / "brevo" / "defs.yaml").unlink()
    (project.defs / "brevo").rmdir()
    for name in ("brevo", "brevo_eu"):
        project.component(name, ATTRIBUTES.format(name))
    with project.pages() as url:
        assert {"customers": {"orders"}, "contacts": {"customers"}}.items() <= lineage(url).items()
        assert lineage(url)["brevo/queue"] == lineage(url)["brevo_eu/queue"] == {"contacts"}
        assert lineage(url)["brevo/contacts"] == {"brevo/queue", "brevo/account"}
        project.materialize("customers")
        wait_until(lambda: people.states() == {"synced": 3}, "brevo is delivered", poll_seconds=0.5)
        wait_until(lambda: People(engine, "brevo_eu").states() == {"synced": 3}, "so is brevo_eu", poll_seconds=0.5)
        assert ours.contact("customer2@example.com")
        assert other.contact("customer2@example.com")
        started_by = {run["tags"].get("dagster/sensor_name") for run in DagsterPages(url).runs()} - {None}
    assert started_by == {"brevo_upstream_sensor", "brevo_eu_upstream_sensor"}
    kept = b"".join(file.read_bytes() for file in project.home.rglob("*") if file.is_file())
    assert b"brevo_upstream_sensor" in kept
    assert not any(secret.encode() in kept for secret in (API_KEY, OTHER_KEY)), "what Dagster keeps holds no key"
