"""What a run says about the contacts in the CRM, and the check of its sums."""

from typing import Any

import dagster as dg
import pytest

from crm_pipelines.delivery.totals import Totals, totals_of
from crm_pipelines.orchestration.assets import assets_of, describe, in_words, run_materialization, story
from crm_pipelines.orchestration.checks import SUMS_ADD_UP, checks_of, sums_evaluation
from crm_pipelines.orchestration.standing import DestinationStanding
from crm_pipelines.orchestration.sync import ops
from crm_pipelines.settings import load_settings
from crm_pipelines_tests.fixtures.gates import a_gate
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline
from crm_pipelines_tests.integration.orchestration.standings import a_standing

NUMBERS = [
    *("claimed", "synced", "unchanged", "retrying", "failed", "skipped", "released", "superseded", "requests"),
    *("queue_depth", "oldest_due_seconds", "duration_seconds", "requests_per_second"),
]


def report(totals: Totals, standing: DestinationStanding | None = None, seconds: float = 2) -> dict[str, Any]:
    """The metadata of the materialization."""
    materialization = run_materialization(totals, standing or a_standing(), seconds=seconds, sending_seconds=seconds)
    assert materialization.asset_key == dg.AssetKey(["brevo", "contacts"])
    return {name: value.value for name, value in materialization.metadata.items()}


def test_a_run_reports_figures_that_can_be_plotted() -> None:
    metadata = report(Totals(claimed=5, synced=4, failed=1, requests=6, refused_for_rate=2, reasons={"rejected": 1}))
    assert all(isinstance(metadata[name], int | float) for name in NUMBERS)
    assert (metadata["queue_depth"], metadata["requests_per_second"]) == (7, 3.0)
    assert (metadata["standing"], metadata["condition"]) == ("7 contacts due", "working")
    assert metadata["delivered_in_all"] == 291
    assert (metadata["rate_used_percent"], metadata["refused_for_rate"]) == (30.0, 2)
    assert (metadata["success_percent_24h"], metadata["attempts_24h"]) == (75.0, 200)


def test_a_figure_that_could_not_be_had_is_left_out() -> None:
    metadata = report(Totals(), a_standing(last_day=None, delivered_in_all=None))
    assert not {"success_percent_24h", "delivered_in_all"} & metadata.keys()


def test_a_request_in_no_time_is_no_high_rate() -> None:
    assert report(Totals(requests=1), seconds=0)["rate_used_percent"] == 10


def test_a_pause_is_reported_with_its_reason() -> None:
    gate = a_gate(paused=True, pause_kind="rejects", pause_reason="Invalid: ada@example.com")
    metadata = report(Totals(), a_standing(gate=gate))
    assert metadata["sentence"] == "Brevo rejects too many contacts. Sending pauses for 15 minutes at a time."
    assert metadata["reason"] == "Invalid: …", "and without an address"


def test_reasons_are_a_table_with_the_commonest_first() -> None:
    table = describe(Totals(reasons={"outage": 1, "rejected": 5, "invalid_phone": 1}))["reasons"].value
    assert table.splitlines()[2:] == ["| rejected | 5 |", "| invalid_phone | 1 |", "| outage | 1 |"]
    assert "reasons" not in describe(Totals())


@pytest.mark.parametrize(
    ("totals", "words"),
    [
        (Totals(), "0 claimed: nothing to do."),
        (Totals(claimed=2, synced=2, requests=3), "2 claimed: 2 synced."),
        (
            Totals(claimed=50, synced=48, failed=2, reasons={"duplicate_address": 2}),
            "50 claimed: 48 synced, 2 failed (2 duplicate_address).",
        ),
    ],
)
def test_a_run_in_one_line(totals: Totals, words: str) -> None:
    assert in_words(totals) == words


def test_the_log_of_a_run_tells_its_story_in_a_few_lines() -> None:
    totals = Totals(
        claimed=9, synced=6, failed=3, requests=12, refused_for_rate=1, reasons={"outage": 1, "rejected": 2}
    )
    assert list(story(totals, a_standing(), seconds=3, sending_seconds=2)) == [
        "Run: 9 claimed: 6 synced, 3 failed (2 rejected, 1 outage).",
        "Commonest reasons: 2 rejected, 1 outage. What brevo said: `crm-pipelines status brevo`.",
        "12 requests in 2.0 s of sending, 3.0 s in all; the limit is 10 per second; 1 were answered with 429.",
        "7 contacts are due for Brevo.",
    ]
    assert list(story(Totals(), a_standing(), seconds=1, sending_seconds=0)) == [
        "Run: 0 claimed: nothing to do.",
        "7 contacts are due for Brevo.",
    ]


def test_sums_that_do_not_add_up_fail_the_check() -> None:
    assert sums_evaluation("brevo", Totals(claimed=3, synced=2, released=1)).passed
    assert not sums_evaluation("brevo", Totals(claimed=3, synced=2)).passed
    assert not sums_evaluation("brevo", Totals(claimed=3, synced=4)).passed, "nor do contacts with two fates"


def test_a_run_whose_sums_do_not_add_up_fails_and_says_how_many(
    people: People, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add(3)
    monkeypatch.setattr(ops, "totals_of", lambda applied, **counts: totals_of(applied[:0], **counts))
    run = pipeline.run()
    assert not run.success
    assert "The fate of 3 of 3 claimed contacts is unknown, a defect." in (run.problem or "")
    assert [one.check_name for one in run.result.get_asset_check_evaluations() if not one.passed] == ["sums_add_up"]


@pytest.mark.parametrize(
    ("totals", "passed"), [(None, True), (Totals(claimed=1, synced=1), True), (Totals(claimed=1), False)]
)
def test_launched_by_hand_the_check_looks_at_the_latest_run_again(totals: Totals | None, passed: bool) -> None:
    brevo = load_settings().destination("brevo")
    with dg.DagsterInstance.ephemeral() as instance:
        if totals is not None:
            event = run_materialization(totals, a_standing(), seconds=1, sending_seconds=1)
            instance.report_runless_asset_event(event)
        sums_add_up = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey(["brevo", "contacts"]), SUMS_ADD_UP))
        result = dg.materialize([*assets_of(brevo), *checks_of(brevo)], instance=instance, selection=sums_add_up)
        assert [check.passed for check in result.get_asset_check_evaluations()] == [passed]
