"""The same figure is the same number wherever it is shown, on one database with all outcomes in it."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from crm_pipelines.cli import cli
from crm_pipelines.delivery.totals import Totals
from crm_pipelines.orchestration.assets import run_materialization
from crm_pipelines.orchestration.resources import Destination
from crm_pipelines.orchestration.standing import look_at
from crm_pipelines.queue.ledger import Ledger
from crm_pipelines.reports.figures import figures
from crm_pipelines_tests.fixtures.api import Api
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.integration.pages.conftest import Visitor

DELIVERED, FAILED = 3, 4
OUTCOMES = {
    "synced": DELIVERED,
    **dict.fromkeys(("retry", "unknown", "rejected", "refused"), 1),
    # No attempts that count: the CRM was not asked, or only how fast.
    **dict.fromkeys(("unchanged", "snoozed", "skipped"), 2),
}


@pytest.fixture
def attempts(people: People) -> None:
    """Every outcome, just now; and contacts that the CRM holds, whatever became of them since."""
    people.add(4)
    people.run("UPDATE crm_syncs SET synced_at = now(), synced_revision = revision, state = 'synced'")
    ids = [row["contact_id"] for row in people.all("SELECT contact_id FROM crm_syncs ORDER BY contact_id")]
    people.run("SELECT crm_unselect('brevo', ARRAY[CAST(:id AS uuid)])", id=ids[0])
    people.run("SELECT crm_select('brevo', ARRAY[CAST(:id AS uuid)])", id=ids[1])
    people.add(1)
    for number, outcome in enumerate(name for name, count in OUTCOMES.items() for _ in range(count)):
        people.run(
            "INSERT INTO crm_attempts"
            " (contact_id, crm, claim_no, run_id, revision, outcome, requests, started_at, finished_at)"
            " VALUES (:id, 'brevo', :number, 'run', 1, :outcome, 1, now(), now())",
            id=ids[0],
            number=1000 + number,
            outcome=outcome,
        )


@pytest.mark.usefixtures("attempts")
def test_attempts_and_their_share_agree(
    people: People, brevo_environment: object, serve_api: Callable[..., Api]
) -> None:
    with Destination("brevo").open() as account:
        seen = look_at(account, in_all=True)
    on_asset = run_materialization(Totals(), seen, seconds=1, sending_seconds=1).metadata
    by_day = Ledger(people.engine, "brevo").by_day(2)
    report = figures("brevo", day=datetime.now(UTC).date(), days=2, by_day=by_day, times=[], parked=[])
    api = serve_api()
    visitor = Visitor(api.root)
    visitor.sign_in(api.new_token())
    overview = visitor.get("/").text
    drawn = [tuple(map(int, one)) for one in re.findall(r"(\d+) delivered, (\d+) failed", overview)]
    share = 100 * DELIVERED / (DELIVERED + FAILED)

    assert on_asset["attempts_24h"].value == DELIVERED + FAILED
    assert (seen.figures.attempts, seen.figures.failed_attempts) == (DELIVERED + FAILED, FAILED)
    assert (report.delivered, report.failed) == (DELIVERED, FAILED)
    assert (sum(one[0] for one in drawn), sum(one[1] for one in drawn)) == (DELIVERED, FAILED)
    assert on_asset["success_percent_24h"].value == pytest.approx(share, abs=0.01)
    assert report.success_percent == pytest.approx(share)
    assert f'<span class="figure">{share:.1f} %</span>' in overview


@pytest.mark.usefixtures("attempts")
def test_what_the_account_holds_agrees(
    people: People, brevo_environment: object, serve_api: Callable[..., Api]
) -> None:
    with Destination("brevo").open() as account:
        seen = look_at(account, in_all=True)
    on_asset = run_materialization(Totals(), seen, seconds=1, sending_seconds=1).metadata
    api = serve_api()
    visitor = Visitor(api.root)
    visitor.sign_in(api.new_token())
    in_text = CliRunner().invoke(cli, ["status", "brevo"]).output
    [of_api] = [one for one in api.get("/crm/status/summary")["crms"] if one["crm"] == "brevo"]

    held = people.all("SELECT count(*) AS n FROM crm_syncs WHERE synced_at IS NOT NULL")[0]["n"]
    assert held == 4, "also who is selected anew, or not selected any more"
    assert on_asset["delivered_in_all"].value == held
    assert of_api["delivered_in_all"] == held
    assert json.loads(CliRunner().invoke(cli, ["status", "brevo", "--json"]).output)["delivered_in_all"] == held
    assert f"brevo: holds {held} contacts of ours.\n" in in_text
    assert f"Holds {held} contacts of ours." in visitor.get("/").text
    assert f'crm_delivered_in_all{{crm="brevo"}} {held}.0' in api.call("GET", "/metrics").text
