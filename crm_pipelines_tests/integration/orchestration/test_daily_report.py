"""The daily report: right sums, one page that needs nothing else, and nothing of a contact in it."""

import re
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from crm_pipelines.orchestration.build import build_definitions
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.integration.contacts.messages import tell
from crm_pipelines_tests.integration.contacts.states import put

CODE = "<b>duplicate_parameter</b>"
TODAY = datetime.now(UTC).date()
"""Midnight may pass while a test runs."""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, database_url: str, tmp_path: Path) -> None:
    monkeypatch.setenv("CRM_DATABASE_URL", database_url)
    monkeypatch.setenv("CRM_PIPELINES_DATA_DIR", str(tmp_path))


def attempts(people: People, outcome: str, count: int, *, days: int = 0, kind: str | None = None) -> None:
    """Attempts at contacts of their own, at the beginning of that day, selected an hour before."""
    then = datetime.combine(TODAY - timedelta(days=days), time(), UTC)
    ids = people.add(count)
    people.run(
        "UPDATE crm_syncs SET selected_at = CAST(:then AS timestamptz) - interval '1 hour' "
        "WHERE contact_id = ANY (CAST(:ids AS uuid[]))",
        then=then,
        ids=ids,
    )
    people.run(
        "INSERT INTO crm_attempts (contact_id, crm, claim_no, run_id, revision, outcome, kind, requests, message, "
        "started_at, finished_at, applied_at) SELECT id, 'brevo', 1, 'r', 1, :outcome, :kind, 2, "
        "'Quux: ada@example.com +4915112345678', :then, :then, now() "
        "FROM unnest(CAST(:ids AS uuid[])) id",
        outcome=outcome,
        kind=kind,
        then=then,
        ids=ids,
    )


def report(crm: str = "brevo", **config: Any) -> tuple[dict[str, Any], str]:
    """A run of daily_report: its metadata, and the page."""
    node = f"{crm}__daily_report"
    job = build_definitions(load_settings()).get_repository_def().get_job("daily_report")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, run_config={"ops": {node: {"config": config}}})
        [event] = result.asset_materializations_for_node(node)
    metadata: dict[str, Any] = {name: value.value for name, value in event.metadata.items()}
    return metadata, Path(metadata["page"]).read_text(encoding="utf-8")


def test_the_sums_are_those_of_the_ledger_and_a_row_is_shown_per_day(people: People) -> None:
    attempts(people, "synced", 6)
    attempts(people, "synced", 2, days=3)
    attempts(people, "retry", 1, days=3, kind="outage")
    attempts(people, "rejected", 1, kind="invalid_phone")
    attempts(people, "snoozed", 1, kind="rate_limit")
    attempts(people, "synced", 5, days=31)
    metadata, page = report()
    assert {name: metadata[name] for name in ("delivered", "failed_attempts", "retries", "success_percent")} == {
        "delivered": 8,
        "failed_attempts": 2,
        "retries": 1,
        "success_percent": 80.0,
    }
    assert metadata["median_minutes_to_delivery"] == pytest.approx(60, abs=1)
    assert metadata["p95_minutes_to_delivery"] == pytest.approx(60, abs=1)
    rows = re.findall(r"<tr><td>(\d{4}-\d\d-\d\d)</td>" + r'\s*<td class="number">(\d+)</td>' * 4, page)
    last = date.fromisoformat(rows[0][0])
    assert last >= TODAY
    assert [row[0] for row in rows] == [str(last - timedelta(days=back)) for back in range(30)]
    by_day = {row[0]: row[1:] for row in rows}
    assert by_day[str(TODAY)] == ("6", "1", "0", "16")
    assert by_day[str(TODAY - timedelta(days=3))] == ("2", "1", "1", "6")
    assert "<tr><td>invalid_phone</td>" in page
    assert "rate_limit" not in page, "a limit that was reached is no error"


def test_the_delay_from_a_change_to_the_crm_is_told_of_all_days_and_of_each(people: People) -> None:
    attempts(people, "synced", 6)
    attempts(people, "synced", 2, days=3)
    attempts(people, "synced", 1, days=5)
    people.run(
        "UPDATE crm_attempts SET wanted_since = finished_at - CASE WHEN finished_at < now() - interval '2 days' "
        "THEN interval '90 seconds' ELSE interval '30 seconds' END WHERE finished_at > now() - interval '5 days'"
    )
    metadata, page = report()
    assert [metadata[f"delay_p{percent}_minutes"] for percent in (50, 95, 99)] == [0.5, 1.5, 1.5]
    assert "From a change to the CRM, 99th percentile" in page
    by_day = dict(
        re.findall(r"<tr><td>(\d{4}-\d\d-\d\d)</td>(?:\s*<td[^>]*>[\d]+</td>){4}\s*<td[^>]*>([^<]*)</td>", page)
    )
    assert by_day[str(TODAY)] == "30 s"
    assert by_day[str(TODAY - timedelta(days=3))] == "90 s"
    assert by_day[str(TODAY - timedelta(days=5))] == "–", "not known of what was delivered before"


def test_what_is_parked_is_told_with_its_kind_and_the_code_of_the_crm(people: People) -> None:
    people.add(3)
    people.run(
        "UPDATE crm_syncs SET state = 'failed', last_error_kind = 'rejected', last_error_code = :code, "
        "last_error = 'Quux: ada@example.com'",
        code=CODE,
    )
    people.add(1, email=None, select=False)
    metadata, page = report()
    assert metadata["parked"] == 3
    assert "<td>failed</td><td>rejected</td><td>&lt;b&gt;duplicate_parameter&lt;/b&gt;</td>" in page
    assert "Failed or never sent: 3 rejected." in metadata["summary"]


def test_nothing_of_a_contact_is_in_the_page_or_in_dagster_and_nothing_is_fetched(people: People) -> None:
    attempts(people, "rejected", 3, kind="rejected")
    attempts(people, "synced", 2)
    people.run("UPDATE crm_syncs SET state = 'failed', last_error_kind = 'rejected', last_error = 'ada@example.com'")
    metadata, page = report()
    for text in (page, str(metadata)):
        assert not re.search(r"@example|Quux|4915112345678|Person \d", text)
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(addresses) == 5
    assert all(address.startswith("data:image/svg+xml;base64,") for address in addresses)
    assert "url(" not in page
    assert "@import" not in page
    assert "<script" not in page
    assert re.search(r"!\[[^]]+\]\(data:image/png;base64,[\w+/=]+\)", metadata["summary"])
    assert len(metadata["summary"]) < 60_000, "Dagster keeps it for every day"


def test_without_a_single_contact_there_is_a_report_too() -> None:
    metadata, page = report(days=1)
    assert metadata["delivered"] == 0
    assert "success_percent" not in metadata
    assert "no attempts" in page


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("")
    monkeypatch.setenv("CRM_PIPELINES_DATA_DIR", str(blocked))
    with pytest.raises(dg.Failure, match="Is CRM_PIPELINES_DATA_DIR writable"):
        report()


def test_the_report_of_a_workflow_counts_what_never_came_back_once_it_tells_anything(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("N8N_WEBHOOK_URL", "https://n8n.example.com/webhook/x")
    monkeypatch.setenv("N8N_WEBHOOK_SECRET", "secret-of-the-workflow")
    contacts = people.add(2, select=False)
    with people.engine.begin() as connection:
        for contact in contacts:
            put(connection, contact, "synced", crm="n8n", synced_at=sa.text("now() - interval '3 hours'"))
    assert "the workflow has told nothing" not in report("n8n")[1]
    tell(people.engine, contacts[0])
    metadata, page = report("n8n")
    assert metadata["unanswered"] == 1
    assert "the workflow has told nothing" in page
    assert "the workflow has told nothing" not in report()[1]


def test_the_asset_links_to_the_report_on_the_status_page_where_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "report" not in report()[0]
    monkeypatch.setenv("STATUS_PAGE_URL", "https://crm.example.org/")
    metadata, _ = report()
    assert metadata["report"] == f"https://crm.example.org/reports/brevo/{metadata['page'][-15:-5]}"


def test_reports_are_kept_as_long_as_runs_and_those_of_others_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEEP_RUNS_DAYS", "7")
    folder = tmp_path / "reports"
    folder.mkdir()
    kept = [f"brevo-{TODAY - timedelta(days=6)}.html", "brevo_eu-2020-01-01.html", "notes.txt", "brevo-plan.html"]
    for name in (*kept, "brevo-2020-01-01.html", f"brevo-{TODAY - timedelta(days=9)}.html"):
        (folder / name).write_text("x")
    metadata, _ = report()
    assert {path.name for path in folder.iterdir()} == {*kept, Path(metadata["page"]).name}
